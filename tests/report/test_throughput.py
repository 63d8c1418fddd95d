"""Images, bytes and C-STORE times are counted over the time of a run."""

import pytest

from fw_gear_dicom_send.delivery.results import AlreadyStored, Planned, StoreResult, Transfer
from fw_gear_dicom_send.models import Container, FileEntry, ImageRecord
from fw_gear_dicom_send.report.throughput import Throughput
from tests.support.clock import Clock
from tests.support.results import not_sent, sent

ENTRY = FileEntry(Container("acquisition", "a"), "a.zip", "lab/a.zip")


class Counting:
    """Count of images on a clock that the test controls."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.counted = Throughput(self.clock)
        self._begun = self.clock.time

    def image(self, second: float, result: StoreResult | None = None, size: int = 10) -> None:
        """Count an image at this second after the start."""
        self.clock.time = self._begun + second
        self.counted.image(ImageRecord(ENTRY, "n", result or sent(), size=size))


@pytest.fixture
def counting() -> Counting:
    """Count that has just started."""
    return Counting()


def test_rates_do_not_include_the_time_of_verification() -> None:
    """They end with the last image that was sent, and images that are resent do not count."""
    clock = Clock()
    seen = Throughput(clock)
    record = ImageRecord(ENTRY, "", sent(), size=1_000)
    for _ in range(4):
        clock.time += 1
        seen.image(record)
    clock.time += 60
    seen.start_resending()
    seen.image(record)
    counts = seen.counts()
    assert (counts.images_per_second, counts.bytes_per_second) == (1, 1_000)
    assert (sum(counts.images), counts.seconds) == (5, 64)


def test_images_are_counted_by_the_second(counting: Counting) -> None:
    """Seconds without an image count as well; the time starts with the run."""
    for second, size in ((0.0, 1), (0.9, 2), (3.0, 4)):
        counting.image(second, size=size)
    counting.clock.time += 0.5
    counts = counting.counted.counts()
    assert (counts.slot_seconds, counts.images, counts.bytes) == (1.0, (2, 0, 0, 1), (3, 0, 0, 4))
    assert counts.seconds == pytest.approx(3.5)


def test_only_sent_images_are_counted(counting: Counting) -> None:
    """Existing, rejected and planned images do not count for throughput."""
    counting.image(0, not_sent("no"))
    counting.image(0, AlreadyStored())
    counting.image(0, Planned(Transfer()))
    assert counting.counted.counts().images == ()
    assert sum(counting.counted.counts().durations) == 0


def test_slots_become_longer_to_stay_below_120(counting: Counting) -> None:
    """No image or byte is lost or moves to another time."""
    for second in (0.5, 1.5, 2.5, 119.5):
        counting.image(second)
    before = counting.counted.counts()
    assert (before.slot_seconds, len(before.images)) == (1.0, 120)
    counting.image(120.0)
    after = counting.counted.counts()
    assert (after.slot_seconds, len(after.images), len(after.bytes)) == (2.0, 61, 61)
    assert {place: n for place, n in enumerate(after.images) if n} == {0: 2, 1: 1, 59: 1, 60: 1}
    assert [10 * n for n in after.images] == list(after.bytes)


def test_a_long_silence_makes_slots_longer_immediately(counting: Counting) -> None:
    """An image after hours is in one of the last slots."""
    counting.image(0.5)
    counting.image(10_000)
    counts = counting.counted.counts()
    assert (counts.slot_seconds, sum(counts.images)) == (128.0, 2)
    assert counts.images[int(10_000 / 128)] == 1


@pytest.mark.parametrize(
    ("seconds", "place"),
    [
        (0.0019, 0),
        (0.002, 1),
        (0.0049, 1),
        (0.005, 2),
        (0.01, 3),
        (0.02, 4),
        (0.05, 5),
        (0.1, 6),
        (0.2, 7),
        (0.5, 8),
        (0.99, 8),
        (1.0, 9),
        (2.0, 10),
        (5.0, 11),
        (9.9, 11),
        (10.0, 12),
        (300.0, 12),
    ],
)
def test_a_time_is_in_its_range(counting: Counting, seconds: float, place: int) -> None:
    """A range includes its lower limit but not the upper one; rejections count, too."""
    counting.image(0, sent(seconds=seconds))
    counting.image(0, not_sent("no", seconds=seconds))
    durations = counting.counted.counts().durations
    assert durations == tuple(2 * (number == place) for number in range(13))


def test_transferred_bytes_are_counted(counting: Counting) -> None:
    """A compressed image has fewer bytes than its dataset."""
    counting.image(0.0, sent(size=40), size=100)
    assert counting.counted.counts().bytes == (40,)


def test_percentiles_cover_all_c_stores(counting: Counting) -> None:
    """Median and 95th percentile are accurate to 2 %, the maximum is exact."""
    for milliseconds in range(1, 1001):
        counting.image(0, sent(seconds=milliseconds / 1000))
    times = counting.counted.counts().times
    assert times
    assert times.median == pytest.approx(0.5, rel=0.02)
    assert times.p95 == pytest.approx(0.95, rel=0.02)
    assert times.maximum == 1.0


def test_without_a_c_store_there_are_no_times(counting: Counting) -> None:
    """A dry run has none; lost associations are counted from the start of the run."""
    counting.image(0, Planned(Transfer()))
    counts = counting.counted.counts([counting.clock.time + 2.5])
    assert counts.times is None
    assert counts.losses == pytest.approx((2.5,))
