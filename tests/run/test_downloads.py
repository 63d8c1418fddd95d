"""Several files are downloaded in parallel, in order, and within a limit on disk space."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier, Event, Lock

import pytest

from fw_gear_dicom_send.delivery.sender import Parallel
from fw_gear_dicom_send.models import Container, DownloadFailure, FileEntry
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.run.downloads import LARGEST_FILES, MIN_MAX_BYTES, Downloads, Fetched
from fw_gear_dicom_send.source import Fetcher
from tests.support.waiting import wait_for

PATIENCE = 30
LARGE = MIN_MAX_BYTES
Outcome = Path | DownloadFailure


def entries(*sizes: int | None) -> list[FileEntry]:
    """Return files of these sizes, named by number."""
    parent = Container("session", "s")
    return [FileEntry(parent, str(n), f"lab/{n}", size) for n, size in enumerate(sizes)]


@contextmanager
def downloads(
    fetch: Callable[[FileEntry], Outcome],
    files: list[FileEntry],
    at_once: int,
    *,
    given_up: Callable[[], Reason | None] = lambda: None,
    stop: Callable[[], None] = lambda: None,
) -> Iterator[Downloads]:
    """Download files and stop at the end."""
    running = Downloads(Fetcher(fetch, Parallel(at_once, at_once), stop), files, given_up)
    running.start()
    try:
        yield running
    finally:
        running.close()


def consumed(running: Downloads) -> Iterator[Fetched]:
    """Consume and release all files."""
    while file := running.take():
        yield file
        running.release(file)


def names(running: Downloads) -> list[str]:
    """Return the names of all files in the order in which they are delivered."""
    return [file.entry.name for file in consumed(running)]


class CountedEntry(FileEntry):
    """A file that counts how often its hash is computed."""

    hashes = 0

    def __hash__(self) -> int:
        """Count the call."""
        CountedEntry.hashes += 1
        return super().__hash__()


def path_of(entry: FileEntry) -> Path:
    """Return a path for a file that does not exist."""
    return Path("/nowhere") / entry.name


@pytest.mark.parametrize("at_once", [2, 5])
def test_several_are_downloaded_in_parallel(at_once: int) -> None:
    """The maximum number of downloads runs at the same time."""
    meeting = Barrier(at_once)

    def fetch(entry: FileEntry) -> Path:
        meeting.wait(PATIENCE)
        return path_of(entry)

    with downloads(fetch, entries(*[1] * 10), at_once) as running:
        assert len(names(running)) == 10


@pytest.mark.parametrize("at_once", [1, 3])
def test_the_number_of_parallel_downloads_is_limited(at_once: int) -> None:
    """The limit is never exceeded."""
    lock, under_way, most = Lock(), 0, 0

    def fetch(entry: FileEntry) -> Path:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        Event().wait(0.01)
        with lock:
            under_way -= 1
        return path_of(entry)

    with downloads(fetch, entries(*[1] * 20), at_once) as running:
        assert len(names(running)) == 20
    assert most <= at_once


def test_they_are_delivered_in_order() -> None:
    """A file that is ready early waits for its predecessors."""
    come = {str(number): Event() for number in range(4)}

    def fetch(entry: FileEntry) -> Path:
        if entry.name != "3":
            come[str(int(entry.name) + 1)].wait(PATIENCE)
        come[entry.name].set()
        return path_of(entry)

    with downloads(fetch, entries(*[1] * 4), 4) as running:
        assert names(running) == ["0", "1", "2", "3"]


def test_a_slow_download_does_not_stop_the_others() -> None:
    """All files within the disk limit are downloaded meanwhile."""
    come, others = Lock(), Event()
    count = 0

    def fetch(entry: FileEntry) -> Path:
        nonlocal count
        if entry.name == "0":
            others.wait(PATIENCE)
        with come:
            count += 1
            if count == 9:
                others.set()
        return path_of(entry)

    with downloads(fetch, entries(*[1] * 10), 2) as running:
        assert names(running) == [str(number) for number in range(10)]
    assert others.is_set()


class Disk:
    """Disk that counts the bytes of its files, by their records."""

    def __init__(self) -> None:
        self.used = self.most = 0
        self._lock = Lock()

    def fetch(self, entry: FileEntry) -> Path:
        """Put a file on the disk."""
        with self._lock:
            self.used += entry.size or 0
            self.most = max(self.most, self.used)
        return path_of(entry)

    def release(self, file: Fetched) -> None:
        """Remove a file."""
        with self._lock:
            self.used -= file.entry.size or 0


def test_files_on_disk_need_no_more_space_than_the_three_largest() -> None:
    """The number of parallel downloads and the speed of releases do not matter."""
    disk = Disk()
    sizes = [LARGE * factor for factor in (2, 1, 5, 1, 1, 3, 1, 4, 1, 1)]
    with downloads(disk.fetch, entries(*sizes), 8) as running:
        for file in iter(running.take, None):
            wait_for(lambda: disk.used > 9 * LARGE, 0.05)
            disk.release(file)
            running.release(file)
    assert disk.used == 0
    assert 5 * LARGE < disk.most <= 12 * LARGE


def test_small_files_always_have_room() -> None:
    """More than three of them are on disk, up to the guaranteed number of bytes."""
    disk = Disk()
    with downloads(disk.fetch, entries(*[MIN_MAX_BYTES // 8] * 20), 4):
        assert wait_for(lambda: disk.used == MIN_MAX_BYTES, PATIENCE)
        assert not wait_for(lambda: disk.used > MIN_MAX_BYTES, 0.2)


def test_files_of_unknown_size_count_after_their_download(tmp_path: Path) -> None:
    """Nothing more is started while they occupy the space."""
    begun: list[str] = []

    def fetch(entry: FileEntry) -> Path:
        begun.append(entry.name)
        path = tmp_path / entry.name
        with path.open("xb") as file:
            file.truncate(MIN_MAX_BYTES + 1)
        return path

    with downloads(fetch, entries(*[None] * 4), 1) as running:
        for number in range(4):
            assert wait_for(lambda number=number: len(begun) > number, PATIENCE)  # type: ignore[misc]
            assert not wait_for(lambda number=number: len(begun) > number + 1, 0.1)  # type: ignore[misc]
            file = running.take()
            assert file
            running.release(file)


def test_a_failure_costs_only_itself() -> None:
    """The other downloads succeed, and each outcome belongs to its file."""
    failure = DownloadFailure(Reason(Kind.DOWNLOAD_LOST))

    def fetch(entry: FileEntry) -> Outcome:
        return failure if entry.name == "1" else path_of(entry)

    files = entries(*[LARGE] * 9)
    with downloads(fetch, files, 4) as running:
        outcomes = [file.outcome for file in consumed(running)]
    assert outcomes == [failure if n == 1 else path_of(file) for n, file in enumerate(files)]


def test_nothing_is_downloaded_after_giving_up_on_the_server() -> None:
    """Each further file fails for the same reason."""
    asked: list[str] = []
    reason = Reason(Kind.NOT_REACHED)

    def fetch(entry: FileEntry) -> Path:
        asked.append(entry.name)
        return path_of(entry)

    def given_up() -> Reason | None:
        return reason if len(asked) == 2 else None

    with downloads(fetch, entries(*[1] * 5), 1, given_up=given_up) as running:
        outcomes = [file.outcome for file in consumed(running)]
    assert outcomes[2:] == [DownloadFailure(reason)] * 3
    assert asked == ["0", "1"]


def test_an_error_is_raised_at_the_consumer() -> None:
    """An unexpected error ends the run."""

    def fetch(_: FileEntry) -> Path:
        raise ValueError("boom")

    with downloads(fetch, entries(1, 1), 2) as running, pytest.raises(ValueError, match="boom"):
        running.take()


def test_stopping_ends_all_waits() -> None:
    """Downloads stop, and threads that wait for room or for files end immediately."""
    stopped, begun = Event(), Barrier(LARGEST_FILES + 1)

    def fetch(_: FileEntry) -> Outcome:
        begun.wait(PATIENCE)
        assert stopped.wait(PATIENCE)
        return DownloadFailure(Reason(Kind.INTERRUPTED))

    before = threading.active_count()
    with downloads(fetch, entries(*[LARGE] * 9), 4, stop=stopped.set) as running:
        begun.wait(PATIENCE)
    assert threading.active_count() == before
    assert running.take() is None


class FullDisk:
    """Disk with room for a number of files of equal size."""

    def __init__(self, room: int) -> None:
        self.failed: list[str] = []
        self.lying: set[str] = set()
        self._room = room
        self._lock = Lock()

    def fetch(self, entry: FileEntry) -> Outcome:
        """Put a file on the disk if there is room."""
        with self._lock:
            if len(self.lying) >= self._room:
                self.failed.append(entry.name)
                return DownloadFailure(Reason(Kind.DOWNLOAD_NOT_WRITTEN, "No space left on device"))
            self.lying.add(entry.name)
        return path_of(entry)

    def release(self, file: Fetched) -> None:
        """Remove a file."""
        with self._lock:
            self.lying.remove(file.entry.name)


@pytest.mark.parametrize("room", [1, 3])
@pytest.mark.parametrize("at_once", [1, 4])
def test_all_are_downloaded_despite_a_full_disk(room: int, at_once: int) -> None:
    """Each failure lowers the limit, so few downloads are wasted."""
    disk = FullDisk(room)
    with downloads(disk.fetch, entries(*[1] * 30), at_once) as running:
        seen = []
        for file in iter(running.take, None):
            assert isinstance(file.outcome, Path)
            seen.append(file.entry.name)
            disk.release(file)
            running.release(file)
    assert sorted(seen, key=int) == [str(number) for number in range(30)]
    assert len(disk.failed) <= 2 * at_once


def test_a_file_without_space_is_downloaded_again_alone() -> None:
    """No other file is on disk, not even another one without space."""
    meeting, tries, beside = Barrier(3), Counter[str](), list[int]()
    lying: set[str] = set()

    def fetch(entry: FileEntry) -> Outcome:
        tries[entry.name] += 1
        lying.add(entry.name)
        if tries[entry.name] > 1:
            wait_for(lambda: len(lying) > 1, 0.2)
            beside.append(len(lying) - 1)
        elif entry.name in "012":
            meeting.wait(PATIENCE)
            if entry.name in "01":
                lying.remove(entry.name)
                return DownloadFailure(Reason(Kind.DOWNLOAD_NOT_WRITTEN))
        return path_of(entry)

    with downloads(fetch, entries(1, 1, 10 << 20, 1, 1), 3) as running:
        for file in iter(running.take, None):
            wait_for(lambda: tries["0"] > 1, 0.2)
            lying.remove(file.entry.name)
            running.release(file)
    assert (tries["0"], tries["1"], beside) == (2, 2, [0, 0])


def test_a_file_that_waits_for_room_lets_others_pass() -> None:
    """Later files are on the disk, and only their release makes room."""
    disk, behind = FullDisk(1), Event()

    def fetch(entry: FileEntry) -> Outcome:
        if entry.name == "0" and not behind.is_set():
            assert wait_for(lambda: bool(disk.lying), PATIENCE)
            behind.set()
        return disk.fetch(entry)

    with downloads(fetch, entries(1, 1), 2) as running:
        first = running.take()
        assert first
        assert first.entry.name == "1"
        disk.release(first)
        running.release(first)
        second = running.take()
        assert second
        assert isinstance(second.outcome, Path)


def test_files_that_never_fit_fail_alone() -> None:
    """Two of them do not wait for each other indefinitely."""
    full = DownloadFailure(Reason(Kind.DOWNLOAD_NOT_WRITTEN, "No space left on device"))
    small: Mapping[str, Outcome] = {"2": Path("/nowhere/2")}

    with downloads(lambda entry: small.get(entry.name, full), entries(1, 1, 1), 3) as running:
        outcomes = {file.entry.name: file.outcome for file in consumed(running)}
    assert outcomes == {"0": full, "1": full, "2": small["2"]}


def test_many_small_files_on_disk_cost_the_same_each() -> None:
    """A file starts without a look at each of the files that are on disk."""
    files: list[FileEntry] = [CountedEntry(Container("s", "s"), "a", str(n), 1) for n in range(500)]
    CountedEntry.hashes = 0
    with downloads(path_of, files, 1) as running:
        assert len(list(consumed(running))) == len(files)
    assert CountedEntry.hashes < 20 * len(files)
