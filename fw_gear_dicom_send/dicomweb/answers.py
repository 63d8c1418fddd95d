"""Results of store requests, decided by the server's answer (PS3.18 10.5.3, I.2).

An image is sent only if the answer names it in the Referenced SOP Sequence, whatever the status
of HTTP: servers answer 200 for images that they ignored, and 400 beside images that they stored.
"""

import re
from collections.abc import Callable, Iterator
from enum import Enum, auto

from ..delivery.results import AlreadyStored, Answer, NotSent, Resending, Sent, Transfer
from ..delivery.tries import Busy, Judged
from ..dicom.types import SOPInstance
from ..network.statuses import DUPLICATE_SOP_INSTANCE, describe, resending_of
from ..reasons import Kind, Reason
from ..text import printable
from ..values import frozen, replace
from . import datasets
from .datasets import Dataset
from .messages import Response

MAX_BODY = 1 << 19
"""Maximum bytes of an answer: 5 KiB for each of 100 images. A list of items takes 60 times that."""
MAX_TEXT = 200
"""Maximum characters of a server's text about an image."""
ALREADY_EXISTS = 45070
"""Azure: an instance with this UID exists."""
BEING_CREATED = 45071
"""Azure: another request is storing the instance."""
_SYNTAX_NOT_SUPPORTED = 0xC122
_PROCESSING_FAILURE = 0x0110
_EXISTS = re.compile(r"already[ _]exists", re.IGNORECASE)
_SEQUENCES = (("00081199", True, "00081196"), ("00081198", False, "00081197"))
"""Referenced and Failed SOP Sequence: whether the images are stored, and the tag of the reason."""
_INSTANCE_UID = "00081155"
_FAILED_ATTRIBUTES, _ERROR_COMMENT = "00741048", "00000902"
_TEXT_OF_GOOGLE = re.compile("0009[0-9A-F]{2}97")
_WARNING = re.compile(r'^299\s+\S+\s+"(.*?)"')
_TEXTS = {
    ALREADY_EXISTS: "0xB00E Instance Already Exists",
    BEING_CREATED: "0xB00F Instance Being Created",
    _SYNTAX_NOT_SUPPORTED: "0xC122 Referenced Transfer Syntax Not Supported",
}
"""Reasons that are no statuses of C-STORE, or mean something else there."""
BUSY = (408, 429, 502, 503, 504)
"""Statuses of a server, or a proxy, that stores nothing now."""
GATEWAY_FAILED = (502, 504)
"""Statuses of a gateway without a valid answer in time (RFC 9110 15.6.3, 15.6.5).

The server behind it may have stored the images: it may have ended the connection after that, or
still be at work. After 408 (15.5.9), 429 (RFC 6585 4) and 503 (15.6.4), it stored nothing: the
request was incomplete, over a limit, or not handled.
"""
NO_SERVICE = (404, 405, 501)
"""Statuses of a server without the requested service."""
_NO_TRANSFER = Transfer()
_WITHHELD = "withheld because it may quote the dataset"


@frozen
class Item:
    """An image in an answer, which `is_stored` or failed.

    `code` is its warning or failure reason (PS3.18 Table I.2-1), None without one.
    """

    sop_instance_uid: str
    is_stored: bool
    code: int | None = None
    text: str = ""

    @property
    def conflict(self) -> "Conflict | None":
        """How to replace the existing image that is in the way, None if there is none."""
        if self.is_stored:
            return None
        if self.code == ALREADY_EXISTS:
            return Conflict.PUT
        is_google = self.code == _PROCESSING_FAILURE and _EXISTS.search(self.text)
        return Conflict.DELETE if is_google else None


class Conflict(Enum):
    """How to replace an existing image: by PUT (Azure), or by DELETE and POST (Google)."""

    PUT = auto()
    DELETE = auto()


@frozen
class StoreAnswer:
    """Response to a store request, with the images that it names.

    The UID of an image may be empty. If the answer `is_readable`, its body is a dataset. `text` is
    about no single image.
    """

    response: Response
    items: tuple[Item, ...] = ()
    is_readable: bool = False
    text: str = ""

    @classmethod
    def of(cls, response: Response, hide: Callable[[str], str] = str) -> "StoreAnswer":
        """Read the body of a response, whatever its status. `hide` replaces texts with secrets."""
        found = datasets.read(response.body[:MAX_BODY])
        named = [item for dataset in found or () for item in _items(dataset, hide)]
        return cls(response, tuple(named), found is not None, hide(_text_of(response)))

    def item_of(self, uid: str, *, is_alone: bool) -> Item | None:
        """Return what the answer says about an image, None if it does not name it.

        In the answer for an image alone, a failed item without UID is about it. An image that is
        both stored and failed has failed.
        """
        own = [one for one in self.items if one.sop_instance_uid == uid]
        if is_alone and not own:
            own = [one for one in self.items if not (one.sop_instance_uid or one.is_stored)]
        return min(own, key=lambda one: one.is_stored, default=None)

    @property
    def is_busy(self) -> bool:
        """Whether the server, or a proxy, stores nothing now: all connections should wait."""
        return self.response.status in BUSY and not self.items

    @property
    def is_refused(self) -> bool:
        """Whether the server refuses the credentials."""
        return self.response.status in (401, 403) and not self.items

    def needs_conversion(self, item: Item | None) -> bool:
        """Return whether the server does not accept the transfer syntax of an image."""
        if item:
            return not item.is_stored and item.code == _SYNTAX_NOT_SUPPORTED
        return self.response.status == 415


