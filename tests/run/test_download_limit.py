"""The automatic number of downloads grows while it helps."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from pathlib import Path
from threading import Event, Thread

import pytest

from fw_gear_dicom_send.delivery.sender import Parallel
from fw_gear_dicom_send.models import Container, DownloadFailure, FileEntry
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.retry import RetryPolicy
from fw_gear_dicom_send.run.download_limit import SMALL_BYTES, DownloadLimit
from fw_gear_dicom_send.run.downloads import Downloads
from fw_gear_dicom_send.source import Fetcher
from tests.support.clock import Clock
from tests.support.waiting import wait_for

BUSY = DownloadFailure(Reason(Kind.DOWNLOAD_FAILED, "503"), retry_after=0)
MISSING = DownloadFailure(Reason(Kind.DOWNLOAD_REFUSED, "404"))
Outcome = Path | DownloadFailure


def entries(*sizes: int | None) -> list[FileEntry]:
    """Return files of these sizes, named by number."""
    parent = Container("session", "s")
    return [FileEntry(parent, str(n), f"lab/{n}", size) for n, size in enumerate(sizes)]


def distant(_: int) -> float:
    """Return the seconds of a download from a site with an unlimited rate."""
    return 0.1


def limited(rate: float) -> Callable[[int], float]:
    """Return the function of a distant site that delivers no more files per second."""
    return lambda downloads: max(0.1, downloads / rate)


class Site:
    """Site whose time for a file depends on the number of downloads, without sleeping."""

    def __init__(
        self, seconds: Callable[[int], float], *sizes: int | None, number: int = 0
    ) -> None:
        """Take `seconds` for each file of a run with the option `downloads` at `number`."""
        self.seconds = seconds
        self.served = 16
        self.retries = 0
        self.is_retried: Callable[[int], bool] = lambda _: False
        self.outcome: Outcome = Path("/nowhere")
        self.clock = Clock()
        self.fetcher = Fetcher(
            lambda _: self.outcome,
            Parallel.of(number),
            late_policy=RetryPolicy(clock=self.clock),
            retries=lambda: self.retries,
        )
        self.limit = DownloadLimit(self.fetcher, entries(*(sizes or [1000])))

    def run(self, files: int) -> list[int]:
        """Download files, as many at a time as allowed; return the numbers of threads over time.

        Downloads beyond those that are `served` wait for 20 s.
        """
        at_work: list[tuple[float, int, float]] = []
        threads: list[int] = []
        for _ in range(files):
            while len(at_work) >= self.limit.threads:
                self._end(at_work)
            place = min(set(range(32)) - {used for _, used, _ in at_work})
            self.retries += self.is_retried(len(at_work) + 1)
            seconds = self.seconds(len(at_work) + 1) if place < self.served else 20
            begun = self.limit.begin()
            heappush(at_work, (begun + seconds, place, begun))
            threads.append(self.limit.threads)
        while at_work:
            self._end(at_work)
        return threads

    def _end(self, at_work: list[tuple[float, int, float]]) -> None:
        self.clock.time, _, begun = heappop(at_work)
        self.limit.end(begun, self.outcome, 1000)


def test_a_distant_site_gets_sixteen() -> None:
    """Each doubling raises the rate, so the maximum is reached within a hundred files."""
    site = Site(distant)
    threads = site.run(150)
    assert list(dict.fromkeys(threads)) == [4, 8, 16]
    assert threads.index(16) < 100
    assert site.limit.peak == 16


def test_a_near_site_gets_four() -> None:
    """A file in 4 ms shows that the site is near."""
    assert set(Site(lambda _: 0.004).run(1000)) == {4}


@pytest.mark.parametrize(
    ("sizes", "most"),
    [
        ([SMALL_BYTES], 16),
        ([SMALL_BYTES + 1], 4),
        ([0, 2 * SMALL_BYTES], 16),
        ([0, 2 * SMALL_BYTES + 1], 4),
        ([1000, None], 4),
    ],
)
def test_small_files_get_sixteen(sizes: list[int | None], most: int) -> None:
    """Their mean size decides. Files of unknown size may be large."""
    assert max(Site(distant, *sizes).run(150)) == most


def test_a_site_at_its_limit_gets_four() -> None:
    """A site that delivers 40 files per second gets eight only while they are tried."""
    site = Site(limited(40))
    threads = site.run(4000)
    assert max(threads) == site.limit.peak == 8
    assert threads.count(8) / len(threads) < 0.1


def test_a_site_that_slows_down_gets_fewer() -> None:
    """Half of the downloads are tried now and then, and kept if they are as fast."""
    site = Site(distant)
    assert site.run(400)[-1] == 16
    site.seconds = limited(40)
    assert site.run(20_000)[-4000:].count(4) > 3600


def test_a_set_number_is_kept() -> None:
    """Ten downloads are neither fewer nor more, whatever the site answers."""
    site = Site(limited(20), number=10)
    site.is_retried = lambda _: True
    assert set(site.run(400)) == {10}


@pytest.mark.parametrize(
    ("outcome", "is_retried", "number"),
    [
        (Path("/nowhere"), True, 4),
        (BUSY, False, 4),
        (BUSY, True, 4),
        (MISSING, True, 4),
        (MISSING, False, 16),
    ],
)
def test_a_site_in_trouble_gets_four(outcome: Outcome, is_retried: bool, number: int) -> None:
    """A download that is retried, or may be, brings back the first number. A refusal does not."""
    site = Site(distant)
    assert site.run(150)[-1] == 16
    site.outcome, site.is_retried = outcome, lambda _: is_retried
    site.run(1)
    assert site.limit.threads == number
    site.outcome, site.is_retried = Path("/nowhere"), lambda _: False
    assert max(site.run(400)) == number
    assert site.run(1500)[-1] == 16  # after half a minute


def test_a_site_that_refuses_many_downloads_gets_no_more() -> None:
    """Eight downloads that are retried are tried again only twice a minute."""
    site = Site(distant)
    site.is_retried = lambda downloads: downloads > 4
    threads = site.run(4 * 10 * 60)
    assert 0 < threads.count(8) < 3 * 8


def test_trouble_with_four_delays_the_growth() -> None:
    """More are tried only when a dozen files came without a retry."""
    site, count = Site(distant), iter(range(1000))
    site.is_retried = lambda _: next(count) % 10 == 0
    assert set(site.run(500)) == {4}


def test_refused_files_are_no_proof() -> None:
    """They show neither that the site is near nor that more downloads help."""
    site = Site(lambda _: 0.001)
    site.outcome = MISSING
    assert set(site.run(100)) == {4}
    site.outcome, site.seconds = Path("/nowhere"), distant
    assert site.run(150)[-1] == 16


def test_stalled_downloads_keep_no_place() -> None:
    """Four of eight wait for 20 s: four others go on, and the number falls with their end."""
    site = Site(distant)
    site.served = 4
    threads = site.run(200)
    assert list(dict.fromkeys(threads)) == [4, 8]
    assert site.clock.time < 1000 + 21
    assert site.limit.threads == 4


def test_retries_of_an_earlier_step_do_not_count() -> None:
    """Only new ones are trouble: four files, and two rounds of four, are enough."""
    site = Site(distant)
    site.retries = 5
    site.limit = DownloadLimit(site.fetcher, entries(1000))
    site.run(12)
    assert site.limit.peak == 8


class Rounds:
    """Source that answers a number of requests together, when the test asks it to."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.retries = 0
        self._requests: list[Event] = []

    def fetch(self, entry: FileEntry) -> Path:
        """Wait for the answer."""
        answer = Event()
        self._requests.append(answer)
        assert answer.wait(60)
        return Path("/nowhere") / entry.name

    def answer(self, number: int) -> None:
        """Wait for a number of requests, and answer them a second later."""
        assert wait_for(lambda: len(self._requests) == number)
        answered, self._requests = self._requests, []
        self.clock.time += 1
        for answer in answered:
            answer.set()

    def stop(self) -> None:
        """Answer all requests."""
        for answer in self._requests:
            answer.set()

    def waits_for(self, number: int) -> bool:
        """Return whether a number of requests wait, and stay that many."""
        is_there = wait_for(lambda: len(self._requests) == number)
        return is_there and not wait_for(lambda: len(self._requests) > number, 0.2)


