"""Steps to the server: fetch files, then unpack, stamp and send each image.

Files are fetched in the background. One thread per association takes each image from its archive
to the server. Disk usage is bounded, whatever the size of the data.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import starmap
from pathlib import Path

from ..config import SendConfig
from ..delivery.results import AlreadyStored, NotSent, Planned, Sent, StoreResult, Suspect
from ..delivery.sender import QueryError, Sender
from ..dicom.types import SOPInstance, Unreadable
from ..exit_codes import deferred_signals
from ..models import FileEntry
from ..reasons import Kind, Reason
from ..report.events import Observer
from ..report.file_counts import FileCounts
from ..source import ImageSource
from ..text import quantity
from ..values import field, frozen, replace
from .background import Background
from .concurrency import AdaptiveLimit
from .downloads import Downloads
from .image import Image, Key
from .image_queue import FileEnd, ImageQueue, ImageResult
from .known_images import KnownImages
from .lost_answers import LostAnswers
from .quarantine import DEFAULT_QUARANTINE, Quarantine, Quarantined, QuarantinePolicy
from .studies import KeptFiles, StudyQueues, Survey

log = logging.getLogger(__name__)

_MAX_UNCOUNTED = 1000
_TIME_TO_FINISH = 4.0


@frozen
class Resources:
    """Objects that all steps share.

    `folder` is for temporary data. `known` images are skipped.
    """

    config: SendConfig
    source: ImageSource
    folder: Path
    sender: Sender
    observer: Observer
    known: KnownImages = field(default_factory=KnownImages)
    quarantine: QuarantinePolicy = DEFAULT_QUARANTINE

    @cached_property
    def limit(self) -> AdaptiveLimit:
        """The limit on the number of images that are sent at the same time."""
        sender = self.sender
        return AdaptiveLimit(
            self.config.parallel.threads(sender.images_per_request), trim=sender.trim
        )


def send(
    resources: Resources,
    counts: FileCounts,
    is_wanted: Callable[[Image], bool] = lambda _: True,
) -> None:
    """Run the steps until all wanted images are sent or counted as not sent.

    Images that the server failed to store are retried at the end.
    """
    config, sender = resources.config, resources.sender
    threads = resources.limit.most
    quarantine = Quarantine(sender.health, resources.quarantine, config.send_retry_time)
    count = partial(_count, resources, counts, quarantine)
    downloads: Downloads | StudyQueues
    process = partial(_send_or_quarantine, resources, quarantine)
    queue: ImageQueue | StudyQueues
    if config.association_per_study:
        queue = downloads = _by_study(resources, list(counts), is_wanted, process)
    else:
        downloads = _downloads(resources, list(counts))
        queue = _queue(resources, downloads, is_wanted, process, resources.limit)
    workers = (queue.results() for _ in range(threads))
    is_whole = False
    try:
        _run(resources, Background(*workers, ahead=_MAX_UNCOUNTED), count, downloads)
        if quarantine.images:
            answers = LostAnswers(sender, resources.quarantine.query_timeout)
            retries = quarantine.retry_all(
                partial(_resend, resources, answers), partial(_reread, resources)
            )
            _run(resources, Background(starmap(ImageResult, retries), ahead=_MAX_UNCOUNTED), count)
        is_whole = True
    finally:
        for end in queue.unfinished():
            count(end)
        for quarantined in quarantine.images:
            suspect = quarantined.suspect
            count(ImageResult(quarantined.image, suspect if is_whole else suspect.stopped))


@deferred_signals()
def _run(
    resources: Resources,
    results: Background[ImageResult | FileEnd],
    count: Callable[[ImageResult | FileEnd], None],
    downloads: Downloads | StudyQueues | None = None,
) -> None:
    """Run a step with its downloads, and count the results."""
    sender = resources.sender
    is_whole = False
    try:
        if downloads:
            downloads.start()
        results.start()
        for result in results:
            count(result)
        is_whole = True
    finally:
        if not is_whole:
            sender.finish()
        if downloads:
            downloads.stop()
        remaining = results.close(_TIME_TO_FINISH)
        if not is_whole:
            sender.abort()
        for result in (*remaining, *results.close()):
            count(result)
        if downloads:
            downloads.close()


def _by_study(
    resources: Resources,
    entries: Sequence[FileEntry],
    is_wanted: Callable[[Image], bool],
    process: Callable[[Image], StoreResult | Quarantined],
) -> StudyQueues:
    """Fetch all files and read their headers; return queues that send study by study."""
    log.info("Reading the headers of %s", quantity(len(entries), "file"))
    files = KeptFiles(resources.source, resources.folder)
    survey = Survey()
    downloads = _downloads(resources, entries)
    try:
        downloads.start()
        while fetched := downloads.take():
            files.keep(fetched)
            survey.add(fetched, resources.config, resources.folder)
            downloads.release(fetched)
    finally:
        downloads.stop()
        downloads.close()
    log.info("Found %s; each gets an association", quantity(len(survey.studies), "Study UID"))
    by_study = replace(resources, source=files)

    def queue_of(uid: str) -> tuple[Downloads, ImageQueue]:
        found = _downloads(by_study, survey.studies[uid].entries)
        picks = partial(survey.is_in, uid)
        return found, _queue(by_study, found, is_wanted, process, picks=picks)

    return StudyQueues(survey, resources.sender, queue_of, files)


def _downloads(resources: Resources, entries: Sequence[FileEntry]) -> Downloads:
    fetcher = resources.source.fetcher(resources.folder)
    return Downloads(fetcher, entries, lambda: resources.sender.health.given_up)


def _queue(
    resources: Resources,
    downloads: Downloads,
    is_wanted: Callable[[Image], bool],
    process: Callable[[Image], StoreResult | Suspect | Quarantined],
    limit: AdaptiveLimit | None = None,
    *,
    picks: Callable[[FileEntry, int], bool] | None = None,
) -> ImageQueue:

    return ImageQueue(
        resources.config,
        resources.source,
        downloads,
        resources.folder,
        max_put_off=resources.quarantine.max_images,
        is_wanted=is_wanted,
        process=process,
        picks=picks,
        limit=limit,
    )


def is_missing(
    resources: Resources, missing: Mapping[FileEntry, frozenset[str]], image: Image
) -> bool:
    """Return whether an image is a missing one, by its SOP Instance UID and its CRC-32 if known.

    `resources` are those of the run that sent it. An unreadable dataset counts as missing.
    """
    content = image.content
    if isinstance(content, Unreadable) or content.sop_instance_uid not in missing[image.entry]:
        return False
    known = resources.known.crc32(content.sop_instance_uid)
    try:
        return known is None or known == content.dataset.crc32()
    except OSError:  # sending reports the same error
        return True


def _send_or_quarantine(
    resources: Resources, quarantine: Quarantine, image: Image
) -> StoreResult | Quarantined:
    """Send an image; put it into quarantine if the server fails to store it."""
    result = _send_image(resources, image)
    return quarantine.load(image, result) if isinstance(result, Suspect) else result


def _send_image(
    resources: Resources,
    image: Image,
    resend: Callable[[SOPInstance], StoreResult | Suspect] | None = None,
) -> StoreResult | Suspect:
    """Send an image unless it is on the server or its UID was sent before.

    `resend` sends an image that the server failed to store before.
    """
    content = image.content
    if isinstance(content, Unreadable):
        return NotSent(content.reason)
    try:
        claimed = resources.known.claim(content)
    except OSError as exc:
        return NotSent(Reason(Kind.NOT_READ, exc.strerror or str(exc)))
    if not isinstance(claimed, SOPInstance):
        return claimed
    result: StoreResult | Suspect = AlreadyStored()
    try:
        if resend:
            result = resend(claimed)
        elif to_send := _looked_up(resources.known, claimed):
            result = resources.sender.send(to_send)
    finally:
        is_sent = isinstance(result, Sent | Planned)
        resources.known.settle(claimed, image.place, is_sent=is_sent)
    return result


def _looked_up(known: KnownImages, instance: SOPInstance) -> SOPInstance | None:
    """Return an image to send, with a remark if its query failed; None if it is on the server."""
    try:
        return None if known.is_on_server(instance) else instance
    except QueryError as exc:
        remark = Reason(Kind.NOT_LOOKED_UP, exc.reason.text)
        return replace(instance, remarks=(*instance.remarks, remark))


def _resend(
    resources: Resources, answers: LostAnswers, image: Image, earlier: Suspect
) -> StoreResult | Suspect:
    """Resend an image that the server failed to store, unless a query finds it."""
    sender = resources.sender
    return _send_image(
        resources,
        image,
        lambda instance: answers.find(instance, earlier) or sender.send(instance, earlier),
    )


def _reread(
    resources: Resources,
    images: Mapping[Key, Quarantined],
    attempt: Callable[[Image], StoreResult | Suspect],
) -> Iterator[tuple[Image, StoreResult | Suspect]]:
    """Read images from their files again, send each of them, and yield the results."""

    def is_wanted(image: Image) -> bool:
        quarantined = images.get(image.key)
        return quarantined is not None and quarantined.is_of(image)

    downloads = _downloads(resources, list(dict.fromkeys(entry for entry, _ in images)))
    try:
        downloads.start()
        for item in _queue(resources, downloads, is_wanted, attempt).results():
            if isinstance(item, ImageResult) and not isinstance(item.result, Quarantined):
                yield item.image, item.result
    finally:
        downloads.stop()
        downloads.close()


def _count(
    resources: Resources, counts: FileCounts, quarantine: Quarantine, item: ImageResult | FileEnd
) -> None:
    """Count the result of an image or the end of a file.

    Results of images may come after the end of their file. An image in quarantine counts later.
    """
    entry = item.entry if isinstance(item, FileEnd) else item.image.entry
    count, observer = counts[entry], resources.observer
    count.begin()
    if isinstance(item, FileEnd):
        count.end(
            item.images,
            item.trouble,
            item.skipped,
            item.remark,
            unread=item.unread,
            is_archive=item.is_archive,
        )
    elif result := quarantine.final_result(item.image, item.result):
        count.add(result, item.image.name)
        observer.image(item.image.record(result, _crc32(resources, item.image, result)))
    if count.is_done:
        observer.file(count.report())


def _crc32(resources: Resources, image: Image, result: StoreResult) -> int | None:
    """Return the CRC-32 of an image's dataset if it is on the server and the CRC-32 is known."""
    content = image.content
    if isinstance(content, Unreadable) or isinstance(result, NotSent) or resources.config.dry_run:
        return None
    return resources.known.crc32(content.sop_instance_uid)
