"""Glob patterns for names of files."""

import re
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property
from unicodedata import normalize


@dataclass(frozen=True)
class NamePatterns:
    """Glob patterns, of which one has to match a whole name.

    `*` stands for any text, `?` for one character, `[a-c]` for one of a set and `[!a-c]` for one
    that is not in it. Upper and lower case are the same, and so are the ways in which Unicode
    writes an accented letter.
    """

    patterns: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self.patterns)

    def match(self, name: str) -> bool:
        """Tell whether a pattern matches `name`; it takes time in proportion to its length."""
        return bool(self.patterns) and self._expression.match(_plain(name)) is not None

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return re.compile("|".join(translate(_plain(one)) for one in self.patterns), re.IGNORECASE)


NO_PATTERNS = NamePatterns()


def _plain(text: str) -> str:
    return normalize("NFC", text)
