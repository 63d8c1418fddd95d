"""Single tries to send an image by STOW-RS (PS3.18 10.5), converted if necessary."""

import logging
from collections.abc import Callable
from contextlib import closing
from functools import partial
from math import inf
from time import perf_counter

from ..delivery.results import NotSent, Planned, Transfer
from ..delivery.tries import Busy, Closed, History, Judged, Lost, Try
from ..dicom.types import SOPInstance, Unreadable
from ..dicom.uids import COMPRESSIONS, name_of, printable_uid
from ..network.contexts import Context, candidate_contexts
from ..network.errors import AssociationError
from ..option_values import ConversionMode, OnConflict
from ..reasons import Kind, Reason
from ..values import replace
from .answers import BUSY, GATEWAY_FAILED, Conflict, StoreAnswer, judge
from .authorization import TokenError
from .batches import Batches, Outcome
from .errors import ClosedError, LostError
from .request import ACCEPT, CONTENT_TYPE, StoreBody, image_path
from .service import Exchange, WebService

log = logging.getLogger(__name__)

Convert = Callable[[SOPInstance, str], SOPInstance | Unreadable | None]
"""Changes the transfer syntax of an image. Returns None for an image that it cannot compress."""
STORE_HEADERS = (("Accept", ACCEPT), ("Content-Type", CONTENT_TYPE))
_PROBE = "/studies?limit=1"


