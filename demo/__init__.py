"""Demo of the gear on one machine, with a stand-in Flywheel site and a DICOM server."""
