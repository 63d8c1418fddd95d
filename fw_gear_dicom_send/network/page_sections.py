"""Presentation contexts as a section of the page about a run."""

from collections.abc import Mapping

from ..dicom.uids import name_of
from ..sections import Details, Matrix, Parts, Section
from .contexts import Context

MAX_CONTEXTS = 60
"""Maximum number of SOP classes, and of transfer syntaxes, in the matrix."""
_WORDS = {True: "yes", False: "no", None: ""}


def contexts_section(contexts: Mapping[Context, bool]) -> Section:
    """Return a matrix of accepted transfer syntaxes by SOP class."""
    return Section("Presentation contexts", _contexts(contexts))


def _contexts(contexts: Mapping[Context, bool]) -> Parts:
    if not contexts:
        return ("No presentation context was proposed.",)
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
