"""Images that the server did not take while it lives: they are tried last, one after the other."""

import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import chain
from threading import Lock

from ..dicom.types import EncodedDataset, SOPInstance
from ..network.store import StorageSCU
from ..network.types import StoreResult, Suspect
from ..reasons import Kind
from .image import Image, Key

log = logging.getLogger(__name__)

_MAX_TRIES = 3
"""An image that had fewer in the first round gets a second one."""


@dataclass(frozen=True)
class QuarantinePolicy:
    """How many images are put aside, and after how many seconds they are tried again.

    No more than `max_images` are; later ones fail at once. Those up to `max_image_bytes` stay in
    memory, `max_bytes` of them in all; others are read from their files again. The first try
    comes `wait` after an image failed. The second one, if it had no three tries yet, comes
    `second_wait` after that, or `long_wait` where the server has accepted no other image since it
    was put aside.
    """

    max_images: int = 10_000
    max_image_bytes: int = 1 << 20
    max_bytes: int = 32 << 20
    wait: float = 5.0
    second_wait: float = 15.0
    long_wait: float = 35.0


DEFAULT_QUARANTINE = QuarantinePolicy()


@dataclass(frozen=True)
class PutAside:
    """An image that is put aside, at `since`; its bytes are in memory where it `is_held`."""

    image: Image
    suspect: Suspect
    since: float
    is_held: bool

    @property
    def gets_second_round(self) -> bool:
        """Whether it is tried once more, which takes too long for one that gets no answer."""
        failure = self.suspect.failure
        return failure.transfer.tries < _MAX_TRIES and failure.reason.kind is not Kind.NO_ANSWER

    def is_of(self, image: Image) -> bool:
        """Tell whether an image that was read again is the same, by its UID."""
        mine, its = self.image.content, image.content
        if not (isinstance(mine, SOPInstance) and isinstance(its, SOPInstance)):
            return False
        return mine.sop_instance_uid == its.sop_instance_uid


Result = StoreResult | Suspect
Resend = Callable[[Image, Suspect], Result]
Reread = Callable[
    [Mapping[Key, PutAside], Callable[[Image], Result]], Iterator[tuple[Image, Result]]
]
"""Reads images from their files again, has each sent, and yields what becomes of it."""


class Quarantine:
    """Keeps the images that are put aside, in their order, and tries them again.

    The mutable state is how many bytes are in memory, which the threads that send change with the
    lock, and the images that are not settled, which the main thread changes.
    """

    def __init__(
        self, scu: StorageSCU, policy: QuarantinePolicy = DEFAULT_QUARANTINE, max_wait: float = 300
    ) -> None:
        """Wait for no longer than `max_wait` seconds before an image is tried again."""
        self._scu = scu
        self._policy = policy
        self._max_wait = max_wait
        self._lock = Lock()
        self._bytes = 0
        self._images: dict[Key, PutAside] = {}

    def hold(self, image: Image, suspect: Suspect) -> PutAside:
        """Return an image with its bytes in memory, where there is room; close its dataset."""
        instance = image.content
        assert isinstance(instance, SOPInstance)  # noqa: S101  (nothing else is sent)
        held = self._in_memory(instance)
        instance.dataset.close()
        return PutAside(
            replace(image, content=held or instance), suspect, suspect.failed_at, bool(held)
        )

    def settled(self, image: Image, result: StoreResult | PutAside | Suspect) -> StoreResult | None:
        """Return what became of an image, None where it is put aside and tried again later.

        Where too many are put aside, or another one of its number, it fails at once.
        """
        if isinstance(result, PutAside):
            if len(self._images) < self._policy.max_images and image.key not in self._images:
                self._images[image.key] = result
                return None
            return result.suspect.failure
        self._images.pop(image.key, None)
        return result.failure if isinstance(result, Suspect) else result

    @property
    def images(self) -> list[PutAside]:
        """The images that are not settled."""
        return list(self._images.values())

    def retried(
        self, resend: Resend, reread: Reread
    ) -> Iterator[tuple[Image, Suspect | StoreResult]]:
        """Try all images again, and yield what becomes of each; the last try may leave it suspect.

        As long as the server accepts no image at all it is at fault: all are tried again and again
        until it does, or is given up. Then each image has its own tries, alone.
        """
        waiting, policy, scu = self.images, self._policy, self._scu
        log.info("Images that the server did not take are sent again at the end: %d", len(waiting))
        while waiting and not scu.given_up and (scu.is_at_fault or not scu.has_accepted):
            scu.blame()
            before = [one.suspect for one in waiting]
            waiting = yield from self._round(waiting, lambda _: 0, resend, reread)
            if [one.suspect for one in waiting] == before:
                break  # none of them could be read from its file again
        waiting = yield from self._round(waiting, lambda _: policy.wait, resend, reread)
        settled = [one for one in waiting if not one.gets_second_round]
        waiting = [one for one in waiting if one.gets_second_round]
        settled += yield from self._round(waiting, self._second_wait, resend, reread)
        yield from ((one.image, one.suspect) for one in settled)

    def _second_wait(self, aside: PutAside) -> float:
        is_alone = self._scu.accepted_at > aside.since
        return self._policy.second_wait if is_alone else self._policy.long_wait

    def _round(
        self,
        images: Sequence[PutAside],
        wait: Callable[[PutAside], float],
        resend: Resend,
        reread: Reread,
    ) -> Generator[tuple[Image, StoreResult], None, list[PutAside]]:
        """Try each image once, `wait` seconds after its failure; return what is still suspect.

        An image that is not found in its file again stays as it is, and all do once the server is
        given up.
        """
        remaining = {aside.image.key: aside for aside in images}

        def attempt(image: Image) -> Result:
            aside = remaining[image.key]
            self._scu.wait_until(aside.suspect.failed_at + min(wait(aside), self._max_wait))
            return aside.suspect if self._scu.given_up else resend(image, aside.suspect)

        held = ((one.image, attempt(one.image)) for one in images if one.is_held)
        others = {key: aside for key, aside in remaining.items() if not aside.is_held}
        for image, result in chain(held, reread(others, attempt) if others else ()):
            if isinstance(result, Suspect):
                remaining[image.key] = replace(remaining[image.key], suspect=result)
            else:
                del remaining[image.key]
                yield image, result
        return list(remaining.values())

    def _in_memory(self, instance: SOPInstance) -> SOPInstance | None:
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
