"""Fixed words of a server's messages; everything else in a message may be a value of a dataset."""

import re
from functools import cache

from .dictionary import description_of, tags_by_keyword
from .uids import NAMES

HIDDEN = "\0"
"""A hidden part of a text, until `shown`."""
MASK = "[...]"

UID = r"(?<![\w.])[0-2](?:\.\d+){4,}"
_VALUE = re.compile(
    # Brackets in one level of brackets, and the rest of a value that contains a bracket.
    r"\[(?:[^][]|\[[^][]*(?:]|\Z))*(?:]|\Z)(?:[^][]*])*"
    r"|\{[^}]*(?:\}|\Z)|<(?=\S)[^>]*(?:>|\Z)"
    r"""|"[^"]*(?:"|\Z)|[\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a\u2018\u201a\u300c\u300e].*?(?:[\u201c\u201d\u00ab\u00bb\u2039\u203a\u2018\u2019\u300d\u300f](?!\w)|\Z)"""
    r"|(?<!\w)['`\u00b4](?=\S).*?(?:['`\u00b4](?!\w)|\Z)"
    r"""|[^][\s{}<>"'=]*[\^@&~|]\S*"""
    rf"|=(?!\s*{UID})[^,;]*",
    re.DOTALL,
)
_PART = re.compile(
    rf"{UID}|\([\da-f]{{4}},[\da-f]{{4}}\)|(?<!\w)0x[\da-f]{{4}}(?!\w)"
    r"|(?P<word>[^\s\0!-/:-@\[-`{-~]+)",
    re.IGNORECASE,
)
"""A UID, a tag, a status, or a word: all characters but space and punctuation of ASCII."""
_CAMEL_CASE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_BETWEEN_HIDDEN = re.compile(r"\0(?:(?:_|[^\w\0()\[\]{}])*\0)+")

_MESSAGE_WORDS = """
    a aborted accept accepted accepting accepts again already another api are argument
    association associations authorized be because born busy called calling can cannot client
    committed compress configured conflict conflicting connect connected connecting connection
    connections corrupt corrupted could crashed create database dataset deadlock decode denied
    differ different differs disabled discarded disk does doesn due duplicate encountered errors
    exceeded exception exceptions exist existing exists expired fatal found free given has have
    here host however http illegal improper improperly inactive incompatible incomplete inconsistent
    incorrect insert insufficient interrupted into invalid io it its java later license licensed
    locked longer malformed match merged mismatch missing moved must net nio no none null
    overloaded parse parsing partition permanent permission permitted please policy pool problem
    quota reached readonly received refuse refused reject rejecting rejects requests resolve
    retention retry rolled rule runtime same save saved server socket some sql still store
    storing such take temporarily than that their there these this timed timeout too trusted
    unable unauthorized unavailable understand unexpected unhandled unknown unreachable
    unreadable unrecognized unsuccessful unsupported violates was were when which while who will
    without write writing wrong yet you your
"""


def without_values(text: str) -> str:
    """Return a text with all parts hidden that may be values of any dataset.

    These are quotes and brackets, values of keys, names with a caret, all digits except UIDs, tags
    and statuses, and all other words that are not fixed ones.
    """
    return _PART.sub(_shown, _VALUE.sub(HIDDEN, text))


def shown(text: str) -> str:
    """Return a text with `MASK` for its hidden parts, and once for adjacent ones."""
    return _BETWEEN_HIDDEN.sub(HIDDEN, text).replace(HIDDEN, MASK)


def _shown(match: re.Match[str]) -> str:
    word = match["word"]
    return HIDDEN if word and not _is_fixed(word) else match[0]


def _is_fixed(word: str) -> bool:
    if not any(map(str.isalnum, word)):
        return True
    known = _known_words()
    return word.isascii() and (
        (len(word) == 1 and word.islower())
        or word.casefold() in known
        or (word.isalpha() and all(part.casefold() in known for part in _CAMEL_CASE.findall(word)))
    )


@cache
def _known_words() -> frozenset[str]:
    """Return the words of servers' messages, and all in the names of elements and classes."""
    names = " ".join((*map(description_of, tags_by_keyword().values()), *NAMES.values()))
    return frozenset((*_MESSAGE_WORDS.split(), *re.findall("[a-z]{2,}", names.casefold())))
