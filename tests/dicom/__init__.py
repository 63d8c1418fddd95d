"""Tests of the `dicom` package."""
