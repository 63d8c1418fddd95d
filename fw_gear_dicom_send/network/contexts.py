"""Decides which presentation contexts to propose, and in which associations.

An acceptor takes one transfer syntax per context (PS3.8 9.3.3.2), so each pair of
SOP class and transfer syntax has a context of its own. Explicit and Implicit VR
Little Endian are proposed for each SOP class as well (PS3.5 10.1): as ways out,
where the acceptor does not take the images as they are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from ..dicom.uids import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    JPEG_2000_LOSSLESS,
    JPEG_LS_LOSSLESS,
    VERIFICATION,
)
from .types import ConversionMode

WAYS_OUT = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
COMPRESSIONS = (JPEG_LS_LOSSLESS, JPEG_2000_LOSSLESS)
"""The transfer syntaxes that uncompressed images may be compressed to, the best one first."""
MAX_CONTEXTS = 128
"""An association has at most 128: context IDs are odd and below 256 (PS3.8 9.3.2.2)."""


_RESULTS = {
    0: "accepted",
    1: "rejected by the user of the service",
    2: "rejected without a reason",
    3: "abstract syntax not supported",
    4: "transfer syntax not supported",
}
"""What is answered to a presentation context (PS3.8 9.3.3.2)."""


@dataclass(frozen=True)
class Context:
    """A presentation context: one abstract syntax with one transfer syntax."""

    abstract_syntax: str
    transfer_syntax: str


ECHO = Context(VERIFICATION, IMPLICIT_VR_LITTLE_ENDIAN)
"""The context of a C-ECHO, by which a server is told from an image that it cannot take."""


def storage_contexts() -> list[Context]:
    """Return each storage SOP class that pynetdicom knows, in each transfer syntax."""
    # pynetdicom takes 0.3 s to import, and only `dicom-send echo` proposes them all.
    from pynetdicom import ALL_TRANSFER_SYNTAXES  # type: ignore[attr-defined]
    from pynetdicom.presentation import AllStoragePresentationContexts

    return [
        Context(str(context.abstract_syntax), str(syntax))
        for context in AllStoragePresentationContexts
        for syntax in ALL_TRANSFER_SYNTAXES
    ]


class ContextPlan:
    """The contexts for all images seen so far, in groups that fit an association."""

    def __init__(self, mode: ConversionMode = ConversionMode.WHEN_NEEDED) -> None:
        """Begin with no image seen; they are converted by `mode`."""
        self._mode = mode
        self._groups: list[dict[Context, None]] = []

    def include(self, wanted: Context, *, alone: bool = False) -> tuple[Context, ...]:
        """Return the contexts of the association for an image or a query.

        They grow with each new SOP class or transfer syntax, up to 128; what does
        not fit makes a further association. Each has the context of a C-ECHO as well. What is
        wanted `alone` gets one without the others.
        """
        needed = [wanted, *_of_class(wanted, WAYS_OUT)]
        if self._mode is ConversionMode.LOSSLESS and wanted.transfer_syntax == COMPRESSIONS[0]:
            needed += _of_class(wanted, COMPRESSIONS)
        if alone:
            return tuple(dict.fromkeys(needed))
        for group in self._groups:
            if wanted in group:
                return tuple(group)
        for group in self._groups:
            if len(group.keys() | needed) <= MAX_CONTEXTS:
                break
        else:
            group = {ECHO: None}
            self._groups.append(group)
        group.update(dict.fromkeys(needed))
        return tuple(group)


@lru_cache(1024)
def ways(own: Context, mode: ConversionMode) -> tuple[Context, ...]:
    """Return the contexts in which an image may be sent, the best one first.

    An image goes as it is where it may, else explicit VR is preferred: it keeps the VRs of private
    elements. By `LOSSLESS`, one that is uncompressed is compressed rather than that.
    """
    uncompressed = _of_class(own, WAYS_OUT)
    if mode is ConversionMode.LOSSLESS and own in uncompressed:
        return tuple(dict.fromkeys((*_of_class(own, COMPRESSIONS), own, *uncompressed)))
    if mode is ConversionMode.UNCOMPRESSED and own not in uncompressed:
        return uncompressed
    return tuple(dict.fromkeys((own, *uncompressed)))


def choose(candidates: Iterable[Context], accepted: frozenset[Context]) -> Context | None:
    """Return the first context that was accepted, None where an image cannot be sent."""
    return next((context for context in candidates if context in accepted), None)


def _of_class(context: Context, syntaxes: Iterable[str]) -> tuple[Context, ...]:
    return tuple(Context(context.abstract_syntax, uid) for uid in syntaxes)


def describe_result(code: int | None, *, is_accepted: bool) -> str:
    """Return in words what was answered to a context, None is nothing (PS3.8 9.3.3.2)."""
    if code is None:
        return "no answer"
    words = _RESULTS.get(code, "rejected for an unknown reason")
    if code == 0 and not is_accepted:
        words = "accepted in a transfer syntax that was not proposed"
    return f"{words} ({code})"
