"""Images arrive unchanged at a server that accepts them."""

import io
from pathlib import Path

import pydicom

from tests.support.instances import dataset_of, instance
from tests.support.pacs import Orthanc, StoreSCP
from tests.support.results import SENT, outcomes
from tests.support.sample_files import encoded, made, shipped
from tests.support.sending import SCUFactory, send_all

MIXED = [
    "CT_small.dcm",
    "MR_small_RLE.dcm",
    "JPEG2000.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "rtplan.dcm",
    "test-SR.dcm",
]
PRIVATE_CLASS = "1.2.826.0.1.3680043.8.498.77"
RLE, JPEG_2000 = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"


def mixed() -> list[Path]:
    return [shipped(name) for name in MIXED]


def private_file(number: int) -> bytes:
    return encoded(made(number, SOPClassUID=f"{PRIVATE_CLASS}.{number}"))


def test_a_mix_reaches_storescp_unchanged(scu: SCUFactory, storescp: StoreSCP) -> None:
    """Plain, compressed and private images arrive byte for byte at a bit-preserving server."""
    files = [path.read_bytes() for path in mixed()] + [private_file(1), private_file(2)]
    results = send_all(scu(storescp), map(instance, files))
    assert outcomes(results) == [SENT] * len(files)
    received = {dataset_of(path) for path in storescp.received()}
    assert received == {dataset_of(content) for content in files}


def test_a_mix_reaches_orthanc_unchanged(scu: SCUFactory, orthanc: Orthanc) -> None:
    """Orthanc stores plain, compressed and private images unchanged."""
    files = [path.read_bytes() for path in mixed()] + [private_file(1), private_file(2)]
    results = send_all(scu(orthanc), map(instance, files))
    assert outcomes(results) == [SENT] * len(files)
    stored = orthanc.instances()
    for content in files:
        uid = str(pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True).SOPInstanceUID)
        before, after = (pydicom.dcmread(io.BytesIO(data)) for data in (content, stored[uid]))
        assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
        assert after == before
