"""Files whose download fails are set aside and retried at the end."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock

import pytest

from fw_gear_dicom_send.delivery.sender import Parallel
from fw_gear_dicom_send.models import Container, DownloadFailure, Fetch, FileEntry
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.retry import RetryPolicy
from fw_gear_dicom_send.run.downloads import Downloads, Fetched
from fw_gear_dicom_send.source import Fetcher
from fw_gear_dicom_send.values import replace
from tests.support.clock import Clock
from tests.support.waiting import wait_for

PATIENCE = 30
BUSY = DownloadFailure(Reason(Kind.DOWNLOAD_FAILED, "503"), retry_after=0)
DOWN = DownloadFailure(Reason(Kind.DOWNLOAD_LOST), retry_after=0)


class Source:
    """Source whose files fail a number of times, or while it is down."""

    def __init__(self, failures: dict[str, float], clock: Clock, seconds: float = 0) -> None:
        """Let each failure take some seconds."""
        self.failures = failures
        self.tries: list[str] = []
        self.probes = 0
        self.down = 0.0
        self._clock = clock
        self._seconds = seconds
        self._lock = Lock()

    def fetch(self, entry: FileEntry) -> Fetch:
        """Deliver a file, or fail."""
        with self._lock:
            self.tries.append(entry.name)
            if self.down:
                return DOWN
            if self.tries.count(entry.name) <= self.failures.get(entry.name, 0):
                self._clock.time += self._seconds
                return BUSY
            return Path("/nowhere") / entry.name

    def outage(self) -> DownloadFailure | None:
        """Respond unless the source is down; each request shortens the outage."""
        with self._lock:
            self.probes += 1
            if not self.down:
                return None
            self.down -= 1
            return DOWN


def entries(number: int) -> list[FileEntry]:
    parent = Container("session", "s")
    return [FileEntry(parent, str(n), f"lab/{n}", 1) for n in range(number)]


@contextmanager
def downloads(
    source: Source,
    files: list[FileEntry],
    clock: Clock,
    *,
    at_once: int = 1,
    max_time: float = 60,
    fetch: Callable[[FileEntry], Fetch] | None = None,
    given_up: Callable[[], Reason | None] = lambda: None,
) -> Iterator[Downloads]:
    policy = RetryPolicy(max_time=max_time, max_wait=10, clock=clock)
    fetcher = Fetcher(
        fetch or source.fetch,
        Parallel(at_once, at_once),
        late_policy=policy,
        outage=source.outage,
    )
    running = Downloads(fetcher, files, given_up).start()
    try:
        yield running
    finally:
        running.close()


def consumed(running: Downloads) -> Iterator[Fetched]:
    while file := running.take():
        yield file
        running.release(file)


def outcomes(running: Downloads) -> dict[str, Path | DownloadFailure]:
    return {file.entry.name: file.outcome for file in consumed(running)}


@pytest.mark.parametrize("at_once", [1, 4])
def test_others_have_priority(at_once: int) -> None:
    """A file that succeeds on its second try comes last."""
    clock = Clock()
    source = Source({"0": 1}, clock)
    with downloads(source, entries(20), clock, at_once=at_once) as running:
        order = [file.entry.name for file in consumed(running)]
    assert order == [*map(str, range(1, 20)), "0"]


def test_a_file_that_is_set_aside_takes_no_disk_space() -> None:
    """All others are delivered, however large it is."""
    clock = Clock()
    large = [replace(entry, size=1 << 30) for entry in entries(12)]
    with downloads(Source({"0": 2, "1": 2, "2": 2}, clock), large, clock) as running:
        assert all(isinstance(one, Path) for one in outcomes(running).values())


@pytest.mark.parametrize("at_once", [1, 4])
def test_many_take_no_longer_than_one(at_once: int) -> None:
    """200 unavailable files are retried for the time of one, and all others are delivered."""
    clock = Clock()
    source = Source({str(n): 10**6 for n in range(200)}, clock)
    begin = clock.time
    with downloads(source, entries(250), clock, at_once=at_once) as running:
        found = outcomes(running)
    assert clock.time - begin == pytest.approx(60)
    failed = {int(name) for name, one in found.items() if one == DownloadFailure(BUSY.reason)}
    assert failed == set(range(200))
    tries = Counter(source.tries)
    assert {tries[str(n)] for n in range(200, 250)} == {1}
    assert len({tries[str(n)] for n in range(200)}) == 1


def test_no_file_is_retried_beside_one_without_space() -> None:
    """The other file is downloaded when the first has left the disk."""
    clock = Clock()
    source = Source({"2": 1}, clock)

    def fetch(entry: FileEntry) -> Fetch:
        if entry.name == "0" and not source.tries.count("0"):
            assert wait_for(lambda: "1" in source.tries, PATIENCE)
            source.fetch(entry)
            return DownloadFailure(Reason(Kind.DOWNLOAD_NOT_WRITTEN))
        return source.fetch(entry)

    order = []
    first, second, third = entries(3)
    files = [first, replace(second, size=10 << 20), third]
    with downloads(source, files, clock, at_once=2, fetch=fetch) as running:
        for file in iter(running.take, None):
            order.append(file.entry.name)
            if file.entry.name == "0":
                assert not wait_for(lambda: source.tries.count("2") > 1, 0.2)
            running.release(file)
    assert order == ["1", "0", "2"]


def test_a_file_that_is_read_again_outlives_the_last_round() -> None:
    """When the time for the others is over, it is still downloaded."""
    clock, is_released = Clock(), Event()
    source = Source({"0": 10**6}, clock, seconds=100)

    def fetch(entry: FileEntry) -> Fetch:
        if source.tries.count(entry.name) == 1:
            assert is_released.wait(PATIENCE)
        return source.fetch(entry)

    with downloads(source, entries(2), clock, fetch=fetch) as running:
        file = running.take()
        assert file
        running.release(file, again=True)
        is_released.set()
        assert sorted(file.entry.name for file in consumed(running)) == ["0", "1"]


def test_slow_failures_are_limited() -> None:
    """A round of files that fail slowly ends after the retry time, too."""
    clock = Clock()
    source = Source({str(n): 10**6 for n in range(200)}, clock, seconds=10)
    begin = clock.time
    with downloads(source, entries(200), clock) as running:
        assert len(outcomes(running)) == 200
    assert clock.time - begin < 200 * 10 + 2 * 60 + 2 * 10


def test_site_that_is_down_is_waited_for() -> None:
    """No other file is started before it responds; then all are delivered."""
    clock = Clock()
    source = Source({}, clock)
    source.down = 5
    with downloads(source, entries(10), clock) as running:
        found = outcomes(running)
    assert all(isinstance(one, Path) for one in found.values())
    assert source.tries == [*map(str, range(10)), "0"]
    assert 5 <= len(clock.waits) <= 6


def test_site_that_stays_down_fails_all_files() -> None:
    """The wait ends after the retry time; then all further files fail immediately."""
    clock = Clock()
    source = Source({}, clock)
    source.down = float("inf")
    begin = clock.time
    with downloads(source, entries(1000), clock) as running:
        found = outcomes(running)
    assert set(found.values()) == {DownloadFailure(DOWN.reason)}
    assert len(found) == 1000
    assert source.tries == ["0"]
    assert clock.time - begin == pytest.approx(60)


def test_retry_after_of_the_site_is_respected() -> None:
    """Retry-After of one file delays all requests to the site."""
    clock = Clock()
    source = Source({}, clock)
    asked = replace(BUSY, retry_after=30)

    def fetch(entry: FileEntry) -> Fetch:
        outcome = source.fetch(entry)
        return asked if len(source.tries) == 1 else outcome

    with downloads(source, entries(5), clock, fetch=fetch) as running:
        assert all(isinstance(one, Path) for one in outcomes(running).values())
    assert clock.waits[0] == 30
    assert source.probes == 1


def test_without_retry_time_each_file_is_tried_once() -> None:
    """Files succeed and fail in order."""
    clock = Clock()
    source = Source({"1": 1}, clock)
    with downloads(source, entries(3), clock, max_time=0) as running:
        order = [file.entry.name for file in consumed(running)]
    assert order == source.tries == ["0", "1", "2"]
    assert source.probes == 0


def test_files_fail_immediately_after_giving_up_on_the_server() -> None:
    """Files that were set aside are not retried."""
    clock = Clock()
    reason = Reason(Kind.NOT_REACHED)
    source = Source({"0": 10**6}, clock)

    def given_up() -> Reason | None:
        return reason if len(source.tries) == 3 else None

    with downloads(source, entries(3), clock, given_up=given_up) as running:
        assert outcomes(running)["0"] == DownloadFailure(reason)
    assert clock.waits == []


@pytest.mark.parametrize("is_down", [False, True])
def test_stopping_ends_the_wait(is_down: bool) -> None:
    """No thread waits for a retry or for the site after the run has ended."""
    source = Source({"0": 10**6}, Clock())
    source.down = 10**6 * is_down
    policy = RetryPolicy(max_time=3600, min_wait=1800, max_wait=1800, jitter=False)
    fetcher = Fetcher(source.fetch, Parallel.of(2), late_policy=policy, outage=source.outage)
    running = Downloads(fetcher, entries(1), lambda: None).start()
    assert wait_for(lambda: source.probes > 0, PATIENCE)
    running.close()
    assert running.take() is None
