"""Images of earlier runs are identified by UID, size and CRC-32, in limited memory."""

import logging
import tracemalloc
from io import BytesIO
from zlib import crc32

import pytest

from fw_gear_dicom_send.delivery.results import AlreadyStored, NotSent
from fw_gear_dicom_send.dicom.types import EncodedDataset, SOPInstance, Span
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.report.earlier_reports import EarlierImage
from fw_gear_dicom_send.run.known_images import KnownImages

MANY = 50_000
BYTES_EACH = 80
EQUAL = AlreadyStored(Reason(Kind.SENT_EARLIER), is_equal=True)
DIFFERENT = NotSent(Reason(Kind.DUPLICATE_UID, " by an earlier run"))


def instance(uid: str, data: bytes = b"data") -> SOPInstance:
    dataset = EncodedDataset(BytesIO(data), (Span(0, len(data)),))
    return SOPInstance("1.2", uid, "1.2.840.10008.1.2.1", dataset)


def reported(uid: str, data: bytes = b"data") -> EarlierImage:
    return EarlierImage(uid, len(data), crc32(data))


def knowing(*images: EarlierImage) -> KnownImages:
    earlier = KnownImages()
    for image in images:
        earlier.add(image)
    return earlier


def test_a_different_dataset_is_recognized() -> None:
    """A changed dataset with the same UID, even of the same size, is a different one."""
    earlier = knowing(reported("1.1"))
    assert earlier.claim(instance("1.1")) == EQUAL
    assert isinstance(earlier.claim(instance("1.2")), SOPInstance)
    for data in (b"Data", b"data ", b""):
        assert earlier.claim(instance("1.1", data)) == DIFFERENT
    assert earlier.crc32("1.1") == crc32(b"data")
    assert earlier.crc32("1.2") is None


def test_the_last_of_two_datasets_counts() -> None:
    """A later run has replaced the first one."""
    earlier = knowing(reported("1.1", b"first"), reported("1.1"))
    assert earlier.claim(instance("1.1")) == EQUAL
    assert earlier.claim(instance("1.1", b"first")) == DIFFERENT


LOST = EarlierImage("1.1", is_stored=False)


@pytest.mark.parametrize("images", [[LOST, reported("1.1")], [reported("1.1"), LOST]])
def test_an_image_that_was_lost_is_sent_again(images: list[EarlierImage]) -> None:
    """The order of these events is unknown, so another dataset with its UID is not sent."""
    earlier = knowing(*images)
    assert isinstance(earlier.claim(instance("1.1")), SOPInstance)
    assert earlier.claim(instance("1.1", b"other")) == DIFFERENT


def test_any_image_replaces_one_that_was_only_lost() -> None:
    """Nothing is overwritten."""
    assert isinstance(knowing(LOST).claim(instance("1.1")), SOPInstance)


def test_an_unreadable_image_is_an_error() -> None:
    """It cannot be compared, so it must not be sent."""

    class Broken(BytesIO):
        def read(self, *_: object) -> bytes:
            raise OSError("no")

    broken = SOPInstance("1.2", "1.1", "1.2", EncodedDataset(Broken(), (Span(0, 4),)))
    with pytest.raises(OSError, match="no"):
        knowing(reported("1.1")).claim(broken)


@pytest.mark.slow
def test_bounded_memory(caplog: pytest.LogCaptureFixture) -> None:
    """Images take about 40 bytes each, up to a maximum number; later ones are sent again."""
    earlier = KnownImages(max_images=MANY)
    tracemalloc.start()
    with caplog.at_level(logging.WARNING):
        for number in range(MANY + 10):
            earlier.add(reported(f"1.2.{number}"))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < MANY * BYTES_EACH
    for image in (reported("1.2.0", b"other"), LOST):
        earlier.add(image)
    assert earlier.claim(instance("1.2.0")) == DIFFERENT
    assert isinstance(earlier.claim(instance(f"1.2.{MANY}")), SOPInstance)
    assert caplog.messages == [
        f"The earlier reports contain too many images: only the first {MANY:,} are compared, "
        "the others are sent again"
    ]


def test_lost_images_take_memory_too(caplog: pytest.LogCaptureFixture) -> None:
    """The limit applies to the sum of sent and lost images."""
    earlier = KnownImages(max_images=2)
    for image in (LOST, reported("1.1"), reported("1.2")):
        earlier.add(image)
    for uid in ("1.1", "1.2"):
        assert isinstance(earlier.claim(instance(uid)), SOPInstance)
    assert len(caplog.messages) == 1


def test_a_large_image_is_recognized() -> None:
    """Its CRC-32 is computed before it is sent, not while it is sent."""
    data = bytes(9_000_000)
    known = knowing(reported("1.1", data))
    assert known.claim(instance("1.1", data)) == EQUAL
