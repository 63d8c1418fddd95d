"""Glob patterns for file names."""

import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fw_gear_dicom_send.name_patterns import NamePatterns

TEXT = st.text(st.characters(), max_size=20)
"""Any text, including line breaks and lone surrogates."""
PLAIN = st.text("abc.*?[]!-", max_size=10)


@pytest.mark.parametrize(
    ("pattern", "name", "is_match"),
    [
        ("*.dcm", "a.dcm", True),
        ("*.dcm", "a.dcm.zip", False),
        ("*.dcm", ".dcm", True),
        ("*.DCM", "a.dcm", True),
        ("t1*.zip", "T1w MPRAGE.ZIP", True),
        ("a", "a.dcm", False),
        ("*", "", True),
        ("?", "a", True),
        ("?", "ab", False),
        ("?", ",", True),
        ("im[0-9]", "IM7", True),
        ("im[!0-9]", "im7", False),
        ("im[z-a]", "imb", False),
        ("a[b", "a[b", True),
        ("a.b", "axb", False),
        ("(a|b)+\\", "(a|b)+\\", True),
        ("*.dcm", "line\nbreak.dcm", True),
        ("*/scan.dcm", "a/scan.dcm", True),
        ("m\u00fcller*", "mu\u0308ller.dcm", True),
        ("*\u00c9*", "caf\u00e9.dcm", True),
        ("画?.dcm", "画像.dcm", True),
        ("a?.dcm", "a\udcff.dcm", True),
    ],
)
def test_a_pattern_matches_a_whole_name(pattern: str, name: str, is_match: bool) -> None:
    """It supports wildcards, sets, any case and any script; other characters are literal."""
    assert NamePatterns((pattern,)).match(name) is is_match


def test_one_of_several_patterns_is_sufficient() -> None:
    """Without a pattern nothing matches."""
    patterns = NamePatterns(("*.dcm", "*.ima"))
    assert [patterns.match(name) for name in ("a.dcm", "b.ima", "c.txt")] == [True, True, False]
    assert not NamePatterns().match("a")


@given(TEXT, TEXT)
def test_any_pattern_accepts_any_name(pattern: str, name: str) -> None:
    """No text is an error, and a star matches everything."""
    assert NamePatterns((pattern,)).match(name) in {True, False}
    assert NamePatterns((pattern, "*")).match(name)


@given(PLAIN, PLAIN)
def test_it_agrees_with_the_shell(pattern: str, name: str) -> None:
    """For text without case, the rules equal those of Python's fnmatch."""
    assert NamePatterns((pattern,)).match(name) == fnmatchcase(name, pattern)


@given(TEXT.map(lambda text: text.translate({ord(one): None for one in "*?["})))
def test_text_without_wildcards_matches_itself(text: str) -> None:
    """This is true for any characters."""
    assert NamePatterns((text,)).match(text)


def test_a_hostile_pattern_takes_little_time() -> None:
    """A pattern with many stars does not take exponential time."""
    started = time.process_time()
    assert not NamePatterns(("*a" * 400 + "b",)).match("a" * 5000)
    assert time.process_time() - started < 60
