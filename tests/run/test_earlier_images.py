"""Images of earlier runs are identified by UID, size and CRC-32, in limited memory."""

import logging
import tracemalloc
from io import BytesIO
from zlib import crc32

import pytest

from fw_gear_dicom_send.dicom.types import EncodedDataset, SOPInstance, Span
from fw_gear_dicom_send.report.earlier_reports import EarlierImage
from fw_gear_dicom_send.run.earlier_images import EarlierImages

MANY = 50_000
BYTES_EACH = 80


def instance(uid: str, data: bytes = b"data") -> SOPInstance:
    dataset = EncodedDataset(BytesIO(data), (Span(0, len(data)),))
    return SOPInstance("1.2", uid, "1.2.840.10008.1.2.1", dataset)


def reported(uid: str, data: bytes = b"data") -> EarlierImage:
    return EarlierImage(uid, len(data), crc32(data))


def knowing(*images: EarlierImage) -> EarlierImages:
    earlier = EarlierImages()
    for image in images:
        earlier.add(image)
    return earlier


def test_only_the_same_dataset_counts_as_sent() -> None:
    """A changed dataset with the same UID, even of the same size, is a different one."""
    earlier = knowing(reported("1.1"))
    assert earlier.contains(instance("1.1"))
    assert not earlier.contains(instance("1.2"))
    for data in (b"Data", b"data ", b""):
        assert not earlier.contains(instance("1.1", data))


def test_an_image_with_consistent_reports_was_sent() -> None:
    """The second report lists it as skipped."""
    earlier = knowing(reported("1.1"), reported("1.1"))
    assert (len(earlier), earlier.contains(instance("1.1"))) == (1, True)


@pytest.mark.parametrize("other", [reported("1.1", b"other"), EarlierImage("1.1", is_stored=False)])
@pytest.mark.parametrize("is_first", [True, False])
def test_an_image_with_contradictory_reports_is_sent_again(
    other: EarlierImage, is_first: bool
) -> None:
    """It was replaced or lost; the order of these events is unknown."""
    images = [other, reported("1.1")] if is_first else [reported("1.1"), other]
    earlier = knowing(*images, reported("1.1"))
    assert (len(earlier), earlier.contains(instance("1.1"))) == (0, False)


def test_an_unreadable_image_was_not_sent() -> None:
    """The sending step reports the error."""

    class Broken(BytesIO):
        def read(self, *_: object) -> bytes:
            raise OSError("no")

    broken = SOPInstance("1.2", "1.1", "1.2", EncodedDataset(Broken(), (Span(0, 4),)))
    assert not knowing(reported("1.1")).contains(broken)


def test_bounded_memory(caplog: pytest.LogCaptureFixture) -> None:
    """Images take about 40 bytes each, up to a maximum number; later ones are sent again."""
    earlier = EarlierImages(MANY)
    tracemalloc.start()
    with caplog.at_level(logging.WARNING):
        for number in range(MANY + 10):
            earlier.add(reported(f"1.2.{number}"))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < MANY * BYTES_EACH
    assert (len(earlier), earlier.contains(instance("1.2.0"))) == (MANY, True)
    assert not earlier.contains(instance(f"1.2.{MANY}"))
    assert caplog.messages == [
        f"The earlier reports contain too many images: only the first {MANY:,} are skipped"
    ]
