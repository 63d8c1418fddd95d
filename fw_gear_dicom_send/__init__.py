"""Send DICOM data from Flywheel to a DICOM server by C-STORE."""

__version__ = "0.1.0"
