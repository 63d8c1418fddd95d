"""One rule decides whether a text quotes a dataset."""

import pytest

from fw_gear_dicom_send.dicom.privacy import Identity

LI = Identity((b"Li^Wu", b"A-1"))
JANE = Identity(
    (
        b"Doe^Jane Mary=\xe5\xb1\xb1\xe7\x94\xb0^\xe5\xa4\xaa\xe9\x83\x8e",
        b"ID-12.345/6",
        b"19700109",
    ),
    (b"Knee left, post OP", b"20240305", b"20231231235959.5"),
    b"ISO_IR 192",
)
TRICKS = {
    "as it is": "Doe^Jane Mary",
    "another case": "no DOE, JANE here",
    "another order": "patient Jane M. Doe is unknown",
    "joined": "janedoe",
    "joined with an initial": "jdoe has no study",
    "in camel case": "cannot store DoeJaneMary01",
    "with dots": "doe.jane@clinic",
    "spaced out": "J A N E",
    "in full width": "\uff24\uff4f\uff45 \uff2a\uff41\uff4e\uff45",
    "with accents": "Jàné",
    "with combining accents": "Ja\u0301ne",
    "in another script": "山田 太郎",
    "as bytes for the wrong characters": "山田".encode().decode("latin-1"),
    "as such bytes beside other characters": "山田".encode().decode("latin-1") + " и",
    "id without separators": "ID123456",
    "id with other separators": "id 12-345 6",
    "date with dashes": "1970-01-09",
    "German date": "born 9.1.1970",
    "American date": "01/09/1970",
    "short year": "09.01.70",
    "date with a month": "9 Jan 1970",
    "date with a month in front": "January 9, 1970",
    "date in other order": "09011970",
    "date inside a word": "x19700109y",
    "day of the study": "not accepted: study of 2024-03-05",
    "day of a date and time": "31.12.2023",
    "a description": "unknown procedure KNEE LEFT POST-OP",
    "cut at 64 characters": "there is no patient in the database who has the same name: Doe^J",
    "a name cut at 64 characters": "there is no patient in the database who has the name of: Mar",
    "short date": "dob 700109",
}


@pytest.mark.parametrize("text", TRICKS.values(), ids=list(TRICKS))
def test_a_dataset_is_recognized_in_any_notation(text: str) -> None:
    """Reordered, joined, split, cut, without accents, in other characters or date formats."""
    assert JANE.is_quoted_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cannot deliver",
        "Out of resources: disk quota 1970 MB",
        "1.2.840.19700109.20240305.3.4",
        "Data Set does not match SOP Class 1.2.840.10008.5.1.4.1.1.2",
        "knee",
        "Error: Attribute (0010,0020) missing",
    ],
)
def test_other_texts_are_shown(text: str) -> None:
    """Common words, parts of descriptions, and any UIDs are not quotations."""
    assert not JANE.is_quoted_in(text)


@pytest.mark.parametrize(
    ("name", "charset", "text"),
    [
        ("Müller^Zoë".encode("latin-1"), b"ISO_IR 100", "MULLER"),
        ("Müller^Zoë".encode("latin-1"), b"ISO_IR 100", "Mueller"),
        ("Müller^Zoë".encode("latin-1"), b"", "müller"),
        ("Müller^Zoë".encode("latin-1"), b"ISO_IR 192", "müller"),
        ("Müller^Zoë".encode(), b"ISO_IR 192", "MÜLLER"),
        ("Müller^Zoë".encode(), b"ISO_IR 192", "Müller".encode().decode("latin-1")),
        (b"Mueller", b"", "Müller"),
        ("Großmann".encode(), b"ISO_IR 192", "GROSSMANN"),
        ("Søren Łukasz".encode(), b"ISO_IR 192", "lukasz"),
        ("Иванов^Пётр".encode("iso8859-5"), b"ISO_IR 144", "ИВАНОВ"),
        ("Иванов^Пётр".encode("iso8859-5"), b"ISO_IR 144", "петр"),
        ("Иванов".encode("iso8859-5"), b"ISO_IR 144", "Иванов".encode().decode("latin-1")),
        ("王小东".encode("gb18030"), b"GB18030", "王-小东"),
        (b"Yamada=\x1b$B;3ED\x1b(B", b"\\ISO 2022 IR 87", "山田"),
        (b"Doe", b"no such set", "doe"),
        (b"Doe", b"\xff\xfe", "doe"),
    ],
)
def test_a_name_is_recognized_in_its_own_character_set(
    name: bytes, charset: bytes, text: str
) -> None:
    """It is also recognized as UTF-8 and Latin-1, because servers and archives may mislabel it."""
    assert Identity((name,), (), charset).is_quoted_in(text)


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
        "wuli",
    ],
)
def test_a_short_word_that_stands_alone_is_quoted(text: str) -> None:
    """Spaces, punctuation, underscores and the ends of the text delimit a word."""
    assert LI.is_quoted_in(text)


@pytest.mark.parametrize(
    "text", ["cannot deliver", "WuXi.dcm", "alien", "IM1.dcm", "", "li2", "2wu", "a-12", "aa-1"]
)
def test_a_short_word_inside_another_is_not(text: str) -> None:
    """A letter or digit beside it makes it part of another word."""
    assert not LI.is_quoted_in(text)


@pytest.mark.parametrize("text", ["doejane", "xDOEJx", "DoeJ_1.dcm"])
def test_a_word_of_four_characters_is_found_inside_others(text: str) -> None:
    """Names that are joined without a separator are recognized as well."""
    assert Identity((b"Doej^Al",)).is_quoted_in(text)


def test_a_word_of_three_characters_is_not_found_inside_others() -> None:
    """Three characters occur in too many words."""
    assert not Identity((b"Doe",)).is_quoted_in("doejane")


@pytest.mark.parametrize("start", ["j", "ja", "jan"])
def test_the_last_word_of_a_long_text_may_be_the_start_of_a_name(start: str) -> None:
    """It may have been cut after any character."""
    assert Identity((b"Jane",)).is_quoted_in("name: " * 10 + start)
    assert not Identity((b"Jane",)).is_quoted_in("name: " * 9 + start)


def test_padding_and_short_descriptions_are_ignored() -> None:
    """They would match almost any text."""
    assert not Identity((b"", b" ", b"\0"), (b"", b"abc")).is_quoted_in("any text, abc")
