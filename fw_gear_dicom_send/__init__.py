"""Send DICOM data from Flywheel to a DICOM server by C-STORE."""
