"""Files are downloaded completely or not at all."""

import os
import resource
import signal
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from signal import Signals
from types import FrameType

import pytest

from fw_gear_dicom_send.errors import CancelledError
from fw_gear_dicom_send.flywheel.client import connect
from fw_gear_dicom_send.flywheel.download import Downloader
from fw_gear_dicom_send.models import Container, DownloadFailure, Fetch, FileEntry
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.retry import CLOCK, MonotonicClock, RetryPolicy
from fw_gear_dicom_send.values import replace
from tests.support.clock import Clock
from tests.support.flywheel_http import Cut, Fault, Flip, Reset, Stall, Status
from tests.support.flywheel_site import FlywheelSite
from tests.support.waiting import wait_for

CONTENT = os.urandom(3_000_000)
MANY = 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "downloads"
    path.mkdir()
    return path


@pytest.fixture
def clock() -> Clock:
    return Clock()


POLICY = RetryPolicy(max_time=60, max_wait=10)


def add_file(
    site: FlywheelSite,
    *faults: Fault,
    name: str = "t1.zip",
    content: bytes | Path = CONTENT,
    size: int | None = None,
    file_hash: str | None = None,
) -> FileEntry:
    """Add a file to the site and return its record."""
    group = site.add_group("radiology")
    session = site.add_session(site.add_subject(site.add_project(group, "Trial"), "S1"), "Visit 1")
    acquisition = site.add_acquisition(session, "T1")
    file_id = site.add_file(acquisition, name, content, size=size, file_hash=file_hash)
    site.fault(file_id, *faults)
    record = site.containers[acquisition]["files"][0]
    parent = Container("acquisition", acquisition)
    return FileEntry(parent, name, f"path/{name}", record["size"], record["hash"], key=name)


def download(
    site: FlywheelSite,
    folder: Path,
    entry: FileEntry,
    retry_time: float = 60,
    max_wait: float = 10,
    *,
    jitter: bool = True,
    clock: MonotonicClock = CLOCK,
) -> Fetch:
    policy = RetryPolicy(max_time=retry_time, max_wait=max_wait, jitter=jitter, clock=clock)
    return Downloader(connect(site.api_key), folder, policy).download(entry)


def reason_of(outcome: Fetch) -> str:
    assert isinstance(outcome, DownloadFailure)
    return outcome.reason.text


def content(outcome: Fetch) -> bytes:
    assert isinstance(outcome, Path), outcome
    return outcome.read_bytes()


def test_file_is_downloaded(site: FlywheelSite, folder: Path) -> None:
    """A file is downloaded byte for byte with one request."""
    entry = add_file(site)
    assert content(download(site, folder, entry, retry_time=0)) == CONTENT
    assert site.requested("GET") == [f"/api/acquisitions/{entry.parent.id}/files/t1.zip"]


def test_empty_file_is_downloaded(site: FlywheelSite, folder: Path) -> None:
    """A file of zero bytes is valid."""
    assert content(download(site, folder, add_file(site, content=b""))) == b""


@pytest.mark.parametrize(
    "name",
    [
        "a b.zip",
        "画像 é.dcm",
        "#1.dcm",
        "100%.dcm",
        "%20.dcm",
        "a?b=c.dcm",
        "a/b.dcm",
        "a+b&c;d.dcm",
    ],
)
def test_any_name_can_be_downloaded(site: FlywheelSite, folder: Path, name: str) -> None:
    """Characters with a meaning in URLs are ordinary characters in a name."""
    assert content(download(site, folder, add_file(site, name=name, content=b"x"))) == b"x"


@pytest.mark.parametrize("name", ["../../evil.dcm", "t1.zip"])
def test_name_on_disk_does_not_depend_on_the_site(
    site: FlywheelSite, folder: Path, name: str
) -> None:
    """The file is in the folder, under a name that the site cannot influence."""
    outcome = download(site, folder, add_file(site, name=name, content=b"x"))
    assert isinstance(outcome, Path)
    assert outcome.parent == folder
    assert outcome.name != "t1.zip"
    assert outcome.name.isalnum()


def test_two_files_with_the_same_name_do_not_collide(site: FlywheelSite, folder: Path) -> None:
    """Each file has its own path on disk, whatever its name."""
    first, second = (add_file(site, content=data) for data in (b"1", b"2"))
    outcomes = [download(site, folder, entry) for entry in (first, second)]
    assert [content(outcome) for outcome in outcomes] == [b"1", b"2"]


def test_file_is_not_kept_in_memory(site: FlywheelSite, folder: Path, tmp_path: Path) -> None:
    """A file of any size needs only a few chunks of memory."""
    large = tmp_path / "large"
    large.touch()
    os.truncate(large, 64 << 20)
    entry = add_file(site, content=large)
    tracemalloc.start()
    try:
        outcome = download(site, folder, entry)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(outcome, Path)
    assert peak < 16 << 20