def judge(
    answer: StoreAnswer,
    instance: SOPInstance,
    transfer: Transfer = _NO_TRANSFER,
    *,
    is_first_try: bool,
    may_be_stored: bool = False,
    is_alone: bool = True,
) -> Judged | AlreadyStored:
    """Return the result of an image, whose details are those of `transfer`.

    `may_be_stored` means that the answer to an earlier request was lost. An image for which the
    answer gives no good reason gets a second try.
    """
    item = answer.item_of(instance.sop_instance_uid, is_alone=is_alone)
    if not item:
        return _of_response(answer, instance, transfer, is_first_try=is_first_try)
    code, comment = item.code or 0, _shown(item.text, instance)
    words = (_TEXTS.get(code) or describe(code)) if code or item.is_stored else ""
    is_success = item.is_stored and not code
    own = replace(transfer, answer=Answer(code, words, comment, is_success, answer.response.status))
    if is_success:
        return Judged(Sent(own, instance.remarks))
    detail = ", ".join(filter(None, (words or "of unknown meaning", comment)))
    status = f"0x{code:04X}"
    if item.is_stored:
        warning = Reason(Kind.WARNING, detail, status)
        return Judged(Sent(own, (*instance.remarks, warning)))
    if may_be_stored and code in (ALREADY_EXISTS, DUPLICATE_SOP_INSTANCE):
        return Judged(Sent(own, instance.remarks))
    if code == ALREADY_EXISTS:
        return AlreadyStored()
    again = Resending.WHILE_NOTHING_IS_STORED if code == BEING_CREATED else resending_of(code)
    is_out = again is Resending.WHILE_NOTHING_IS_STORED
    kind = Kind.OUT_OF_RESOURCES if is_out else Kind.REFUSED
    if item.conflict or code == _SYNTAX_NOT_SUPPORTED:
        again = Resending.NEVER
    elif item.code is None:
        again, status = Resending.ONCE if is_first_try else Resending.NEVER, ""
    return Judged(NotSent(Reason(kind, detail, status), own, instance.remarks), again)


def _of_response(
    answer: StoreAnswer, instance: SOPInstance, transfer: Transfer, *, is_first_try: bool
) -> Judged:
    """Return the result of an image that the answer does not name."""
    response, comment = answer.response, _shown(answer.text, instance)
    kind, again = Kind.REFUSED, Resending.NEVER
    is_vague = response.is_redirect or response.status in (404, 405)
    if response.status == 413:
        kind = Kind.TOO_LARGE_FOR_SERVER
    elif answer.is_busy:
        kind, again = Kind.OUT_OF_RESOURCES, Resending.WHILE_NOTHING_IS_STORED
    elif response.is_success or answer.is_readable:
        kind, is_vague = Kind.NOT_NAMED, True
    if is_first_try and not answer.is_busy and (is_vague or response.status >= 500):
        again = Resending.ONCE
    status = response.status
    own = replace(transfer, answer=Answer(status, response.words, comment, http_status=status))
    detail = ", ".join(filter(None, (response.words, comment)))
    result = NotSent(Reason(kind, detail, f"HTTP {status}"), own, instance.remarks)
    if answer.is_busy:
        return Busy(result, again, status in GATEWAY_FAILED)
    return Judged(result, again)


def _items(dataset: Dataset, hide: Callable[[str], str]) -> Iterator[Item]:
    for sequence, has_image, reason in _SEQUENCES:
        for item in datasets.items(dataset, sequence):
            uid = next(iter(datasets.texts(item, _INSTANCE_UID)), "")
            yield Item(uid, has_image, datasets.number(item, reason), hide(_text(item)))


def _text(dataset: Dataset) -> str:
    """Return the server's text about an image: its own, Azure's or Google's."""
    found = datasets.texts(dataset, _ERROR_COMMENT)
    for attribute in datasets.items(dataset, _FAILED_ATTRIBUTES):
        found += datasets.texts(attribute, _ERROR_COMMENT)
    for tag in dataset:
        if _TEXT_OF_GOOGLE.fullmatch(tag):
            found += datasets.texts(dataset, tag)
    return "; ".join(found)


def _text_of(response: Response) -> str:
    """Return the text of a response that names no image: dcm4chee's warning, or a title."""
    warning = _WARNING.match(response.headers.get("warning", ""))
    return warning[1] if warning else response.title


def _shown(text: str, instance: SOPInstance) -> str:
    """Return a server's text on one line, unless it may quote the dataset."""
    text = " ".join(text.split())[:MAX_TEXT]
    if text and instance.read_identity().is_quoted_in(text):
        return _WITHHELD
    return printable(text)
