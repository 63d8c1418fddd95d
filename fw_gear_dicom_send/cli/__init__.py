"""The commands for those who have DICOM files on disk, and no Flywheel."""
