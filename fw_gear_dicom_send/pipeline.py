"""The straight line of a run: list, download, unpack, stamp, send, report.

Three steps go on at the same time: the next file is downloaded while the images of
this one are unpacked and stamped, and while those are sent, over several associations
at once. At most three archives and a few images lie on disk, whatever the size of the
data.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from ssl import SSLContext
from tempfile import TemporaryDirectory

from . import archive, preflight, reporter, tagger, tls, transcoder
from .downloader import Downloader
from .errors import SiteError, WorkFolderError
from .flywheel import Site, connect
from .models import (
    BrokenArchive,
    DownloadFailure,
    FileReport,
    GearConfig,
    Member,
    Selection,
    SOPInstance,
    StoreResult,
    Unreadable,
)
from .part10 import is_dicom
from .stage import Stage
from .storage_scu import StorageSCU
from .tally import Tally
from .upper_layer import resolve

log = logging.getLogger(__name__)

_SITE_RETRIES = 5
_FILES_AHEAD = 1
_IMAGES_AHEAD = 8
_TIME_TO_FINISH = 4.0


@dataclass(frozen=True)
class _Download:
    """A file that was downloaded, or was not."""

    tally: Tally
    outcome: Path | DownloadFailure


@dataclass(frozen=True)
class _End:
    """The end of a file: how many images came out of it, and why not more, if so."""

    images: int
    trouble: str


@dataclass(frozen=True)
class _Read:
    """What was read of a file next."""

    tally: Tally
    outcome: SOPInstance | Unreadable | _End


@dataclass(frozen=True)
class _Settled:
    """What became of what was read."""

    tally: Tally
    outcome: StoreResult | _End


def run(config: GearConfig, work: Path, output: Path) -> bool:
    """Send all that the configuration selects, and report it.

    `work` is for data on its way; the report stays in `output` only if Flywheel does
    not take it. Returns whether there was an image and all were sent. Raises
    ConfigError or SiteError where nothing could be begun, and after the report
    ServerError or WorkFolderError where nothing could be sent, and CancelledError where
    the run was ended before its end.
    """
    resolve(config.peer)
    ssl_context = tls.make_context(config.tls) if config.tls else None
    site = Site(connect(config.api_key, retries=_SITE_RETRIES))
    selection = site.select(config)
    peer = config.peer
    number = len(selection.entries)
    log.info("%d files to send to %s at %s port %d", number, peer.called_ae, peer.host, peer.port)
    tallies = [Tally(entry) for entry in selection.entries]
    try:
        with _folder_in(work) as folder:
            if tallies:
                preflight.check(config.peer, ssl_context)
            _send(config, tallies, folder, ssl_context)
    finally:
        reports = [tally.report() for tally in tallies]
        _report(config, site, selection, reports, output)
    return bool(reports) and all(report.status == "Complete" for report in reports)


@contextmanager
def _folder_in(work: Path) -> Iterator[Path]:
    """Make a folder that is gone at the end."""
    try:
        folder = TemporaryDirectory(dir=work, ignore_cleanup_errors=True)
    except OSError as exc:
        raise WorkFolderError(f"The work folder cannot be written to: {exc.strerror}") from exc
    with folder as name:
        yield Path(name)


def _send(
    config: GearConfig, tallies: Iterable[Tally], folder: Path, ssl_context: SSLContext | None
) -> None:
    """Run the three steps until all images are sent or counted as not sent."""
    scu = StorageSCU(
        config.peer,
        partial(transcoder.convert, work=folder),
        associations=config.associations,
        retry_time=config.send_retry_time,
        ssl_context=ssl_context,
    )
    downloads = Stage(_download(config, tallies, folder, scu), ahead=_FILES_AHEAD)
    reads = Stage(_read(downloads, config, folder), ahead=_IMAGES_AHEAD)
    senders = (map(partial(_settle, send=scu.send), reads) for _ in range(config.associations))
    settled = Stage(*senders, ahead=config.associations)
    try:
        for one in settled:
            _count(one)
        scu.close()
    finally:
        scu.finish()
        downloads.stop()
        reads.stop()
        left = settled.close(_TIME_TO_FINISH)
        scu.abort()
        for one in (*left, *settled.close()):
            _count(one)
        reads.close()
        downloads.close()


def _download(
    config: GearConfig, tallies: Iterable[Tally], folder: Path, scu: StorageSCU
) -> Iterator[_Download]:
    """Yield each file as it comes: downloaded, or as the input that lies there already.

    What nobody is left to take is not downloaded.
    """
    if config.input_file:
        for tally in tallies:
            yield _Download(tally, config.input_file.path)
        return
    client = connect(config.api_key, retries=0)
    downloader = Downloader(client, folder, config.file_download_retry_time)
    for tally in tallies:
        reason = scu.given_up
        outcome = DownloadFailure(reason) if reason else downloader.download(tally.entry)
        yield _Download(tally, outcome)


def _read(downloads: Iterable[_Download], config: GearConfig, folder: Path) -> Iterator[_Read]:
    """Yield the images of each file, stamped, and delete what was downloaded."""
    for download in downloads:
        images, trouble = 0, ""
        if isinstance(download.outcome, DownloadFailure):
            trouble = download.outcome.reason
        else:
            try:
                for item in archive.read(download.outcome, folder, is_dicom):
                    if isinstance(item, BrokenArchive):
                        trouble = item.reason
                        continue
                    instance = _stamped(item, config, folder)
                    images += 1
                    yield _Read(download.tally, instance)
            except OSError as exc:
                trouble = f"it could not be unpacked: {exc.strerror or exc}"
            if not config.input_file:
                download.outcome.unlink(missing_ok=True)
        yield _Read(download.tally, _End(images, trouble))


def _stamped(
    item: Member | Unreadable, config: GearConfig, folder: Path
) -> SOPInstance | Unreadable:
    if isinstance(item, Unreadable):
        return item
    try:
        return tagger.stamp(item.content, config.tag, folder)
    except OSError as exc:
        return Unreadable(f"the image could not be stamped: {exc.strerror or exc}")


def _settle(read: _Read, send: Callable[[SOPInstance], StoreResult]) -> _Settled:
    """Send what can be sent."""
    match read.outcome:
        case SOPInstance():
            return _Settled(read.tally, send(read.outcome))
        case Unreadable():
            return _Settled(read.tally, StoreResult(False, read.outcome.reason))
        case _:
            return _Settled(read.tally, read.outcome)


def _count(settled: _Settled) -> None:
    """Count what became of an image; those of a file may come after its end."""
    tally, outcome = settled.tally, settled.outcome
    tally.begin()
    if isinstance(outcome, StoreResult):
        tally.add(outcome)
    else:
        tally.end(outcome.images, outcome.trouble)
    if tally.is_done:
        log.info("%s: %d of %d images sent", tally.entry.name, tally.sent, tally.images)


def _report(
    config: GearConfig,
    site: Site,
    selection: Selection,
    reports: list[FileReport],
    output: Path,
) -> None:
    """Tell what became of each file: in a file on Flywheel, and at the end of the log."""
    for line in reporter.render_remarks(reports):
        log.warning("%s", line)
    if config.report:
        try:
            path = reporter.write(reports, output, selection.report_label, datetime.now())
            site.attach(selection.report_parent, path)
            path.unlink()
            log.info(
                "The report is attached to the %s: %s", selection.report_parent.type, path.name
            )
        except SiteError as exc:
            log.warning("The report stays in the output folder, as Flywheel took it not: %s", exc)
        except OSError as exc:
            log.error("The report could not be written to the output folder: %s", exc.strerror)
    log.info("Report\n%s", reporter.render_table(reports))
