"""Verifies which images a server has, by queries or by their content."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from math import inf
from threading import Lock

from ..delivery.results import ImageReference, Verification
from ..delivery.sender import QueryError
from ..network.errors import AssociationError
from ..network.inquiry import MAX_FAILURES, Findings
from ..reasons import Kind, Reason
from . import datasets
from .content import ContentReader
from .errors import WebError
from .messages import Response
from .service import WebService

PAGE = 200
"""Images of an answer to a query: Azure allows no more."""
MAX_ANSWERS = 100_000
"""Maximum number of images in a series, more than any real series has."""
MAX_DURATION = 10
"""Maximum duration of a list, in timeouts of one page: a page may have one image only."""
_NO_SERVICE = (404, 405, 501)
_JSON = (("Accept", "application/dicom+json"),)
_UID = re.compile(r"[0-9.]{1,64}")
_SOP_INSTANCE_UID = "00080018"


class WebInquirer:
    """Inquirer that sends one request after another, over the connections of a service.

    The mutable state is the number of failed requests in a row, and the reason why no more requests
    are sent. The thread that asks holds `_lock`.
    """

    def __init__(self, service: WebService, timeout: float = inf) -> None:
        """Use the connections of `service`, and wait for `timeout` seconds at most."""
        self._service = service
        self._timeout = min(service.transport.timeouts.find, timeout)
        self._lock = Lock()
        self._failures = 0
        self._given_up: Reason | None = None

    @property
    def given_up(self) -> Reason | None:
        """The reason why no more requests are sent, None while they are."""
        return self._given_up

    def verify(self, images: Collection[ImageReference]) -> Verification:
        """Return which of the images the server has. Any thread may call this.

        A failed request affects only its own images. After three failures in a row, no more
        requests are sent.
        """
        findings = Findings()
        with self._lock:
            for group in self._groups([one for one in images if _can_name(one)]):
                reason = self._given_up or self._failure_of(group, findings)
                if reason:
                    findings.note_rest(group, reason)
        findings.note_rest(images, self._given_up or Reason(Kind.NOT_QUERYABLE))
        return findings.result()

    def _groups(self, images: Sequence[ImageReference]) -> Iterable[Sequence[ImageReference]]:
        """Return the images in groups that fail together."""
        raise NotImplementedError

    def _find(self, images: Sequence[ImageReference], findings: Findings) -> None:
        """Request images. Raises QueryError, WebError or AssociationError."""
        raise NotImplementedError

    def _failure_of(self, images: Sequence[ImageReference], findings: Findings) -> Reason | None:
        try:
            self._find(images, findings)
        except (QueryError, WebError, AssociationError) as exc:
            self._failures += 1
            if exc.reason.kind is Kind.NOT_OFFERED or self._failures >= MAX_FAILURES:
                self._given_up = exc.reason
            return exc.reason
        self._failures = 0
        return None


class QueryInquirer(WebInquirer):
    """Inquirer by QIDO-RS (PS3.18 10.6), which can list the images of a series."""

    def present(self, study_instance_uid: str, series_instance_uid: str) -> frozenset[str]:
        """Return the SOP Instance UIDs that the server reports of a series.

        Raises QueryError if the server does not answer.
        """
        if not (_UID.fullmatch(study_instance_uid) and _UID.fullmatch(series_instance_uid)):
            return frozenset()
        with self._lock:
            try:
                return frozenset(self._listed(study_instance_uid, series_instance_uid))
            except (WebError, AssociationError) as exc:
                raise QueryError(exc.reason) from exc

    def _groups(self, images: Sequence[ImageReference]) -> Iterable[Sequence[ImageReference]]:
        for _, group in groupby(sorted(images, key=_series), key=_series):
            yield list(group)

    def _find(self, images: Sequence[ImageReference], findings: Findings) -> None:
        """List the series of images, and query again each image that the list may omit."""
        series, asked = _series(images[0]), {image.sop_instance_uid for image in images}
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
        raise QueryError(Reason(Kind.QUERY_FAILED, "the list of a series does not end"))

    def _page(self, study: str, series: str, query: str) -> set[str]:
        """Return the UIDs in one answer. Raises QueryError, WebError or AssociationError."""
        resource = f"/studies/{study}/series/{series}/instances?{query}"
        response = self._service.send(
            "GET", resource, headers=_JSON, timeout=self._timeout
        ).response
        is_empty = response.status == 404 and self._service.can_query
        if response.status == 204 or is_empty:
            return set()
        if response.status in _NO_SERVICE:
            raise QueryError(Reason(Kind.NOT_OFFERED, "QIDO-RS"))
        found = datasets.read(response.body) if response.is_success else None
        if found is None or response.is_cut:
            raise _failed("QIDO-RS", response)
        return {uid for one in found for uid in datasets.texts(one, _SOP_INSTANCE_UID)}


class ContentInquirer(WebInquirer):
    """Inquirer by WADO-RS (PS3.18 10.4): it reads each image, and compares its dataset."""

    def __init__(self, service: WebService) -> None:
        """Use the connections of `service`, and wait for an image as for the answer to it."""
        super().__init__(service)
        self._timeout = service.transport.timeouts.response

    def _groups(self, images: Sequence[ImageReference]) -> Iterable[Sequence[ImageReference]]:
        return ([image] for image in images)

    def _find(self, images: Sequence[ImageReference], findings: Findings) -> None:
        (image,) = images
        uid, syntax = image.sop_instance_uid, image.transfer_syntax_uid
        study, series = _series(image)
        # Some servers know "as stored" only, and some no syntax by that name.
        for wanted in (syntax, "*"):
            reader = ContentReader()
            accept = f'multipart/related; type="application/dicom"; transfer-syntax={wanted}'
            response = self._service.send(
                "GET",
                f"/studies/{study}/series/{series}/instances/{uid}",
                headers=(("Accept", accept),),
                take=reader.take,
                timeout=self._timeout,
            ).response
            if response.status not in (400, 406):
                break
        if response.status in (404, 410):
            findings.absent.add(uid)
        elif not response.is_success:
            raise _failed("WADO-RS", response)
        elif reader.crc32 is None:
            raise QueryError(Reason(Kind.QUERY_FAILED, "the answer to WADO-RS is not a DICOM file"))
        elif image.crc32 is None:
            findings.unknown[uid] = Reason(Kind.NOT_QUERYABLE)
        elif reader.crc32 == image.crc32:
            findings.verified.add(uid)
        else:
            findings.unknown[uid] = Reason(Kind.CONTENT_DIFFERS)


def _failed(service: str, response: Response) -> QueryError:
    return QueryError(
        Reason(Kind.QUERY_FAILED, f"the server answered {service} with {response.words}")
    )


def _can_name(image: ImageReference) -> bool:
    """Return whether the path of a resource can name an image."""
    return all(map(_UID.fullmatch, (*_series(image), image.sop_instance_uid)))


def _series(image: ImageReference) -> tuple[str, str]:
    return image.study_instance_uid, image.series_instance_uid
