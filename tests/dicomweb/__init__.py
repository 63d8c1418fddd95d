"""Tests of the sender by DICOMweb."""
