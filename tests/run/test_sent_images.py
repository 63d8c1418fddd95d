"""Of images with one UID the first is sent; equal and different ones are distinguished."""

import logging
import tracemalloc
from io import BytesIO
from threading import Thread

import pytest

from fw_gear_dicom_send.dicom.types import EncodedDataset, SOPInstance, Span
from fw_gear_dicom_send.run.sent_images import Claim, SentImages

MANY = 50_000
BYTES_EACH = 80


def image(uid: str, data: bytes = b"data") -> SOPInstance:
    dataset = EncodedDataset(BytesIO(data), (Span(0, len(data)),))
    return SOPInstance("1.2", uid, "1.2.840.10008.1.2.1", dataset)


def claimed_and_sent(sent: SentImages, instance: SOPInstance) -> Claim:
    claim = sent.claim(instance)
    if claim is Claim.FIRST:
        sent.settle(instance, is_sent=True)
    return claim


def test_equal_and_different_images() -> None:
    """Images are compared by UID and by all bytes of their datasets."""
    sent = SentImages()
    assert claimed_and_sent(sent, image("1.1")) is Claim.FIRST
    assert claimed_and_sent(sent, image("1.2")) is Claim.FIRST
    assert claimed_and_sent(sent, image("1.1")) is Claim.EQUAL
    for data in (b"Data", b"data ", b""):
        assert claimed_and_sent(sent, image("1.1", data)) is Claim.DIFFERENT


def test_the_division_into_pieces_does_not_matter() -> None:
    """Datasets are compared by their bytes."""
    sent = SentImages()
    claimed_and_sent(sent, image("1.1", b"a dataset"))
    pieces = (Span(0, 2), b"data", Span(6, 9))
    same = SOPInstance("1.2", "1.1", "1.2", EncodedDataset(BytesIO(b"a xxxxset"), pieces))
    assert sent.claim(same) is Claim.EQUAL


def test_an_image_that_was_not_sent_does_not_count() -> None:
    """If the first is not sent, the next one is."""
    sent = SentImages()
    assert sent.claim(image("1.1")) is Claim.FIRST
    sent.settle(image("1.1"), is_sent=False)
    assert sent.claim(image("1.1", b"other")) is Claim.FIRST


def test_an_image_in_flight_is_waited_for() -> None:
    """The result of the image in flight decides whether the next one is the first."""
    sent = SentImages()
    first = image("1.1")
    assert sent.claim(first) is Claim.FIRST
    claims: list[Claim] = []
    others = [Thread(target=lambda: claims.append(sent.claim(image("1.1")))) for _ in range(3)]
    for thread in others:
        thread.start()
    assert sent.claim(image("1.2")) is Claim.FIRST
    assert claims == []
    sent.settle(first, is_sent=True)
    for thread in others:
        thread.join(60)
    assert claims == [Claim.EQUAL] * 3


def test_bounded_memory(caplog: pytest.LogCaptureFixture) -> None:
    """UIDs take about 40 bytes each, up to a maximum number; further images are not compared."""
    sent = SentImages(MANY)
    tracemalloc.start()
    with caplog.at_level(logging.WARNING):
        for number in range(MANY + 10):
            assert claimed_and_sent(sent, image(f"1.2.{number}")) is Claim.FIRST
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < BYTES_EACH * MANY
    assert len(caplog.records) == 1
    assert f"no longer detected after {MANY:,} images" in caplog.text
    for number in range(0, MANY, 100):
        assert sent.claim(image(f"1.2.{number}")) is Claim.EQUAL
    assert sent.claim(image(f"1.2.{MANY}", b"other")) is Claim.FIRST


class CountedReads(BytesIO):
    """Counts the bytes that are read, until the file is lost."""

    taken = 0
    is_lost = False

    def read(self, size: int | None = -1, /) -> bytes:
        if self.is_lost:
            raise OSError("Input/output error")
        data = super().read(size)
        self.taken += len(data)
        return data


def large(last: bytes = b"a") -> tuple[SOPInstance, CountedReads]:
    """Return an image of 9 MB and its source."""
    source = CountedReads(bytes(9_000_000) + last)
    dataset = EncodedDataset(source, (Span(0, 9_000_000 + len(last)),))
    return SOPInstance("1.2", "1.1", "1.2.840.10008.1.2.1", dataset), source


@pytest.mark.parametrize("is_read", [True, False])
def test_a_large_image_is_read_once(is_read: bool) -> None:
    """Equal and different ones are distinguished by the bytes read for sending, or at the end."""
    sent = SentImages()
    first, source = large()
    assert sent.claim(first) is Claim.FIRST
    watched = sent.watched(first)
    if is_read:
        assert sum(map(len, watched.dataset.blocks())) == first.dataset.size
    sent.settle(watched, is_sent=True)
    assert source.taken == first.dataset.size
    assert sent.claim(large()[0]) is Claim.EQUAL
    assert sent.claim(large(b"b")[0]) is Claim.DIFFERENT


def test_a_large_image_lost_before_it_was_read_equals_none() -> None:
    """An unreadable image is not taken for another one."""
    sent = SentImages()
    first, source = large()
    assert sent.claim(first) is Claim.FIRST
    watched = sent.watched(first)
    source.is_lost = True
    sent.settle(watched, is_sent=True)
    assert sent.claim(large()[0]) is Claim.DIFFERENT
