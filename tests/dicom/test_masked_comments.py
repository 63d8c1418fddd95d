"""A server's error comment is shown without values, of its dataset or of another one."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fw_gear_dicom_send.dicom.privacy import Identity

MAX_COMMENT = 64
JANE = Identity(
    (b"Doe^Jane Mary", b"4711", b"19700109", b"ACC 0815", "Müller^Zoë".encode()),
    (b"Knee left, post OP", b"20240305"),
    b"ISO_IR 192",
)
UNKNOWN = Identity(is_known=False)

# dcm4chee-arc-light: StoreService.java and the issues 4459, 4486 and 4968; it cuts at 64
# characters. pynetdicom: service_class.py. Orthanc (StoreScp.cpp) and DCMTK (storescp) send no
# comment. GE (DOC0500644) documents codes only.
COMMENTS = {
    "Patient ID [4711] differs from Patient ID [4712] in previous received object of Study": (
        "Patient ID [...] differs from Patient ID [...] in previous received object of Study"
    ),
    "Patient ID 4711^^^SITE differs from Patient ID 4712^^^SITE in pre": (
        "Patient ID [...] differs from Patient ID [...] in pre"
    ),
    "Patient ID 4711 differs from Patient ID 4712 in previous receive": (
        "Patient ID [...] differs from Patient ID [...] in previous receive"
    ),
    "Patient ID XB differs from Patient ID [4712, LONG] in previous r": (
        "Patient ID [...] differs from Patient ID [...] in previous r"
    ),
    "Patient with 4712^^^SITE differs from previous received object i": (
        "Patient with [...] differs from previous received object i"
    ),
    "No Patient ID (from trusted Assigning Authority) in object.": None,
    "Patient ID missing in object.": None,
    "Storage denied.": None,
    "Failed to query Store Permission Service": None,
    "Rejection for Retention Policy Expired not allowed.": None,
    "Retention Period of Study not yet expired.": None,
    "Rejection Note [uid=1.2.40.0.13.1.1.99] already received.": (
        "Rejection Note [...] already received."
    ),
    "Subsequent occurrence of rejected Object [uid=1.2.40.0.13.1.1, r": (
        "Subsequent occurrence of rejected Object [...]"
    ),
    "Failed to reject Instance[uid=1.2.40.0.13.1.1] - no such Instanc": (
        "Failed to reject Instance[...] - no such [...]"
    ),
    "Patient[pk=70, id=[P2^^^SITE], name=SMITH JOHN] merged with Pati": (
        "Patient[...] merged with [...]"
    ),
    "java.nio.file.AccessDeniedException: /storage/fs1/2023/08/08": (
        "java.nio.file.AccessDeniedException: /[...]"
    ),
    "org.dcm4che3.io.DicomStreamException: Not a DICOM Stream": (
        "[...].io.DicomStreamException: Not a DICOM Stream"
    ),
    "other=GREEK&1.22.4444&ISO": "other[...]",
    "Unable to decode the dataset": None,
    "w_store failed": None,
    "Missing (0010,0020) PatientID, 0xA900, 1.2.840.10008.5.1.4.1.1.2": None,
    "unknown patient DOE, JANE": "unknown patient [...]",
    "jdoe born 9 Jan 1970 is unknown": "[...] born [...] is unknown",
    "patient smith john differs, id (xkcd), name: van der meer": (
        "patient [...] differs, id ([...]), name: [...]"
    ),
    "patient иванов or müller is unknown": "patient [...] or [...] is unknown",
    "patient smith-jones/smith_john exists": "patient [...] exists",
    "KNEE LEFT POST-OP is no procedure": "[...] is no procedure",
    "accession acc-0815 of patient SMITH, JOHN exists": "accession [...] of patient [...] exists",
    "value 'O'Brien's' is bad": "value [...] is bad",
    "the patient “van der Meer” doesn't exist": "the patient [...] doesn't exist",
    'the patient "van der Meer': "the patient [...]",
    "id=van der Meer, state=new": "id[...], state[...]",
    "Do[4711]e": "[...]",
    "name [van] der] is unknown, name [van [der] meer] too": (
        "name [...] is unknown, name [...] too"
    ),
    "M\u00c3\u00bcller is unknown": "[...] is unknown",
    "there is no patient in the database who has the same name: Ja": (
        "there is no patient in the database who has the same name: [...]"
    ),
    f"{'é' * 24} is unknown: ja": "[...] is unknown: [...]",
    "there is no patient in the database who has the same name: jdo": (
        "there is no patient in the database who has the same name: [...]"
    ),
    "the mar of the database is not available: it is read only, sorry": (
        "the [...] of the database is not available: it is read only, [...]"
    ),
    "do[4712]e is unknown": "[...]e is unknown",
    "{van der Meer} and <van der Meer> differ": "[...] and [...] differ",
    "name\0is unknown": "name is unknown",
    "": None,
}


@pytest.mark.parametrize(("comment", "shown"), COMMENTS.items(), ids=list(COMMENTS))
def test_fixed_words_stay(comment: str, shown: str | None) -> None:
    """Quoted and bracketed values, names, numbers and all that the dataset contains are masked."""
    assert JANE.masked(comment) == (comment if shown is None else shown)


def test_the_start_of_a_long_text_is_masked() -> None:
    """A comment has at most 64 characters, so it never contains a long text as a whole."""
    text = "seen in the ward " * 20
    assert Identity.of({0x00204000: text.encode()}).masked(f"bad: {text}"[:64]) == "bad: [...]"


@pytest.mark.parametrize(
    ("comment", "shown"),
    [
        ("No Patient ID (from trusted Assigning Authority) in object.", None),
        ("J O E", "[...]"),
    ],
)
def test_only_fixed_words_stay_for_an_unknown_dataset(comment: str, shown: str | None) -> None:
    """The values of the dataset are not needed for that."""
    assert UNKNOWN.masked(comment) == (shown or comment)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ODD_TEXT = st.text(
    st.sampled_from("abDoeßüÉø1\0^=\\[]\"'“\u2019 \u0301\u200b\xa0山太П-_./,0") | st.characters(),
    min_size=1,
    max_size=20,
)
CHARSETS = [(b"ISO_IR 192", "utf-8"), (b"ISO_IR 100", "latin-1"), (b"ISO_IR 144", "iso8859-5")]


@given(value=ODD_TEXT, before=TEXT, after=TEXT, charset=st.sampled_from(CHARSETS))
def test_no_value_of_the_dataset_survives(
    value: str, before: str, after: str, charset: tuple[bytes, str]
) -> None:
    """Odd characters, quotes in the value and the cut at 64 characters do not uncover it."""
    identity = Identity((value.encode(charset[1], "replace"),), (), charset[0])
    known = value.encode(charset[1], "replace").decode(charset[1])
    masked = identity.masked(f"{before} {known} {after}"[:MAX_COMMENT])
    assert not identity.is_quoted_in(masked)
    letters = "".join(filter(str.isalnum, masked.casefold()))
    words = known.translate(dict.fromkeys(map(ord, "^=\\,;"), " ")).split()
    for word in ("".join(filter(str.isalnum, word.casefold())) for word in words):
        assert len(word) < 4 or word not in letters or word in "".join((before, after)).casefold()


@given(value=st.text(st.characters(exclude_characters="[]\0")))
@pytest.mark.parametrize("identity", [Identity(), JANE, UNKNOWN])
def test_no_value_of_another_dataset_survives_in_brackets(identity: Identity, value: str) -> None:
    """Any characters may be in the brackets, and the cut may remove the last one."""
    assert identity.masked(f"Patient ID [{value}] differs") == "Patient ID [...] differs"
    assert identity.masked(f"Patient ID [{value}") == "Patient ID [...]"


@given(number=st.text(string.digits, min_size=1), letters=st.text(string.ascii_letters))
def test_no_number_of_another_dataset_survives(number: str, letters: str) -> None:
    """An ID of another patient may have letters, too."""
    for value in (letters + number, number + letters, f"{number}-{number}"):
        assert Identity().masked(f"Patient ID {value} exists") == "Patient ID [...] exists"