class StowAttempts:
    """Tries to send images over the connections of a service.

    The mutable state is the pairs of SOP class and transfer syntax that the server does not accept.
    """

    def __init__(
        self,
        service: WebService,
        convert: Convert,
        *,
        response_timeout: float,
        conversion: ConversionMode,
        is_dry: bool,
        has_checksums: bool,
        on_conflict: OnConflict,
    ) -> None:
        """Send by `service`; `response_timeout` is in seconds.

        With `has_checksums`, the results of converted images have their CRC-32.
        """
        self._has_checksums = has_checksums
        store = partial(self._stored, "POST", response_timeout)
        self.batches = Batches(store)
        self._replaces = on_conflict is OnConflict.REPLACE
        self._service = service
        self._convert = convert
        self._response_timeout = response_timeout
        self._conversion = conversion
        self._is_dry = is_dry
        self._refused: set[Context] = set()

    def attempt(self, instance: SOPInstance, history: History, opened_after: float) -> Try:
        """Try to send an image once, on a connection that was opened after a time."""
        clock = self._service.clock
        begun_at = clock.now()
        try:
            return self._store(instance, history, opened_after)
        except ClosedError as exc:
            return Closed(exc.reason)
        except LostError as exc:
            # The server may have the image that was to be replaced.
            may_be_stored = exc.is_whole and not self._replaces
            return Lost(exc.reason, may_be_stored, clock.now() - begun_at)
        except (TokenError, AssociationError) as exc:
            return Lost(exc.reason, seconds=clock.now() - begun_at)

    def probe(self, instance: SOPInstance, opened_after: float) -> Reason | Closed | None:  # noqa: ARG002
        """Query one study on a new connection; return the reason if the server does not answer."""
        service = self._service
        try:
            response = service.send(
                "GET",
                _PROBE,
                headers=(("Accept", ACCEPT),),
                timeout=service.transport.timeouts.find,
                opened_after=opened_after,
            ).response
        except ClosedError as exc:
            return Closed(exc.reason)
        except (LostError, TokenError, AssociationError) as exc:
            return exc.reason
        if response.status in (503, *GATEWAY_FAILED):
            return Reason(Kind.NO_CONNECTION, response.words)
        return None

    def _store(self, instance: SOPInstance, history: History, opened_after: float) -> Try:
        """Send an image in the first transfer syntax that the server may accept."""
        own = Context(instance.sop_class_uid, instance.transfer_syntax_uid)
        candidates = candidate_contexts(own, self._conversion)
        remarks: tuple[Reason, ...] = ()
        for context in candidates:
            if context in self._refused:
                continue
            if context == own:
                found = self._request(instance, context, history, opened_after)
            else:
                if self._conversion is ConversionMode.NEVER:
                    break
                change = self._change(own, context, is_fit=own in candidates)
                converted = self._converted(instance, context)
                if not isinstance(converted, SOPInstance):
                    if context.transfer_syntax in COMPRESSIONS:
                        remarks = (converted,) if converted else remarks
                        continue
                    reason = converted or Reason(Kind.NOT_CONVERTIBLE, own.text)
                    return Judged(NotSent(reason, remarks=remarks))
                with closing(converted):
                    found = self._request(converted, context, history, opened_after)
                    found = self._with_checksum(found, converted)
                if found:
                    found = _with_remarks(found, (*remarks, change))
                    remarks = ()
            if found:
                return _with_remarks(found, remarks)
            self._refused.add(context)
        return Judged(NotSent(Reason(Kind.NOT_ACCEPTED, own.text), remarks=remarks))

    def _with_checksum(self, found: Try | None, converted: SOPInstance) -> Try | None:
        """Return the result of a converted image with its CRC-32, if that is needed."""
        if not (self._has_checksums and isinstance(found, Judged)):
            return found
        try:
            crc32 = converted.dataset.crc32()
        except OSError:
            return found
        result = found.result
        transfer = replace(result.transfer, crc32=crc32)
        return replace(found, result=replace(result, transfer=transfer))

    def _change(self, own: Context, context: Context, *, is_fit: bool) -> Reason:
        """Return the remark for a conversion: asked for, or needed by the server."""
        if context.transfer_syntax in COMPRESSIONS or not is_fit:
            names = map(name_of, (own.transfer_syntax, context.transfer_syntax))
            return Reason(Kind.CONVERTED_AS_ASKED, " to ".join(names))
        detail = f"{own.text} only as {name_of(context.transfer_syntax)}"
        return Reason(Kind.CONVERTED, detail)

    def _converted(self, instance: SOPInstance, context: Context) -> SOPInstance | Reason | None:
        """Convert an image; return the reason if that fails, None if it cannot be compressed."""
        try:
            converted = self._convert(instance, context.transfer_syntax)
        except OSError as exc:
            return Reason(Kind.NOT_CONVERTED, exc.strerror or str(exc))
        if not isinstance(converted, Unreadable):
            return converted
        is_compression = context.transfer_syntax in COMPRESSIONS
        is_full = is_compression and converted.reason.kind is Kind.NO_SPACE
        return Reason(Kind.NOT_COMPRESSED, converted.reason.text) if is_full else converted.reason

    def _request(
        self, instance: SOPInstance, context: Context, history: History, opened_after: float
    ) -> Try | None:
        """Send an image; return None if the server does not accept its transfer syntax."""
        syntax, size = context.transfer_syntax, instance.dataset.size
        if self._is_dry:
            transfer = Transfer(transfer_syntax_uid=syntax, size=size)
            return Judged(Planned(transfer, instance.remarks))
        service, begun = self._service, perf_counter()
        timeout = self._response_timeout * (2 if history.is_slow else 1)
        timeout = min(timeout, history.answer_timeout)
        remarks: tuple[Reason, ...] = ()
        try:
            exchange, answer = self._first(instance, history, timeout, opened_after)
            item = answer.item_of(instance.sop_instance_uid, is_alone=True)
            if self._replaces and item and item.conflict:
                found = exchange, answer
                exchange, answer = self._replaced(item.conflict, instance, timeout, found)
                item = answer.item_of(instance.sop_instance_uid, is_alone=True)
                if item and item.is_stored:
                    remarks = (Reason(Kind.OVERWRITTEN),)
        except OSError as exc:
            return Judged(NotSent(Reason(Kind.NOT_READ, exc.strerror or str(exc))))
        seconds = perf_counter() - begun
        _log_request(exchange, instance, history, seconds)
        if answer.is_refused:
            return Closed(service.refuse(exchange.response))
        if answer.is_busy:
            service.pool.pause(exchange.response.retry_after(), exchange.response.words)
        else:
            service.pool.note_success()
        if answer.needs_conversion(item):
            return None
        judged = judge(
            answer,
            instance,
            Transfer(seconds=seconds, transfer_syntax_uid=syntax, size=size),
            is_first_try=history.is_first,
            may_be_stored=history.may_be_stored or exchange.was_carried_out,
        )
        if self._replaces and isinstance(judged, Busy):
            # The server may have the image that was to be replaced.
            judged = replace(judged, may_be_stored=False)
        return _with_remarks(judged, remarks)

    def _first(
        self, instance: SOPInstance, history: History, timeout: float, opened_after: float
    ) -> Outcome:
        """Send an image, if possible in a request with others; return the outcome.

        An image gets a request of its own if the server says nothing about it in a shared one, or
        if another image of that request cannot be read.
        """
        is_shared = history.is_first and opened_after == -inf and self.batches.takes(instance)
        if is_shared:
            try:
                (exchange, answer), is_alone = self.batches.send(instance)
            except OSError:
                return self._asked("POST", instance, timeout)
            item = answer.item_of(instance.sop_instance_uid, is_alone=is_alone)
            if is_alone or item or answer.is_busy or answer.is_refused:
                return exchange, answer
        return self._asked("POST", instance, timeout, opened_after)

    def _asked(
        self, method: str, instance: SOPInstance, timeout: float, opened_after: float = -inf
    ) -> Outcome:
        """Send a store request with one image; return its outcome."""
        return self._stored(method, timeout, lambda: StoreBody((instance,)), opened_after)

    def _stored(
        self,
        method: str,
        timeout: float,
        body: Callable[[], StoreBody],
        opened_after: float = -inf,
    ) -> Outcome:
        """Send a store request; return the exchange, and what the answer says."""
        exchange = self._service.send(
            method,
            "/studies",
            headers=STORE_HEADERS,
            body=body,
            timeout=timeout,
            opened_after=opened_after,
        )
        return exchange, StoreAnswer.of(exchange.response, self._service.hide)

    def _replaced(
        self, conflict: Conflict, instance: SOPInstance, timeout: float, found: Outcome
    ) -> Outcome:
        """Replace an existing image; return the outcome, which is `found` if that is impossible."""
        if conflict is Conflict.PUT:
            return self._asked("PUT", instance, timeout)
        path = image_path(
            instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid
        )
        if not path:
            return found
        deleted = self._service.send("DELETE", path, timeout=timeout)
        if deleted.response.status in BUSY:
            return deleted, StoreAnswer.of(deleted.response, self._service.hide)
        if not deleted.response.is_success:
            return found
        return self._asked("POST", instance, timeout)


def _with_remarks(found: Try, remarks: tuple[Reason, ...]) -> Try:
    """Return a result with further remarks before the existing ones."""
    if not (remarks and isinstance(found, Judged)):
        return found
    result = found.result
    return replace(found, result=replace(result, remarks=(*remarks, *result.remarks)))


def _log_request(
    exchange: Exchange, instance: SOPInstance, history: History, seconds: float
) -> None:
    if log.isEnabledFor(logging.DEBUG):
        log.debug(
            "STOW-RS of %s, connection %d, try %d, %.1f ms: %s",
            printable_uid(instance.sop_instance_uid),
            exchange.connection,
            history.tries + 1,
            seconds * 1000,
            exchange.response.words,
        )
