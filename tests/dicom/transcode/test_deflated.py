"""Deflated datasets are inflated, or rejected if they are damaged."""

import io
import zlib
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from tests.support import wording
from tests.support.sample_files import shipped
from tests.support.transcoding import BOTH, bare, converted, differences, refused


@pytest.mark.parametrize("target", BOTH)
def test_deflated_is_inflated(target: str, tmp_path: Path) -> None:
    """A deflated dataset is read as the same values from both targets."""
    content = shipped("image_dfl.dcm").read_bytes()

    dataset = converted(content, target, tmp_path)

    assert differences(pydicom.dcmread(io.BytesIO(content)), dataset) == []


def test_damaged_deflated_data_is_refused(tmp_path: Path) -> None:
    """Truncated or invalid deflated data is unreadable."""
    engine = zlib.compressobj(wbits=-15)
    data = engine.compress(bytes(1000)) + engine.flush()

    early = refused(bare(data[:-3], DeflatedExplicitVRLittleEndian), tmp_path)
    damaged = refused(bare(b"\xff" + data, DeflatedExplicitVRLittleEndian), tmp_path)

    assert early == wording.DEFLATED_ENDS_EARLY
    assert damaged == "its deflated data is damaged"
