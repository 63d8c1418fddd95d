"""Fixed words of a server's messages; everything else in a message may be a value of a dataset."""

import re
from functools import cache

from .dictionary import descriptions
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
_JOINED = re.compile(r"\w[._/\\:]+\w")
_CAMEL_CASE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_BETWEEN_HIDDEN = re.compile(r"\0(?:[^\w\0()\[\]{}]*\0)+")

_MESSAGE_WORDS = """
    a aborted accept accepted accepting accepts already api are argument association associations
    authorized be because busy called calling can cannot client committed configured conflict
    conflicting connect connected connecting connection connections corrupt corrupted could crashed
    create database dataset deadlock decode denied differ different differs disabled discarded disk
    does doesn duplicate encountered errors exceeded exception exceptions exist existing exists
    expired fatal found given has have host however http illegal improper improperly inactive
    incompatible incomplete inconsistent incorrect insert insufficient interrupted invalid io it
    its java license licensed longer malformed match merged mismatch missing moved must net nio no
    none null overloaded parse parsing permission permitted please policy pool problem quota
    reached received refuse refused reject rejects requests retention rolled runtime same save
    saved server socket sql store storing such take than that there this timed timeout too trusted
    unable unauthorized unavailable understand unexpected unhandled unknown unreachable unreadable
    unrecognized unsuccessful unsupported violates was were when who will write writing wrong yet
    you your
"""


def without_values(text: str, *, is_strict: bool) -> str:
    """Return a text with all parts hidden that may be values of any dataset.

    These are quotes and brackets, values of keys, names with a caret, and all digits except UIDs,
    tags and statuses. Of other words, those in lower case stay, unless punctuation joins them or
    the rule `is_strict`. The rest stays if it consists of fixed words.
    """

    def shown_words(part: re.Match[str]) -> str:
        strict = is_strict or bool(_JOINED.search(part[0]))
        return _PART.sub(lambda match: _shown(match, strict), part[0])

    return re.sub(r"\S+", shown_words, _VALUE.sub(HIDDEN, text))


def shown(text: str) -> str:
    """Return a text with `MASK` for its hidden parts, and once for adjacent ones."""
    return _BETWEEN_HIDDEN.sub(HIDDEN, text).replace(HIDDEN, MASK)


def _shown(match: re.Match[str], is_strict: bool) -> str:
    word = match["word"]
    return HIDDEN if word and not _is_fixed(word, is_strict) else match[0]


def _is_fixed(word: str, is_strict: bool) -> bool:
    if not any(map(str.isalnum, word)) or (word.isalpha() and word.islower() and not is_strict):
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
    names = " ".join((*descriptions(), *NAMES.values()))
    return frozenset((*_MESSAGE_WORDS.split(), *re.findall("[a-z]{2,}", names.casefold())))
