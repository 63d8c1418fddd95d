"""Associations with one DICOM server, and the requests over them."""
