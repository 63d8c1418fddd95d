"""It makes no difference where a chunk of a dataset ends."""

import pytest

from fw_gear_dicom_send.dicom.headers import Encoding
from fw_gear_dicom_send.dicom.transcode.recoding import EXPLICIT, IMPLICIT, Header, Input

BIG = Encoding(implicit=False, little=False)
PATIENT_ID, PIXEL_DATA = Header(0x00100020, "LO", 4), Header(0x7FE00010, "OW", 0x01020304)


@pytest.mark.parametrize("size", range(1, 13))
@pytest.mark.parametrize(
    ("coding", "encoded", "header"),
    [
        (EXPLICIT, b"\x10\0\x20\0LO\x04\0", PATIENT_ID),
        (EXPLICIT, b"\xe0\x7f\x10\0OW\0\0\x04\x03\x02\x01", PIXEL_DATA),
        (BIG, b"\x7f\xe0\0\x10OW\0\0\x01\x02\x03\x04", PIXEL_DATA),
        (IMPLICIT, b"\xe0\x7f\x10\0\x04\x03\x02\x01", PIXEL_DATA),
    ],
)
def test_headers_across_chunks(size: int, coding: Encoding, encoded: bytes, header: Header) -> None:
    """Headers have the same length and VR, also if chunks end in them."""
    data = (b"\xff\xee" + encoded + b"\xff\xee") * 3
    source = Input(data[start : start + size] for start in range(0, len(data), size))

    for _ in range(3):
        assert source.read(2) == b"\xff\xee"
        assert source.header(coding) == header
        assert source.read(2) == b"\xff\xee"
    assert not source.has(1)
