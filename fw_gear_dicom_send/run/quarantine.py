"""Quarantine for images that the server failed to store; they are retried last, one by one."""

import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import chain
from math import inf
from threading import Lock

from ..delivery.results import Resending, StoreResult, Suspect
from ..delivery.sender import Health
from ..dicom.types import EncodedDataset, SOPInstance
from ..reasons import Kind
from ..text import quantity
from ..values import frozen, replace
from .image import Image, Key

log = logging.getLogger(__name__)

_MAX_TRIES = 3
"""An image with fewer attempts after the first round gets a second round; others are at fault."""
_MIN_ANSWER_TIME = 0.5
"""Seconds for an answer without which a second round would only repeat the image."""


_ALONE = {
    Kind.OUT_OF_RESOURCES: Kind.REFUSED_ALONE,
    Kind.CONNECTION_LOST: Kind.LOST_ALONE,
}
"""Kinds of failures whose cause is the image, if the server stored others meanwhile."""


@frozen
class QuarantinePolicy:
    """Size of the quarantine, and waits in seconds before the retries.

    At most `max_images` are quarantined; further ones fail immediately. Images up to
    `max_image_bytes` stay in memory, up to `max_bytes` in total. The others are read from their
    files again.

    The first retry starts `wait` seconds after the failure. An image with fewer than three
    attempts gets a second retry, `second_wait` seconds later. A query for an image whose answer was
    lost takes `query_timeout` seconds at most. If the server accepted other images, each image
    waits for all of these and for answers for `budget` seconds at most.
    """

    max_images: int = 10_000
    max_image_bytes: int = 1 << 20
    max_bytes: int = 32 << 20
    wait: float = 5.0
    second_wait: float = 8.0
    query_timeout: float = 3.0
    budget: float = 20.0


DEFAULT_QUARANTINE = QuarantinePolicy()


@frozen
class Quarantined:
    """An image in quarantine since time `since`; `is_in_memory` means that it is in memory.

    `remaining` is the rest of its time for retries, in seconds.
    """

    image: Image
    suspect: Suspect
    since: float
    is_in_memory: bool
    remaining: float = inf

    def gets_second_round(self, policy: QuarantinePolicy) -> bool:
        """Return whether to retry it once more. After a timeout that would take too long."""
        failure = self.suspect.failure
        has_time = self.remaining > policy.second_wait + policy.query_timeout + _MIN_ANSWER_TIME
        is_answered = failure.reason.kind is not Kind.NO_ANSWER
        return has_time and is_answered and failure.transfer.tries < _MAX_TRIES

    def is_of(self, image: Image) -> bool:
        """Return whether an image from a second reading has the same UID."""
        mine, its = self.image.content, image.content
        if not (isinstance(mine, SOPInstance) and isinstance(its, SOPInstance)):
            return False
        return mine.sop_instance_uid == its.sop_instance_uid


Result = StoreResult | Suspect
Resend = Callable[[Image, Suspect], Result]
Reread = Callable[
    [Mapping[Key, Quarantined], Callable[[Image], Result]], Iterator[tuple[Image, Result]]
]
"""Reads images from their files again, sends each of them, and yields the results."""


