"""Presentation contexts as a section of the page about a run."""

from collections.abc import Mapping, Sequence

from ..dicom.uids import name_of, printable_uid
from ..sections import Details, Matrix, Parts, Section
from ..text import quantity
from .contexts import Context

MAX_CONTEXTS = 60
"""Maximum number of SOP classes, and of transfer syntaxes, in the matrix."""
MAX_STUDIES = 100
"""Maximum number of split studies on the page."""
_WORDS = {True: "yes", False: "no", None: ""}


def contexts_section(contexts: Mapping[Context, bool]) -> Section:
    """Return a matrix of accepted transfer syntaxes by SOP class."""
    return Section("Presentation contexts", _contexts(contexts))


def studies_section(split: Sequence[str]) -> Section:
    """Return the Study Instance UIDs that went over several associations."""
    shown = [printable_uid(uid) for uid in split[:MAX_STUDIES]]
    more = len(split) - len(shown)
    parts: Parts = (
        f"{quantity(len(split), 'Study Instance UID')} went over several associations: an "
        "association was lost, an image was resent at the end, or the presentation contexts did "
        "not fit into one association. The archive may have taken the end of each association for "
        "the end of the study.",
        shown,
    )
    return Section("Split studies", (*parts, f"{more:,} more are not shown.") if more else parts)


def _contexts(contexts: Mapping[Context, bool]) -> Parts:
    if not contexts:
        return ()
    classes = list(dict.fromkeys(context.abstract_syntax for context in contexts))
    syntaxes = list(dict.fromkeys(context.transfer_syntax for context in contexts))
    columns = syntaxes[:MAX_CONTEXTS]
    rows = [
        (name_of(sop), [_WORDS[contexts.get(Context(sop, syntax))] for syntax in columns])
        for sop in classes[:MAX_CONTEXTS]
    ]
    matrix = Matrix("SOP class", [name_of(syntax) for syntax in columns], rows)
    is_cut = max(len(classes), len(syntaxes)) > MAX_CONTEXTS
    cut = (f"Only the first {MAX_CONTEXTS} rows and columns are shown.",) if is_cut else ()
    accepted = sum(contexts.values())
    return (Details(f"{accepted:,} of {len(contexts):,} accepted", (matrix, *cut)),)