@pytest.mark.parametrize(
    "fault",
    [Status(500), Status(503), Status(408), Status(429), Reset(), Cut(after=1_500_000), Flip(at=7)],
)
def test_transient_failures_are_retried(site: FlywheelSite, folder: Path, fault: Fault) -> None:
    """After two transient failures, the file is complete and the only one in the folder."""
    entry = add_file(site, fault, fault)
    outcome = download(site, folder, entry, max_wait=0.01)
    assert content(outcome) == CONTENT
    assert site.requested("GET").count(f"/api/acquisitions/{entry.parent.id}/files/t1.zip") == 3
    assert list(folder.iterdir()) == [outcome]


def test_truncated_body_is_detected_without_a_record(site: FlywheelSite, folder: Path) -> None:
    """A truncated body is retried even if the file's size is unknown."""
    known = add_file(site, Cut(after=1_500_000))
    entry = FileEntry(known.parent, known.name, known.path, key=known.key)
    assert content(download(site, folder, entry, max_wait=0.01)) == CONTENT


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_rejection_is_final(site: FlywheelSite, folder: Path, code: int) -> None:
    """A rejected request is sent once and not retried."""
    outcome = download(site, folder, add_file(site, Status(code), Status(code)))
    assert isinstance(outcome, DownloadFailure)
    assert outcome.retry_after is None
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Status(404), "404 Not Found"),
        (Status(503), "503 Service Unavailable after retries"),
        (Status(429), "429 Too Many Requests after retries"),
        (Reset(), "connection lost or too slow after retries"),
        (Cut(after=10), "connection lost or too slow after retries"),
        (Flip(), "hash differs from its record after retries"),
    ],
)
def test_reason_is_short(
    site: FlywheelSite, folder: Path, clock: Clock, fault: Fault, reason: str
) -> None:
    """A failure has a constant text for each cause, and leaves no file."""
    entry = add_file(site, *[fault] * MANY, content=b"x" * 100)
    assert reason_of(download(site, folder, entry, clock=clock)) == reason
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("recorded_size", "word"), [(99, "more"), (101, "fewer")])
def test_wrong_size_is_an_error(
    site: FlywheelSite, folder: Path, clock: Clock, recorded_size: int, word: str
) -> None:
    """A file is rejected if its length differs from its record."""
    entry = add_file(site, content=b"x" * 100, size=recorded_size)
    expected = Reason(Kind.DOWNLOAD_DIFFERS, f"{word} bytes than in its record after retries")
    assert download(site, folder, entry, clock=clock) == DownloadFailure(expected, retry_after=0)
    assert list(folder.iterdir()) == []


def test_excess_data_is_not_read(site: FlywheelSite, folder: Path) -> None:
    """A download that exceeds the length in its record is stopped immediately."""
    entry = add_file(site, Stall(60, after=2_500_000), size=1000)
    begin = time.monotonic()
    assert isinstance(download(site, folder, entry, retry_time=0), DownloadFailure)
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize("file_hash", ["v1-blake-00", "v0-sha384-xyz", ""])
def test_unknown_hash_is_not_checked(site: FlywheelSite, folder: Path, file_hash: str) -> None:
    """A hash of another kind does not prevent the download."""
    known = add_file(site)
    entry = FileEntry(known.parent, known.name, known.path, known.size, file_hash, key=known.key)
    assert content(download(site, folder, entry, retry_time=0)) == CONTENT


def test_zero_retry_time_means_one_attempt(site: FlywheelSite, folder: Path) -> None:
    """With a retry time of 0 seconds, the first failure is final."""
    outcome = download(site, folder, add_file(site, Status(503)), retry_time=0)
    assert reason_of(outcome) == "503 Service Unavailable"
    assert len(site.requests) == 1


def test_back_off_stays_within_the_retry_time(
    site: FlywheelSite, folder: Path, clock: Clock
) -> None:
    """Back-off uses the complete retry time and no more; no wait exceeds 10 s."""
    download(site, folder, add_file(site, *[Status(503)] * MANY), clock=clock)
    assert sum(clock.waits) == pytest.approx(60)
    assert max(clock.waits) <= 10
    assert len(site.requests) == len(clock.waits) + 1


def test_back_off_grows(site: FlywheelSite, folder: Path, clock: Clock) -> None:
    """The maximum waits double up to 10 s."""
    entry = add_file(site, *[Status(503)] * MANY)
    download(site, folder, entry, retry_time=40, jitter=False, clock=clock)
    assert clock.waits == [1, 2, 4, 8, 10, 10, 5]


