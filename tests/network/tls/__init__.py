"""Tests of DICOM over TLS."""
