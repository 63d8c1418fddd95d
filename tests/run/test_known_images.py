"""Of images with one UID the first is sent; equal and different ones are distinguished."""

import logging
import tracemalloc
from io import BytesIO
from threading import Thread

import pytest

from fw_gear_dicom_send.delivery.results import AlreadyStored, NotSent
from fw_gear_dicom_send.dicom.types import EncodedDataset, SOPInstance, Span
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.run.known_images import KnownImages
from fw_gear_dicom_send.values import replace

MANY = 50_000
BYTES_EACH = 80
EQUAL = AlreadyStored(Reason(Kind.DUPLICATE), is_equal=True)
DIFFERENT = NotSent(Reason(Kind.DUPLICATE_UID))


def image(uid: str, data: bytes = b"data") -> SOPInstance:
    dataset = EncodedDataset(BytesIO(data), (Span(0, len(data)),))
    return SOPInstance("1.2", uid, "1.2.840.10008.1.2.1", dataset)


def sent_now(known: KnownImages, instance: SOPInstance) -> bool | AlreadyStored | NotSent:
    """Send an image if it is the first, and return True, or its result."""
    claim = known.claim(instance)
    if not isinstance(claim, SOPInstance):
        return claim
    known.settle(claim, is_sent=True)
    return True


def test_equal_and_different_images() -> None:
    """Images are compared by UID and by all bytes of their datasets."""
    known = KnownImages()
    assert sent_now(known, image("1.1")) is True
    assert sent_now(known, image("1.2")) is True
    assert sent_now(known, image("1.1")) == EQUAL
    for data in (b"Data", b"data ", b""):
        assert sent_now(known, image("1.1", data)) == DIFFERENT


def test_two_different_images_with_one_uid_name_each_other() -> None:
    """The second one says where the first one is."""
    known = KnownImages()
    claim = known.claim(image("1.1"))
    assert isinstance(claim, SOPInstance)
    known.settle(claim, "a.zip, member 7", is_sent=True)
    other = known.claim(image("1.1", b"other"))
    assert other == NotSent(Reason(Kind.DUPLICATE_UID, ": a.zip, member 7"))


def test_the_division_into_pieces_does_not_matter() -> None:
    """Datasets are compared by their bytes."""
    known = KnownImages()
    sent_now(known, image("1.1", b"a dataset"))
    pieces = (Span(0, 2), b"data", Span(6, 9))
    same = SOPInstance("1.2", "1.1", "1.2", EncodedDataset(BytesIO(b"a xxxxset"), pieces))
    assert known.claim(same) == EQUAL


def test_an_image_that_was_not_sent_does_not_count() -> None:
    """If the first is not sent, the next one is."""
    known = KnownImages()
    assert isinstance(known.claim(image("1.1")), SOPInstance)
    known.settle(image("1.1"), is_sent=False)
    assert isinstance(known.claim(image("1.1", b"other")), SOPInstance)


def test_an_image_in_flight_is_waited_for() -> None:
    """The result of the image in flight decides whether the next one is the first."""
    known = KnownImages()
    first = image("1.1")
    assert isinstance(known.claim(first), SOPInstance)
    claims: list[object] = []
    others = [Thread(target=lambda: claims.append(known.claim(image("1.1")))) for _ in range(3)]
    for thread in others:
        thread.start()
    assert isinstance(known.claim(image("1.2")), SOPInstance)
    assert claims == []
    known.settle(first, is_sent=True)
    for thread in others:
        thread.join(60)
    assert claims == [EQUAL] * 3


@pytest.mark.slow
def test_bounded_memory(caplog: pytest.LogCaptureFixture) -> None:
    """UIDs take about 40 bytes each, up to a maximum number; further images are not compared."""
    known = KnownImages(max_images=MANY)
    tracemalloc.start()
    with caplog.at_level(logging.WARNING):
        for number in range(MANY + 10):
            assert sent_now(known, image(f"1.2.{number}")) is True
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < BYTES_EACH * MANY
    assert len(caplog.records) == 1
    assert f"no longer detected after {MANY:,} images" in caplog.text
    for number in range(0, MANY, 100):
        assert known.claim(image(f"1.2.{number}")) == EQUAL
    assert isinstance(known.claim(image(f"1.2.{MANY}", b"other")), SOPInstance)


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
    known = KnownImages()
    first, source = large()
    watched = known.claim(first)
    assert isinstance(watched, SOPInstance)
    if is_read:
        assert sum(map(len, watched.dataset.blocks())) == first.dataset.size
    known.settle(watched, is_sent=True)
    assert source.taken == first.dataset.size
    assert known.claim(large()[0]) == EQUAL
    assert known.claim(large(b"b")[0]) == DIFFERENT


def test_no_image_waits_until_a_large_one_is_read() -> None:
    """A large image that a dry run has not read is read at its end."""
    known, waiting = KnownImages(), []

    class Slow(CountedReads):
        def read(self, size: int | None = -1, /) -> bytes:
            other = Thread(target=known.claim, args=(image(f"1.2.{self.taken}"),), daemon=True)
            other.start()
            other.join(5)
            waiting.append(other.is_alive())
            return super().read(size)

    source = Slow(bytes(9_000_000))
    claimed = known.claim(
        replace(large()[0], dataset=EncodedDataset(source, (Span(0, 9_000_000),)))
    )
    assert isinstance(claimed, SOPInstance)
    known.settle(claimed, is_sent=True)
    assert waiting
    assert not any(waiting)


def test_a_large_image_lost_before_it_was_read_equals_none() -> None:
    """An unreadable image is not taken for another one."""
    known = KnownImages()
    first, source = large()
    watched = known.claim(first)
    assert isinstance(watched, SOPInstance)
    source.is_lost = True
    known.settle(watched, is_sent=True)
    assert known.claim(large()[0]) == DIFFERENT
