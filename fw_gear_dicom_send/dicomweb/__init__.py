"""One DICOMweb server: the sender by STOW-RS, and the requests over HTTP (PS3.18)."""
