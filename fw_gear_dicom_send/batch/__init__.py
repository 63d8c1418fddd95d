"""Command `dicom-send-batch`: one gear job for each of many sessions."""
