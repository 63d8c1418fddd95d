"""Single tries to send an image by C-STORE (PS3.4 annex B), converted if necessary."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from math import inf
from time import perf_counter

from ..delivery.results import NotSent, Planned, Transfer
from ..delivery.tries import Closed, History, Judged, Lost, Try
from ..dicom.types import SOPInstance, Unreadable
from ..dicom.uids import COMPRESSIONS, name_of, printable_uid
from ..option_values import ConversionMode
from ..reasons import Kind, Reason
from ..retry import MonotonicClock
from ..values import replace
from .association import StorageAssociation
from .contexts import ECHO, Context, candidate_contexts, choose
from .errors import AssociationError, LostAnswerError, NoAssociationError
from .judgement import judge
from .pool import AssociationPool
from .statuses import describe as describe_status

log = logging.getLogger(__name__)

Convert = Callable[[SOPInstance, str], SOPInstance | Unreadable | None]
"""Changes the transfer syntax of an image. Returns None for an image that it cannot compress."""
MAX_WITHOUT_SPACE = 1000
"""Maximum number of images that fail at first if they find no space when they are compressed."""
_NO_SPACE = Reason(Kind.NO_SPACE)


class StoreAttempts:
    """Tries to send images over the associations of a pool.

    An image that finds no space when it is compressed fails the first time, so that the caller
    can send it last and alone. After that, it is sent uncompressed.

    The mutable state is the UIDs of these images, and whether the server `is_unverified`: the check
    sent it no C-ECHO, and it has answered no image since.
    """

    def __init__(
        self,
        pool: AssociationPool,
        convert: Convert,
        *,
        response_timeout: float,
        clock: MonotonicClock,
        conversion: ConversionMode,
        is_dry: bool,
    ) -> None:
        """Send over `pool`; `response_timeout` is in seconds, on `clock` as all times."""
        self._pool = pool
        self._convert = convert
        self._response_timeout = response_timeout
        self._clock = clock
        self._conversion = conversion
        self._is_dry = is_dry
        self._without_space: set[str] = set()
        self.is_unverified = False

    def attempt(self, instance: SOPInstance, history: History, opened_after: float) -> Try:
        """Try to send an image once, on an association that was opened after a time."""
        begun_at = self._clock.now()
        try:
            with self._association(instance, opened_after) as assoc:
                begun_at = self._clock.now()
                return self._store(assoc, instance, history, self._conversion)
        except NoAssociationError as exc:
            return Closed(exc.reason)
        except AssociationError as exc:
            may_be_stored = isinstance(exc, LostAnswerError)
            return Lost(exc.reason, may_be_stored, self._clock.now() - begun_at)

    def probe(self, instance: SOPInstance, opened_after: float) -> Reason | Closed | None:
        """Send a C-ECHO on an association for an image; return the reason if it fails.

        A server that is unverified is then given up, as by the check.
        """
        try:
            with self._association(instance, opened_after) as assoc:
                if ECHO in assoc.accepted:
                    assoc.send_c_echo(ECHO)
                self.is_unverified = False
        except NoAssociationError as exc:
            return Closed(exc.reason)
        except AssociationError as exc:
            if self.is_unverified:
                self._pool.give_up(exc.reason)
                return Closed(exc.reason)
            return exc.reason
        return None

    @contextmanager
    def _association(
        self, instance: SOPInstance, opened_after: float
    ) -> Iterator[StorageAssociation]:
        wanted = candidate_contexts(_context_of(instance), self._conversion)[0]
        study = instance.study_instance_uid
        with self._pool.association(wanted, opened_after, study=study) as assoc:
            try:
                yield assoc
            except AssociationError as exc:
                if assoc.answered_at == -inf:
                    self._pool.note_unserved(exc.reason)
                raise

    def _store(
        self,
        assoc: StorageAssociation,
        instance: SOPInstance,
        history: History,
        mode: ConversionMode,
    ) -> Judged:
        """Send an image, converted if the server or `mode` requires it."""
        own = _context_of(instance)
        candidates = candidate_contexts(own, mode)
        is_fit = own in candidates
        context = choose(candidates, assoc.accepted)
        if context is None:
            return _failure(Kind.NOT_ACCEPTED, (own if is_fit else candidates[0]).text)
        if context == own:
            return self._request(assoc, instance, context, history)
        change = f"{own.text} only as {name_of(context.transfer_syntax)}"
        if mode is ConversionMode.NEVER:
            return _failure(Kind.CONVERSION_OFF, change)
        is_compressed = mode is ConversionMode.LOSSLESS and context.transfer_syntax in COMPRESSIONS
        converted = self._converted(instance, context)
        if not isinstance(converted, SOPInstance):
            if is_compressed and converted == _NO_SPACE and not self._fails(instance, history):
                converted = Reason(Kind.NOT_COMPRESSED, _NO_SPACE.text)
            if not is_compressed or converted == _NO_SPACE:
                return Judged(NotSent(converted or Reason(Kind.NOT_CONVERTIBLE, own.text)))
            judged = self._store(assoc, instance, history, ConversionMode.WHEN_NEEDED)
            return _with_remark(judged, converted) if converted else judged
        with closing(converted):
            judged = self._request(assoc, converted, context, history)
        remark = Reason(Kind.CONVERTED, change)
        if is_compressed or not is_fit:
            names = map(name_of, (own.transfer_syntax, context.transfer_syntax))
            remark = Reason(Kind.CONVERTED_AS_ASKED, " to ".join(names))
        return _with_remark(judged, remark)

    def _converted(self, instance: SOPInstance, context: Context) -> SOPInstance | Reason | None:
        """Convert an image; return the reason if that fails, None if it cannot be compressed."""
        try:
            converted = self._convert(instance, context.transfer_syntax)
        except OSError as exc:
            return Reason(Kind.NOT_CONVERTED, exc.strerror or str(exc))
        return converted.reason if isinstance(converted, Unreadable) else converted

    def _fails(self, instance: SOPInstance, history: History) -> bool:
        """Return whether an image without space when compressed fails, or is sent uncompressed."""
        uid, seen = instance.sop_instance_uid, self._without_space
        if history.tries or uid in seen or len(seen) >= MAX_WITHOUT_SPACE:
            return False
        seen.add(uid)
        return True

    def _request(
        self,
        assoc: StorageAssociation,
        instance: SOPInstance,
        context: Context,
        history: History,
    ) -> Judged:
        syntax, size = context.transfer_syntax, instance.dataset.size
        if self._is_dry:
            return Judged(
                Planned(Transfer(transfer_syntax_uid=syntax, size=size), instance.remarks)
            )
        timeout = self._response_timeout * (2 if history.is_slow else 1)
        timeout = min(timeout, history.answer_timeout)
        begun = perf_counter()
        try:
            response = assoc.send_c_store(instance, context, timeout)
        except OSError as exc:
            return _failure(Kind.NOT_READ, exc.strerror or str(exc))
        except AssociationError as exc:
            if log.isEnabledFor(logging.DEBUG):
                seconds = perf_counter() - begun
                log.debug("%s: no answer: %s", _request_of(assoc, instance, history, seconds), exc)
            raise
        self.is_unverified = False
        seconds = perf_counter() - begun
        if log.isEnabledFor(logging.DEBUG):
            request = _request_of(assoc, instance, history, seconds)
            log.debug("%s: status %s", request, describe_status(response.status))
        judged = judge(response, instance.read_identity, may_be_stored=history.may_be_stored)
        result = judged.result
        transfer = replace(result.transfer, seconds=seconds, transfer_syntax_uid=syntax, size=size)
        remarks = (*instance.remarks, *result.remarks)
        return replace(judged, result=replace(result, transfer=transfer, remarks=remarks))


def _failure(kind: Kind, detail: str) -> Judged:
    """Return the result of an image that was not sent."""
    return Judged(NotSent(Reason(kind, detail)))


def _with_remark(judged: Judged, remark: Reason) -> Judged:
    """Return a result with one more remark, before the existing ones."""
    result = judged.result
    return replace(judged, result=replace(result, remarks=(remark, *result.remarks)))


def _request_of(
    assoc: StorageAssociation, instance: SOPInstance, history: History, seconds: float
) -> str:
    """Return a label for a C-STORE request in the log, with its duration."""
    uid, tries = printable_uid(instance.sop_instance_uid), history.tries + 1
    return f"C-STORE of {uid}, association {assoc.number}, try {tries}, {seconds * 1000:.1f} ms"


def _context_of(instance: SOPInstance) -> Context:
    return Context(instance.sop_class_uid, instance.transfer_syntax_uid)