@contextmanager
def downloads(source: Rounds, files: int) -> Iterator[None]:
    """Download and release files on another thread."""
    policy = RetryPolicy(clock=source.clock)
    fetcher = Fetcher(
        source.fetch, Parallel.of(0), source.stop, policy, retries=lambda: source.retries
    )
    running = Downloads(fetcher, entries(*[1] * files), lambda: None)

    def release_all() -> None:
        for file in iter(running.take, None):
            running.release(file)

    consumer = Thread(target=release_all)
    running.start()
    consumer.start()
    try:
        yield
        consumer.join()
    finally:
        running.close()


def test_threads_follow_the_limit() -> None:
    """They are started as more downloads help, and end when the site is in trouble."""
    source, before = Rounds(), threading.active_count()
    with downloads(source, 4 * 3 + 8 * 3 + 16 + 4):
        for number in (4, 4, 4, 8, 8, 8):
            source.answer(number)
        assert source.waits_for(16)
        source.retries += 1
        source.answer(16)
        assert source.waits_for(4)
        assert wait_for(lambda: threading.active_count() == before + 4 + 1)
        source.answer(4)
    assert threading.active_count() == before


def test_no_thread_is_started_without_a_file() -> None:
    """Two files need two threads."""
    source, before = Rounds(), threading.active_count()
    with downloads(source, 2):
        assert source.waits_for(2)
        assert threading.active_count() == before + 2 + 1
        source.answer(2)


def test_a_system_without_more_threads_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first four download all files."""
    source = Rounds()

    def start(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with downloads(source, 4 * 6):
        assert source.waits_for(4)
        monkeypatch.setattr(Thread, "start", start)
        for _ in range(6):
            source.answer(4)


def test_growth_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The log has the largest number, unless it is the first one."""
    caplog.set_level("INFO")
    source = Rounds()
    with downloads(source, 4 * 2):
        source.answer(4)
        source.answer(4)
    assert caplog.messages == []
    with downloads(source, 4 * 3 + 8):
        for number in (4, 4, 4, 8):
            source.answer(number)
    assert caplog.messages == ["Up to 8 downloads ran at once"]
