"""Records of the site: what the log of a failed job says."""

import pytest

from fw_gear_dicom_send.batch.records import last_line

TABLE = """\
[20ms INFO     ] Report
Acquisition ID  FW Path  Filename  Images in Series  Images Sent  Status
a1              p/a.zip  a.zip     4                 0            Failed
"""
WARNED = "[10ms WARNING  ] a.zip: 4 images not sent: status 0xA900\n"
FAILED = "[15ms ERROR    ] 4 of 4 images not sent to AE PACS\n"


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (WARNED + FAILED + TABLE, "4 of 4 images not sent to AE PACS"),
        (WARNED + TABLE, "a.zip: 4 images not sent: status 0xA900"),
        (TABLE, ""),
        (WARNED + "Killed\n", "Killed"),
        ("", ""),
    ],
    ids=["error", "table", "table only", "other end", "empty"],
)
def test_the_last_error_of_a_log_is_the_cause(log: str, line: str) -> None:
    """A row of the report's table is none."""
    assert last_line({"logs": [{"msg": log}]}) == line
