"""Glob patterns for names of files."""

import re
from fnmatch import translate
from functools import cached_property
from unicodedata import normalize

from .values import frozen


@frozen
class NamePatterns:
    """Glob patterns. At least one of them must match the whole name.

    `*` matches any text, `?` one character, `[a-c]` one character of a set and `[!a-c]` one
    character outside it. Matching ignores case and the Unicode form of accented letters.
    """

    patterns: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return whether there is any pattern."""
        return bool(self.patterns)

    def match(self, name: str) -> bool:
        """Return whether a pattern matches `name`, in linear time."""
        return bool(self.patterns) and self._expression.match(normalize("NFC", name)) is not None

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        plain = (translate(normalize("NFC", one)) for one in self.patterns)
        return re.compile("|".join(plain), re.IGNORECASE)


NO_PATTERNS = NamePatterns()
