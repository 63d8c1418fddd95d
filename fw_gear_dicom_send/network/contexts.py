"""Decides which presentation contexts to propose, and in which associations.

An acceptor accepts one transfer syntax per context (PS3.8 9.3.3.2). So each pair of SOP class and
transfer syntax has a separate context. Explicit and Implicit VR Little Endian are also proposed
for each SOP class (PS3.5 10.1), as fallbacks if the acceptor does not support the original
transfer syntax.
"""

from collections.abc import Iterable
from functools import lru_cache
from itertools import chain

from ..dicom.uids import (
    COMPRESSIONS,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    VERIFICATION,
    name_of,
)
from ..option_values import ConversionMode
from ..values import frozen

FALLBACK_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
MAX_CONTEXTS = 128
"""Contexts of an association: context IDs are odd and below 256 (PS3.8 9.3.2.2)."""


_RESULTS = {
    0: "accepted",
    1: "rejected by the service user",
    2: "rejected without a reason",
    3: "abstract syntax not supported",
    4: "transfer syntax not supported",
}
"""Results of a proposed presentation context (PS3.8 9.3.3.2)."""


@frozen
class Context:
    """Presentation context: one abstract syntax with one transfer syntax."""

    abstract_syntax: str
    transfer_syntax: str

    @property
    def text(self) -> str:
        """The names of both, for people."""
        return f"{name_of(self.abstract_syntax)} in {name_of(self.transfer_syntax)}"


ECHO = Context(VERIFICATION, IMPLICIT_VR_LITTLE_ENDIAN)
"""Context for C-ECHO, which shows whether the server or an image is at fault."""


def storage_contexts() -> list[Context]:
    """Return contexts for all storage SOP classes and transfer syntaxes of pynetdicom."""
    # Importing pynetdicom takes 0.3 s, and only `dicom-send echo` proposes all contexts.
    from pynetdicom import ALL_TRANSFER_SYNTAXES  # type: ignore[attr-defined]
    from pynetdicom.presentation import AllStoragePresentationContexts

    return [
        Context(str(context.abstract_syntax), str(syntax))
        for context in AllStoragePresentationContexts
        for syntax in ALL_TRANSFER_SYNTAXES
    ]


class ContextPlan:
    """Contexts for all images seen so far, in groups that fit into one association."""

    def __init__(self, mode: ConversionMode = ConversionMode.WHEN_NEEDED) -> None:
        """Start without images. `mode` decides how images are converted."""
        self._mode = mode
        self.limit = MAX_CONTEXTS
        self._groups: list[dict[Context, None]] = []

    def include(
        self, wanted: Context, *, alone: bool = False, limit: int = MAX_CONTEXTS
    ) -> tuple[Context, ...]:
        """Return up to `limit` contexts of an association for an image or a query.

        Each new SOP class or transfer syntax adds contexts, as many as fit in a group. Further
        ones start a new group. The last context is that for C-ECHO. With `alone`, only the
        contexts for `wanted` are returned.
        """
        needed = [wanted, *_of_class(wanted, FALLBACK_SYNTAXES)]
        if self._mode is ConversionMode.LOSSLESS and wanted.transfer_syntax == COMPRESSIONS[0]:
            needed += _of_class(wanted, COMPRESSIONS)
        if alone:
            return tuple(dict.fromkeys(needed))
        group = self._group_of(wanted, needed)
        if len(group) >= limit:
            group = dict.fromkeys((*needed, *group))
        return (*tuple(group)[: limit - 1], ECHO)

    def limit_to(self, number: int) -> None:
        """Return at most `number` contexts from now on, in more groups."""
        if number < self.limit:
            self.limit = number
            groups, self._groups = self._groups, []
            for context in chain.from_iterable(groups):
                self.include(context)

    def _group_of(self, wanted: Context, needed: list[Context]) -> dict[Context, None]:
        """Return the group with `wanted`, or else add the needed contexts to one with room."""
        for group in self._groups:
            if wanted in group:
                return group
        for group in self._groups:
            if len(group.keys() | needed) < self.limit:
                break
        else:
            group = {}
            self._groups.append(group)
        group.update(dict.fromkeys(needed))
        return group


@lru_cache(1024)
def candidate_contexts(own: Context, mode: ConversionMode) -> tuple[Context, ...]:
    """Return the contexts in which an image may be sent, the best one first.

    The original transfer syntax is preferred, then explicit VR, which keeps the VRs of private
    elements. With `LOSSLESS`, compressed contexts come first for an uncompressed image.
    """
    uncompressed = _of_class(own, FALLBACK_SYNTAXES)
    if mode is ConversionMode.LOSSLESS and own in uncompressed:
        return tuple(dict.fromkeys((*_of_class(own, COMPRESSIONS), own, *uncompressed)))
    if mode is ConversionMode.UNCOMPRESSED and own not in uncompressed:
        return uncompressed
    return tuple(dict.fromkeys((own, *uncompressed)))


def choose(candidates: Iterable[Context], accepted: frozenset[Context]) -> Context | None:
    """Return the first accepted context, None if the image cannot be sent."""
    return next((context for context in candidates if context in accepted), None)


def _of_class(context: Context, syntaxes: Iterable[str]) -> tuple[Context, ...]:
    return tuple(Context(context.abstract_syntax, uid) for uid in syntaxes)


def describe_result(code: int | None, *, is_accepted: bool) -> str:
    """Return the result of a proposed context in words (PS3.8 9.3.3.2), None for no result."""
    if code is None:
        return "no answer"
    words = _RESULTS.get(code, "rejected for an unknown reason")
    if code == 0 and not is_accepted:
        words = "accepted in a transfer syntax that was not proposed"
    return f"{words} ({code})"
