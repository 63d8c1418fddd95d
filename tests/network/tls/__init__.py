"""DICOM over TLS."""
