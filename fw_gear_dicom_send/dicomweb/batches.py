"""Requests with several images of a study, which join while they wait for a connection."""

from collections.abc import Callable
from concurrent.futures import Future
from math import inf
from threading import Lock

from ..dicom.types import SOPInstance
from ..values import field, mutable
from .answers import StoreAnswer
from .errors import LostError
from .request import StoreBody
from .service import Exchange

AUTO_IMAGES = 20
"""Maximum number of images in a request to a distant server."""
SHARING = 8
"""Number of connections, if it is automatic and requests are shared by as many threads as may be.

At 50 ms, 16 connections with smaller requests are not faster.
"""
MAX_BYTES = 4 << 20
"""Maximum size of the datasets in a request with several images."""
MAX_IMAGE = 1 << 20
"""Maximum size of a dataset that shares a request. A larger one gains nothing by it."""
GROWTH = 1.03
"""Factor by which requests grow again with each useful one: twice the images after 24 requests."""

Outcome = tuple[Exchange, StoreAnswer]


@mutable(eq=False)
class Batch:
    """Images of a request, in order. All of them get its `outcome`."""

    instances: list[SOPInstance] = field(default_factory=list)
    size: int = 0
    outcome: "Future[Outcome]" = field(default_factory=Future)


class Batches:
    """Joins images of a study that wait for a connection at the same time into one request.

    The thread with the first image sends the request, and the others wait for its outcome. So a
    request has one image as long as there are enough connections.

    If an answer to a shared request does not name all of its images, they cost a second request.
    Then requests have half as many images. After HTTP 413, they have half the size.

    The mutable state is `max_images`, the limits that the answers set, and the batch of each study
    that takes images. The lock guards the limits and the batches.
    """

    def __init__(self, send: Callable[[Callable[[], StoreBody]], Outcome]) -> None:
        """Send by `send`, which calls back for the body, and at first one image in a request."""
        self._send = send
        self.max_images = 1
        self._limit = inf
        self._max_bytes = MAX_BYTES
        self._open: dict[str, Batch] = {}
        self._lock = Lock()

    @property
    def waiting(self) -> int:
        """Number of images that wait for a connection."""
        with self._lock:
            return sum(len(batch.instances) for batch in self._open.values())

    def takes(self, instance: SOPInstance) -> bool:
        """Return whether an image may share a request."""
        is_small = instance.dataset.size <= MAX_IMAGE
        return self.max_images > 1 and is_small and bool(instance.study_instance_uid)

    def send(self, instance: SOPInstance) -> tuple[Outcome, bool]:
        """Send an image; return the outcome of its request, and whether it was alone in it.

        Raises the error of the request, the same one for all of its images.
        """
        study, size = instance.study_instance_uid, instance.dataset.size
        with self._lock:
            batch = self._open.get(study)
            has_room = (
                batch is not None
                and len(batch.instances) + 1 <= min(self.max_images, self._limit)
                and batch.size + size <= self._max_bytes
            )
            is_leader = batch is None or not has_room
            if batch is None or is_leader:
                batch = self._open[study] = Batch()
            batch.instances.append(instance)
            batch.size += size
        if is_leader:
            try:
                outcome = self._send(lambda: self._closed(study, batch))
                self._learn(batch, outcome[1])
                batch.outcome.set_result(outcome)
            except BaseException as exc:
                if isinstance(exc, LostError):
                    self._learn(batch)
                batch.outcome.set_exception(exc)
            finally:
                # The request may have failed before it needed its body.
                self._closed(study, batch)
        return batch.outcome.result(), len(batch.instances) == 1

    def _learn(self, batch: Batch, answer: StoreAnswer | None = None) -> None:
        """Adapt the limits to the answer to a request, None if it was lost."""
        number = len(batch.instances)
        if answer and (answer.is_busy or answer.is_refused):
            return
        named = {item.sop_instance_uid for item in answer.items} if answer else set()
        with self._lock:
            if named.issuperset(one.sop_instance_uid for one in batch.instances):
                self._limit *= GROWTH
            elif number == 1:
                return
            elif answer and answer.response.status == 413:
                self._max_bytes = min(self._max_bytes, batch.size // 2)
            else:
                self._limit = min(self._limit, number // 2)

    def _closed(self, study: str, batch: Batch) -> StoreBody:
        """Let no more images join a batch, and return its body."""
        with self._lock:
            if self._open.get(study) is batch:
                del self._open[study]
        return StoreBody(tuple(batch.instances))
