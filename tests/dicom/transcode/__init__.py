"""Tests of the `dicom.transcode` package."""
