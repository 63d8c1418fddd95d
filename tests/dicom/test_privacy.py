"""One rule for whether a text quotes the patient."""

import pytest

from fw_gear_dicom_send.dicom.privacy import identifying_words, quotes_patient

LI = frozenset(identifying_words(b"Li^Wu^A-1"))


@pytest.mark.parametrize(
    "text",
    [
        "li",
        "Patient LI is unknown",
        "cannot store Li^Wu",
        "scan_li_01.dcm",
        "a/wu.dcm",
        "(Wu)",
        "A-1",
        "x_a-1.dcm",
    ],
)
def test_a_short_word_that_stands_alone_quotes_the_patient(text: str) -> None:
    """Spaces, punctuation, underscores and the ends of the text bound a word."""
    assert quotes_patient(text, LI)


@pytest.mark.parametrize(
    "text", ["cannot deliver", "WuXi.dcm", "alien", "IM1.dcm", "", "li2", "2wu", "a-12", "aa-1"]
)
def test_a_short_word_inside_another_quotes_nobody(text: str) -> None:
    """Letters and digits on either side make it another word."""
    assert not quotes_patient(text, LI)


@pytest.mark.parametrize("text", ["doejane", "xDOEJx", "DoeJ_1.dcm"])
def test_a_word_of_four_characters_is_found_inside_others(text: str) -> None:
    """Names that are joined without a separator are found as well."""
    assert quotes_patient(text, frozenset(identifying_words(b"Doej^Al")))


def test_a_word_of_three_characters_is_not_found_inside_others() -> None:
    """Three characters occur in too many words."""
    assert not quotes_patient("doejane", frozenset(identifying_words(b"Doe")))


def test_words_come_in_both_readings_of_their_bytes() -> None:
    """A server may quote a value as UTF-8 or as Latin-1; single letters are no words."""
    assert set(identifying_words("Müller^J".encode())) == {"müller", "mã¼ller"}
    assert set(identifying_words("Müller^J".encode("latin-1"))) == {"müller", "m\ufffdller"}


def test_separators_part_words() -> None:
    """Components, groups, values, padding and commas are no part of a word."""
    assert set(identifying_words(b"Doe^Jane=Roe\\4711,Sub 12\0")) == {
        "doe",
        "jane",
        "roe",
        "4711",
        "sub",
        "12",
    }
