"""`python -m fw_gear_dicom_send` runs `dicom-send`."""

import sys

from .cli.send import main

sys.exit(main())
