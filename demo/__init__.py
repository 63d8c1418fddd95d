"""The gear at work, on one machine: a stand-in Flywheel site and a DICOM server."""