class Quarantine:
    """Images in quarantine, in order, with their retries.

    The mutable state is the number of bytes in memory, which sending threads change under the
    lock, and the images in quarantine, which only the main thread changes.
    """

    def __init__(
        self, health: Health, policy: QuarantinePolicy = DEFAULT_QUARANTINE, max_wait: float = 300
    ) -> None:
        """Wait at most `max_wait` seconds before each retry."""
        self._health = health
        self._policy = policy
        self._max_wait = max_wait
        self._lock = Lock()
        self._bytes = 0
        self._images: dict[Key, Quarantined] = {}

    def load(self, image: Image, suspect: Suspect) -> Quarantined:
        """Load an image into memory if there is space, and return it."""
        instance = image.content
        assert isinstance(instance, SOPInstance)  # noqa: S101  (nothing else is sent)
        held = self._load_dataset(instance)
        return Quarantined(
            replace(image, content=held or instance), suspect, suspect.failed_at, bool(held)
        )

    def final_result(
        self, image: Image, result: StoreResult | Quarantined | Suspect
    ) -> StoreResult | None:
        """Return the final result of an image, or None if it goes into quarantine.

        If the quarantine is full, or contains an image with the same key, the image fails.
        """
        if isinstance(result, Quarantined):
            if len(self._images) < self._policy.max_images and image.key not in self._images:
                self._images[image.key] = result
                return None
            return result.suspect.failure
        self._images.pop(image.key, None)
        return result.failure if isinstance(result, Suspect) else result

    @property
    def images(self) -> list[Quarantined]:
        """Images in quarantine."""
        return list(self._images.values())

    def retry_all(
        self, resend: Resend, reread: Reread
    ) -> Iterator[tuple[Image, Suspect | StoreResult]]:
        """Retry all images and yield their results; an image that still fails stays a `Suspect`.

        While the server accepts no image at all, the server is at fault. All images are retried
        until it accepts one or the run gives up, except for those that are resent only once. Then
        each image is retried alone.
        """
        images, policy, health = self.images, self._policy, self._health
        log.info("Resending %s that the server failed to store", quantity(len(images), "image"))
        once = [one for one in images if one.suspect.resending is Resending.ONCE]
        waiting = [one for one in images if one.suspect.resending is not Resending.ONCE]
        while (
            waiting and not health.given_up and (health.is_at_fault or health.accepted_at == -inf)
        ):
            health.blame()
            before = [image.suspect for image in waiting]
            waiting = yield from self._round(waiting, self._pause, resend, reread)
            if [image.suspect for image in waiting] == before:
                break  # no image was found in its file again
        failed = once
        if health.accepted_at > -inf:
            waiting = [replace(image, remaining=policy.budget) for image in waiting + once]
            failed = []
        waiting = yield from self._round(waiting, lambda _: policy.wait, resend, reread)
        failed += [image for image in waiting if not image.gets_second_round(policy)]
        waiting = [image for image in waiting if image.gets_second_round(policy)]
        failed += yield from self._round(waiting, lambda _: policy.second_wait, resend, reread)
        yield from ((last.image, self._judged(last)) for last in failed)

    def _pause(self, quarantined: Quarantined) -> float:
        """Return the wait before an image while the server is at fault, which it may have."""
        return self._policy.wait if quarantined.suspect.may_be_stored else 0.0

    def _judged(self, quarantined: Quarantined) -> Suspect:
        """Return the failure of an image.

        It is at fault if the server stored others meanwhile, or lost each of three connections
        with it, but stored other images.
        """
        suspect, health = quarantined.suspect, self._health
        reason, tries = suspect.failure.reason, suspect.failure.transfer.tries
        is_alone = health.accepted_at > quarantined.since
        if reason.kind is Kind.CONNECTION_LOST and tries >= _MAX_TRIES and not health.given_up:
            is_alone = health.accepted_at > -inf
        if not is_alone or reason.kind not in _ALONE:
            return suspect
        reason = replace(reason, kind=_ALONE[reason.kind])
        return replace(suspect, failure=replace(suspect.failure, reason=reason))

    def _round(
        self,
        images: Sequence[Quarantined],
        wait: Callable[[Quarantined], float],
        resend: Resend,
        reread: Reread,
    ) -> Generator[tuple[Image, StoreResult], None, list[Quarantined]]:
        """Retry each image once, `wait` seconds after its failure; return those that still fail.

        An image that is not found in its file again stays in quarantine. After the run gives up
        the server, all images do.
        """
        remaining = {quarantined.image.key: quarantined for quarantined in images}

        def attempt(image: Image) -> Result:
            quarantined = remaining[image.key]
            suspect, health, started = quarantined.suspect, self._health, self._health.now()
            health.wait_until(suspect.failed_at + min(wait(quarantined), self._max_wait))
            if health.given_up:
                return suspect
            rest = quarantined.remaining + started - health.now()
            query = self._policy.query_timeout if suspect.may_be_stored else 0.0
            result = resend(image, replace(suspect, answer_timeout=rest - query))
            rest = quarantined.remaining + started - health.now()
            remaining[image.key] = replace(quarantined, remaining=rest)
            return result

        in_memory = ((item.image, attempt(item.image)) for item in images if item.is_in_memory)
        others = {
            key: quarantined
            for key, quarantined in remaining.items()
            if not quarantined.is_in_memory
        }
        for image, result in chain(in_memory, reread(others, attempt) if others else ()):
            if isinstance(result, Suspect):
                remaining[image.key] = replace(remaining[image.key], suspect=result)
            else:
                del remaining[image.key]
                yield image, result
        return list(remaining.values())

    def _load_dataset(self, instance: SOPInstance) -> SOPInstance | None:
        size = instance.dataset.size
        with self._lock:
            if size > min(self._policy.max_image_bytes, self._policy.max_bytes - self._bytes):
                return None
            self._bytes += size
        try:
            data, identity = b"".join(instance.dataset.blocks()), instance.read_identity()
        except OSError:
            return None
        dataset = EncodedDataset(BytesIO(), (data,))
        return replace(instance, dataset=dataset, read_identity=lambda: identity)
