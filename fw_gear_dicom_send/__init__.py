"""Send DICOM data from Flywheel to a DICOM server by C-STORE."""

__version__ = "5.0.0"
