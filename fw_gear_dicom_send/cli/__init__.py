"""Command `dicom-send` for DICOM files on disk, without Flywheel."""
