"""Verifies which images a server has, by queries or by their content."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf

from ..delivery.inquiry import Findings, GroupInquirer, by_series
from ..delivery.results import ImageReference
from ..delivery.sender import QueryError, RequestError
from ..reasons import Kind, Reason
from . import datasets
from .answers import BUSY, NO_SERVICE
from .content import ContentReader
from .messages import Response
from .request import ACCEPT, PATH_UID
from .service import WebService

PAGE = 200
"""Images of an answer to a query: Azure allows no more."""
MAX_ANSWERS = 100_000
"""Maximum number of images in a series, more than any real series has."""
MAX_DURATION = 10
"""Maximum duration of a list, in timeouts of one page: a page may have one image only."""
_SOP_INSTANCE_UID = "00080018"


class _WebInquirer(GroupInquirer):
    """Inquirer over the connections of a service."""

    def __init__(self, service: WebService, timeout: float = inf) -> None:
        """Use the connections of `service`, and wait for `timeout` seconds at most."""
        super().__init__()
        self._service = service
        self._timeout = min(service.transport.timeouts.find, timeout)
        self._max_wait = min(service.retry_time, timeout)

    def _can_name(self, image: ImageReference) -> bool:
        return all(map(PATH_UID.fullmatch, (*image.series, image.sop_instance_uid)))

    def _get(
        self, resource: str, accept: str, take: Callable[[Response, bytes], None] | None = None
    ) -> Response:
        """Send a GET, again after each pause of a busy server; return the response."""
        service = self._service
        end = service.clock.now() + self._max_wait
        while True:
            response = service.send(
                "GET", resource, headers=(("Accept", accept),), take=take, timeout=self._timeout
            ).response
            if response.status not in BUSY:
                service.pool.note_success()
                return response
            service.pool.pause(response.retry_after(), response.words)
            if service.clock.now() >= end:
                return response


class QueryInquirer(_WebInquirer):
    """Inquirer by QIDO-RS (PS3.18 10.6), which can list the images of a series."""

    def present(self, study_instance_uid: str, series_instance_uid: str) -> frozenset[str]:
        """Return the SOP Instance UIDs that the server reports of a series.

        A failed query is retried twice. Raises QueryError if all tries fail. After three such
        series in a row, no more queries are sent.
        """
        series = study_instance_uid, series_instance_uid
        if not all(map(PATH_UID.fullmatch, series)):
            return frozenset()
        return self._retried(self._service.policy, lambda: self._present(*series))

    def _present(self, study: str, series: str) -> frozenset[str]:
        with self._lock:
            try:
                found = frozenset(self._listed(study, series))
            except RequestError as exc:
                raise QueryError(exc.reason) from exc
            self._failures = 0
            return found

    def _groups(self, images: Sequence[ImageReference]) -> Iterable[Sequence[ImageReference]]:
        return by_series(images)

    def _request(self, images: Sequence[ImageReference], findings: Findings) -> None:
        """List the series of images, and query again each image that the list may omit."""
        series, asked = images[0].series, {image.sop_instance_uid for image in images}
        if len(asked) > 1:
            for uid in self._listed(*series):
                if uid in asked:
                    findings.verified.add(uid)
                    asked.discard(uid)
                if not asked:
                    return
        for uid in sorted(asked):
            found = self._page(*series, f"SOPInstanceUID={uid}")
            (findings.verified if uid in found else findings.absent).add(uid)

    def _listed(self, study: str, series: str) -> Iterator[str]:
        """Yield the UIDs of a series, page by page, until a page brings nothing new."""
        known: set[str] = set()
        end = self._service.clock.now() + MAX_DURATION * self._timeout
        while len(known) < MAX_ANSWERS and self._service.clock.now() < end:
            page = self._page(study, series, f"limit={PAGE}&offset={len(known)}")
            new = page - known
            yield from new
            known |= new
            if not new:
                return
        raise _failed("the list of a series does not end")

    def _page(self, study: str, series: str, query: str) -> set[str]:
        """Return the UIDs in one answer. Raises RequestError."""
        resource = f"/studies/{study}/series/{series}/instances?{query}"
        response = self._get(resource, ACCEPT)
        is_empty = response.status == 404 and self._service.can_query
        if response.status == 204 or is_empty:
            return set()
        if response.status in NO_SERVICE:
            raise QueryError(Reason(Kind.NOT_OFFERED, "QIDO-RS"))
        found = datasets.read(response.body) if response.is_success else None
        if found is None or response.is_cut:
            raise _failed(f"the server answered QIDO-RS with {response.words}")
        return {uid for one in found for uid in datasets.texts(one, _SOP_INSTANCE_UID)}


class ContentInquirer(_WebInquirer):
    """Inquirer by WADO-RS (PS3.18 10.4): it reads each image, and compares its dataset."""

    def __init__(self, service: WebService) -> None:
        """Use the connections of `service`, and wait for an image as for the answer to it."""
        super().__init__(service)
        self._timeout = service.transport.timeouts.response

    def _groups(self, images: Sequence[ImageReference]) -> Iterable[Sequence[ImageReference]]:
        return ([image] for image in images)

    def _request(self, images: Sequence[ImageReference], findings: Findings) -> None:
        (image,) = images
        uid, syntax = image.sop_instance_uid, image.transfer_syntax_uid
        study, series = image.series
        # Some servers know "as stored" only, and some no syntax by that name.
        for wanted in (syntax, "*"):
            reader = ContentReader()
            accept = f'multipart/related; type="application/dicom"; transfer-syntax={wanted}'
            resource = f"/studies/{study}/series/{series}/instances/{uid}"
            response = self._get(resource, accept, reader.take)
            if response.status not in (400, 406):
                break
        if response.status in (404, 410):
            findings.absent.add(uid)
        elif not response.is_success:
            raise _failed(f"the server answered WADO-RS with {response.words}")
        elif reader.crc32 is None:
            raise _failed("the answer to WADO-RS is not a DICOM file")
        elif image.crc32 is None:
            findings.unknown[uid] = Reason(Kind.NOT_QUERYABLE)
        elif reader.crc32 == image.crc32:
            findings.verified.add(uid)
        else:
            findings.unknown[uid] = Reason(Kind.CONTENT_DIFFERS)


def _failed(detail: str) -> QueryError:
    return QueryError(Reason(Kind.QUERY_FAILED, detail))
