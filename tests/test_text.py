"""External text is made fit for one line, and values are formatted for people."""

import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fw_gear_dicom_send.errors import UsageError
from fw_gear_dicom_send.text import duration, natural_key, printable, quantity

ANY_TEXT = st.text(st.characters())
"""Any text, including lone surrogates and unassigned characters."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\n\tb", r"a\r\n\tb"),
        ("\x1b[2J\x07\0", r"\x1b[2J\x07\x00"),
        ("\x85\x9b31m", r"\x85\x9b31m"),
        ("\u202etxt.mcd\u2066", r"\u202etxt.mcd\u2066"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        (os.fsdecode(b"M\xfcller.dcm"), r"M\xfcller.dcm"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_unprintable_characters_are_escaped(text: str, shown: str) -> None:
    """These are controls, changes of direction, line separators and undecodable bytes."""
    assert printable(text) == shown


@pytest.mark.parametrize("text", ["", r"a\nb", "Müller 画像\u3000\xa0☃ é.dcm", "=1+1", "'"])
def test_printable_text_is_unchanged(text: str) -> None:
    """Letters, signs and spaces of all scripts, and backslashes, are printable."""
    assert printable(text) == text


@given(ANY_TEXT)
@example("\udcfc")
def test_the_result_is_one_encodable_line(text: str) -> None:
    """This is true for any text; a second application changes nothing."""
    shown = printable(text)
    assert shown.encode().decode() == shown
    assert len(shown.splitlines()) <= 1
    assert printable(shown) == shown


def test_the_message_of_an_error_is_one_line() -> None:
    """It may quote a user's input."""
    assert str(UsageError("a\nb\x1b: there is no such file")) == r"a\nb\x1b: there is no such file"


@pytest.mark.parametrize(
    "names",
    [
        ["series 2", "Series 10", "series 11"],
        ["a", "a1", "a1b", "a01c", "a2", "B"],
        ["1", "2a", f"{'9' * 5000}"],
    ],
)
def test_names_are_sorted_naturally(names: list[str]) -> None:
    """Digits are numbers of any length, and case does not matter."""
    shuffled = [*names[1:], names[0]]
    assert sorted(shuffled, key=natural_key) == names


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (2_000, "2,000 files")]
)
def test_a_noun_agrees_with_its_number(number: int, text: str) -> None:
    """Only one is singular, and thousands are separated."""
    assert quantity(number, "file") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (4.24, "4.2 s"),
        (59.99, "1 min 0 s"),
        (185, "3 min 5 s"),
        (7_800, "2 h 10 min"),
        (3_600_000, "1,000 h 0 min"),
    ],
)
def test_durations_have_readable_units(seconds: float, text: str) -> None:
    """A duration has at most two units."""
    assert duration(seconds) == text
