"""Tests of the transcoder, beside the room `dicom/transcode`."""
