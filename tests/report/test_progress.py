"""Progress of a run: content and number of its lines."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from fw_gear_dicom_send.delivery.results import AlreadyStored, Planned, Sent, Transfer
from fw_gear_dicom_send.delivery.sender import SenderFacts
from fw_gear_dicom_send.models import Container, FileEntry, FileReport, ImageRecord
from fw_gear_dicom_send.report.progress import Intervals, Progress
from fw_gear_dicom_send.values import replace
from tests.support.clock import Clock
from tests.support.results import not_sent
from tests.support.waiting import wait_for


def entries(number: int, size: int | None = 1_000_000) -> list[FileEntry]:
    parent = Container("acquisition", "a")
    return [FileEntry(parent, f"{n}.zip", f"lab/{n}.zip", size) for n in range(number)]


@dataclass
class Sending:
    """Sender with this number of associations and of retries so far."""

    connections: int = 1
    retries: int = 0
    max_rate: float = 0.0
    is_away: bool = False

    def facts(self) -> SenderFacts:
        """Return these numbers."""
        return SenderFacts(
            self.connections, "association", self.max_rate, self.retries, is_away=self.is_away
        )


def progress_of(files: Sequence[FileEntry], clock: Clock | None = None) -> Progress:
    return Progress(files, Sending(4, 3), clock=clock or Clock())


def image(*, sent: bool = True, tries: int = 1, size: int = 500_000) -> ImageRecord:
    result = Sent(Transfer(tries=tries)) if sent else not_sent(tries=tries)
    return ImageRecord(entries(1)[0], "1", result, size=size)


def test_a_line_has_counts_rates_and_remaining_time() -> None:
    """It has images and MB so far and in total, rate, time, associations and retries."""
    clock = Clock()
    files = entries(4)
    seen = progress_of(files, clock)
    for tries in (1, 1, 3, 1):
        seen.image(image(tries=tries))
    seen.file(FileReport(files[0], 5, 4))
    failed = image(sent=False, tries=2)
    seen.image(replace(failed, entry=files[1], position=600_000))
    clock.time += 10
    assert seen.line() == (
        "Progress: 4 images sent (2 MB); 1 failed; 1 of 4 files done; 2 of 4 MB read; "
        "0.4 images/s, 0.2 MB/s; 0 min 15 s left; 4 associations, 3 retries"
    )
    for _ in range(50):
        seen.image(image())
    clock.time += 5
    assert "54 images sent (27 MB); " in (line := seen.line())
    assert "10.0 images/s, 5.0 MB/s" in line


def test_no_time_is_left_once_all_files_are_read() -> None:
    """While the run verifies its images, the line has no remaining time."""
    clock = Clock()
    files = entries(2)
    seen = progress_of(files, clock)
    for file in files:
        seen.file(FileReport(file, 1, 1))
    clock.time += 10
    assert " left" not in seen.line()


def test_resent_images_and_files_do_not_count_again() -> None:
    """The line says instead what the run does."""
    seen = progress_of(files := entries(1))
    seen.image(image())
    seen.file(FileReport(files[0], 1, 1))
    seen.note("resending 1 image")
    seen.start_resending()
    seen.image(image())
    seen.file(FileReport(files[0], 1, 1))
    line = seen.line()
    assert line.startswith("Progress: 1 image sent (0 MB); 0 failed; 1 of 1 file done; ")
    assert "; resending 1 image; " in line


def test_the_share_of_read_data_never_falls() -> None:
    """Several files may be open, and images of a file may come after its end."""
    seen = progress_of(files := entries(3))
    shares = []

    def note(number: int, position: int) -> None:
        seen.image(replace(image(), entry=files[number], position=position))
        shares.append(read_of(seen))

    note(0, 600_000)
    note(1, 200_000)
    note(0, 500_000)
    seen.file(FileReport(files[1], 1, 1))
    shares.append(read_of(seen))
    note(2, 100_000)
    note(1, 200_000)
    seen.file(FileReport(files[0], 2, 2))
    shares.append(read_of(seen))
    assert shares == [600_000, 800_000, 800_000, 1_600_000, 1_700_000, 1_700_000, 2_100_000]


def read_of(seen: Progress) -> int:
    """Return the number of bytes read so far."""
    return seen._count.read


def test_no_time_is_left_before_there_is_a_rate() -> None:
    """The first seconds say nothing about the rest."""
    clock = Clock()
    seen = progress_of(files := entries(4), clock)
    seen.file(FileReport(files[0], 1, 1))
    clock.time += 0.5
    assert " left" not in seen.line()
    clock.time += 5
    assert " left" in seen.line()


def test_the_line_says_that_the_run_waits_for_the_server() -> None:
    """An outage and a server at fault look like a stalled run otherwise."""
    assert "; waiting for the server; " in Progress(entries(1), Sending(is_away=True)).line()
    assert "waiting" not in Progress(entries(1), Sending()).line()


def test_the_command_counts_paths() -> None:
    """The folders and archives of a command line are paths, not files."""
    assert "; 0 of 3 paths done; " in Progress(entries(3), Sending(1, 0), noun="path").line()


def test_existing_images_do_not_count_for_throughput() -> None:
    """They are counted, but neither their number nor their size is part of a rate."""
    clock = Clock()
    seen = progress_of(entries(1), clock)
    seen.image(image())
    for _ in range(50):
        seen.image(ImageRecord(entries(1)[0], "1", AlreadyStored(), size=500_000))
    clock.time += 1
    line = seen.line()
    assert line.startswith("Progress: 1 image sent (0 MB); 50 already there; 0 failed; ")
    assert "; 1.0 images/s, 0.5 MB/s; " in line


def test_a_dry_run_shows_planned_images(caplog: pytest.LogCaptureFixture) -> None:
    """Its images do not count for throughput either, and its files have a line each."""
    clock = Clock()
    files = entries(1)
    seen = Progress(files, Sending(), clock=clock, is_dry=True)
    for _ in range(5):
        seen.image(ImageRecord(files[0], "1", Planned(Transfer()), size=500_000))
    clock.time += 1
    line = seen.line()
    assert line.startswith("Progress: 5 images would be sent; 0 failed; ")
    assert "; 0.0 images/s, 0.0 MB/s; " in line
    with caplog.at_level(logging.INFO):
        seen.file(FileReport(files[0], 5, 0, planned=5))
    assert caplog.messages == ["0.zip: 5 of 5 images would be sent"]


def test_files_of_unknown_size_have_no_remaining_time() -> None:
    """Without sizes from the site there is no estimate."""
    seen = progress_of([*entries(2), *entries(1, None)])
    seen.image(image())
    line = seen.line()
    assert "left" not in line
    assert "read" not in line
    assert "1 image sent" in line


def test_lines_are_logged_until_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """None is logged before the first interval has passed, and the thread ends with the run."""
    with caplog.at_level(logging.INFO):
        with Progress(entries(1), Sending(), Intervals(early=3600)):
            pass
        assert caplog.messages == []
        with Progress(entries(1), Sending(), Intervals(early=0.01)):
            assert wait_for(lambda: len(caplog.messages) > 1)
    assert not any(thread.name == "progress" for thread in threading.enumerate())


def test_a_long_run_has_fewer_lines() -> None:
    """After ten minutes there is one line per minute."""
    clock = Clock()
    with Progress([], Sending(), Intervals(early=3600, later=60), clock) as seen:
        assert seen.interval == 3600
        clock.time += 599
        assert seen.interval == 3600
        clock.time += 1
        assert seen.interval == 60


def test_a_line_is_logged_every_ten_seconds_at_first() -> None:
    """This is often enough to see that a run continues."""
    assert progress_of(entries(1)).interval == 10


def test_ten_thousand_files_have_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    """Of very many files only some of the incomplete ones have a line."""
    files = entries(10_000)
    seen = progress_of(files)
    with caplog.at_level(logging.INFO):
        for number, entry in enumerate(files):
            seen.file(FileReport(entry, 1, int(number % 10 > 0)))
    assert len(caplog.messages) == 100
    assert all("0 of 1 image sent" in message for message in caplog.messages)


def test_each_of_a_few_files_has_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """The result of a file is logged when it is done."""
    files = entries(2)
    seen = progress_of(files)
    with caplog.at_level(logging.INFO):
        seen.file(FileReport(files[0], 5, 5))
        seen.file(FileReport(files[1], 3, 1))
    assert caplog.messages == ["0.zip: 5 of 5 images sent", "1.zip: 1 of 3 images sent"]


@pytest.mark.parametrize(
    ("seconds", "left"),
    [(3, "0 min 3 s"), (30, "0 min 30 s"), (90, "1 min 30 s"), (7290, "2 h 1 min")],
)
def test_the_remaining_time_is_in_hours_or_minutes(seconds: float, left: str) -> None:
    """The second half of the data is expected to take as long as the first."""
    clock = Clock()
    files = entries(2)
    seen = progress_of(files, clock)
    seen.file(FileReport(files[0], 5, 5))
    clock.time += seconds
    assert f"; {left} left; " in seen.line()


def test_retries_count_immediately() -> None:
    """A retried image counts before its result is known."""
    sending = Sending()
    seen = Progress(entries(1), sending, clock=Clock())
    assert seen.line().endswith("1 association, 0 retries")
    sending.retries = 5
    assert seen.line().endswith("1 association, 5 retries")


def test_the_position_never_exceeds_the_size() -> None:
    """The position in a file counts up to its size, and until the file is done."""
    files = entries(2, 3_000_000)
    seen = progress_of(files)
    seen.image(replace(image(), entry=files[0], position=9_000_000))
    assert "; 3 of 6 MB read; " in seen.line()
    seen.file(FileReport(files[0], 5, 5))
    assert "; 3 of 6 MB read; " in seen.line()
    seen.image(replace(image(), entry=files[1], position=1_000_000))
    assert "; 4 of 6 MB read; " in seen.line()


def test_a_hundred_files_have_a_line_each(caplog: pytest.LogCaptureFixture) -> None:
    """With one more file, only incomplete files have a line."""
    for number, lines in ((100, 100), (101, 1)):
        files = entries(number)
        seen = progress_of(files)
        with caplog.at_level(logging.INFO):
            for entry in files:
                seen.file(FileReport(entry, 1, int(entry is not files[0])))
        assert len(caplog.messages) == lines
        caplog.clear()


def test_lines_follow_every_ten_seconds_and_later_every_minute() -> None:
    """Users watch the first ten minutes."""
    clock = Clock()
    seen = progress_of(entries(1), clock)
    intervals = []
    for _ in range(3):
        intervals.append(seen.interval)
        clock.time += 300
    assert intervals == [10, 10, 60]


def test_a_limit_is_shown_with_the_rate() -> None:
    """The line explains why the rate is low."""
    line = Progress([], Sending(2, 1, 2_500_000), clock=Clock()).line()
    assert line.endswith("; 2 associations, 1 retry, limited to 2.5 MB/s")


def test_a_rate_counts_transferred_bytes() -> None:
    """For a compressed image, the bytes that were sent count."""
    seen = progress_of(entries(1))
    seen.image(ImageRecord(entries(1)[0], "1", Sent(Transfer(size=2_000_000)), size=5_000_000))
    assert "1 image sent (2 MB)" in seen.line()