@contextmanager
def busy_site(*, retry_after: str, times: int) -> Iterator[list[str]]:
    """Site that responds with 429 and this Retry-After a number of times, then with a file."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            is_busy = len(asked) <= times + 1
            self.send_response(429 if is_busy else 200)
            if is_busy:
                self.send_header("Retry-After", retry_after)
            self.send_header("Content-Length", "0" if is_busy else "4")
            self.end_headers()
            self.wfile.write(b"" if is_busy else b"file")

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        asked.append(f"http://127.0.0.1:{server.server_address[1]}:secret")
        yield asked
        server.shutdown()


BUSY = FileEntry(Container("acquisition", "1"), "a.dcm", "path/a.dcm", 4, key="a.dcm")


def test_retry_after_of_a_busy_site_is_respected(folder: Path, clock: Clock) -> None:
    """Each wait is at least as long as Retry-After."""
    with busy_site(retry_after="7", times=3) as asked:
        client = connect(asked[0])
        outcome = Downloader(client, folder, replace(POLICY, clock=clock)).download(BUSY)
        assert len(asked) == 1 + 4
    assert content(outcome) == b"file"
    assert len(clock.waits) == 3
    assert all(7 <= wait <= 10 for wait in clock.waits)


def test_a_site_that_stays_busy_is_reported(folder: Path, clock: Clock) -> None:
    """If Retry-After exceeds the retry time, the download fails immediately with this reason."""
    with busy_site(retry_after="3600", times=MANY) as asked:
        client = connect(asked[0])
        outcome = Downloader(client, folder, replace(POLICY, clock=clock)).download(BUSY)
        assert len(asked) == 1 + 1
    assert reason_of(outcome) == "429 Too Many Requests after retries"
    assert isinstance(outcome, DownloadFailure)
    assert outcome.retry_after == 3600
    assert clock.waits == []


@pytest.mark.parametrize("value", ["", "soon", "-5", "Wed, 21 Oct 2099 07:28:00 GMT", "1.5"])
def test_an_invalid_retry_after_is_ignored(folder: Path, clock: Clock, value: str) -> None:
    """Back-off continues as without it."""
    with busy_site(retry_after=value, times=3) as asked:
        outcome = Downloader(connect(asked[0]), folder, replace(POLICY, clock=clock)).download(BUSY)
    assert content(outcome) == b"file"
    assert max(clock.waits) <= 4


def test_an_expired_key_is_explained(site: FlywheelSite, folder: Path) -> None:
    """A 401 during the run is explained in words."""
    outcome = download(site, folder, add_file(site, Status(401)))
    assert reason_of(outcome) == "401 Unauthorized: the API key is invalid or has expired"
    assert outcome == DownloadFailure(Reason(Kind.INVALID_API_KEY, "401 Unauthorized"))


def test_time_before_the_first_failure_does_not_count(site: FlywheelSite, folder: Path) -> None:
    """A transfer that took longer than the retry time before it failed is retried."""
    entry = add_file(site, Stall(0.6, after=10), file_hash=f"v0-sha384-{'0' * 96}")
    download(site, folder, entry, retry_time=0.3, max_wait=0.01)
    assert len(site.requests) > 1


def stopped(downloader: Downloader, entry: FileEntry, is_time: Callable[[], bool]) -> bool:
    """Stop a download when the condition is met, and return whether it ended soon."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(downloader.download, entry)
        assert wait_for(is_time)
        downloader.stop()
        return future.result(30) == DownloadFailure(Reason(Kind.INTERRUPTED))


def test_stopping_ends_the_wait_before_a_retry(site: FlywheelSite, folder: Path) -> None:
    """A download that is being retried ends immediately, and no new one begins."""
    entry = add_file(site, *[Status(503)] * MANY)
    policy = RetryPolicy(max_time=3600, min_wait=1800, max_wait=1800, jitter=False)
    downloader = Downloader(connect(site.api_key), folder, policy)
    assert stopped(downloader, entry, lambda: bool(site.requests))
    assert downloader.download(entry) == DownloadFailure(Reason(Kind.INTERRUPTED))
    assert len(site.requests) == 1


@pytest.mark.parametrize("after", [1000, 2_000_000])
def test_stopping_ends_a_stalled_download(site: FlywheelSite, folder: Path, after: int) -> None:
    """It does not wait for a stalled site, and leaves no file."""
    entry = add_file(site, Stall(600, after=after))
    downloader = Downloader(connect(site.api_key), folder, POLICY)
    assert stopped(downloader, entry, lambda: any(folder.iterdir()))
    assert list(folder.iterdir()) == []


def test_full_disk_is_final(site: FlywheelSite, folder: Path) -> None:
    """A write error is reported after one request and leaves no file."""
    entry = add_file(site)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, hard))
    try:
        outcome = download(site, folder, entry)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert reason_of(outcome) == "cannot be written to disk: File too large"
    assert len(site.requests) == 1
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("error", [CancelledError(Signals.SIGTERM), KeyboardInterrupt()])
def test_cancelling_interrupts_a_download(
    site: FlywheelSite, folder: Path, error: BaseException
) -> None:
    """A job that is cancelled during a download ends and leaves no partial file."""
    entry = add_file(site, Stall(60, after=2_500_000))

    def cancel(_number: int, _frame: FrameType | None) -> None:
        raise error

    def cancel_once_begun() -> None:
        while not any(path.stat().st_size for path in folder.iterdir()):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, cancel)
    threading.Thread(target=cancel_once_begun, daemon=True).start()
    try:
        with pytest.raises(type(error)):
            download(site, folder, entry)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert list(folder.iterdir()) == []
