"""One DICOM server: its associations, and what is asked of it over them."""
