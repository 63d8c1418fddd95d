"""`dicom-send-batch`: a gear job for each of many sessions."""
