"""The table of accepted SOP classes fits 80 columns, and equal SOP classes share one row."""

from string import ascii_letters

import pytest
from pydicom.uid import (
    JPEG2000,
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    RLELossless,
)

from fw_gear_dicom_send.cli.matrix import MAX_NAMED, WIDTH, by_class

PROPOSED = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, JPEG2000, RLELossless)


def test_equal_classes_and_syntaxes_share_a_row_and_a_column() -> None:
    """Rows with more SOP classes come first; rejected SOP classes come last."""
    accepted = {
        "1.2.1": (),
        CTImageStorage: (ImplicitVRLittleEndian, ExplicitVRLittleEndian, JPEG2000),
        MRImageStorage: (ImplicitVRLittleEndian, ExplicitVRLittleEndian),
        "1.2.2": (ImplicitVRLittleEndian, ExplicitVRLittleEndian),
    }
    assert list(by_class(accepted, PROPOSED)) == [
        "Accepted (x) storage SOP classes (rows) and transfer syntaxes (columns):",
        "",
        "      A B",
        "   1  x .",
        "   2  x x",
        "   3  . .",
        "",
        "   1  MR Image Storage; 1.2.2",
        "   2  CT Image Storage",
        "   3  1.2.1",
        "   A  Implicit VR Little Endian; Explicit VR Little Endian",
        "   B  JPEG 2000 Image Compression",
        "",
        "Not accepted for any SOP class: RLE Lossless",
    ]


def test_the_largest_row_has_no_names() -> None:
    """It contains the SOP classes that are in no other row; other long rows name some of theirs."""
    many: dict[str, tuple[str, ...]] = {f"1.2.{n}": (RLELossless,) for n in range(MAX_NAMED + 2)}
    few: dict[str, tuple[str, ...]] = {f"1.3.{n}": () for n in range(MAX_NAMED + 1)}
    lines = list(by_class(many | few, PROPOSED))
    assert "   1  the 14 other SOP classes" in lines
    assert "; and 1 more" in " ".join(lines)
    assert "   1  all 14 storage SOP classes" in list(by_class(many, PROPOSED))


def test_a_server_that_accepts_nothing_has_no_table() -> None:
    """One line says so."""
    nothing = {CTImageStorage: (), MRImageStorage: ()}
    assert list(by_class(nothing, PROPOSED)) == ["No storage SOP class is accepted."]


@pytest.mark.parametrize("number", [1, 26, 27, len(ascii_letters)])
def test_any_number_of_columns_fits(number: int) -> None:
    """However different the accepted transfer syntaxes are, no line is too long."""
    syntaxes = [f"1.2.840.10008.99.{n}" for n in range(number)]
    accepted = {f"1.2.{n}": (syntax,) for n, syntax in enumerate(syntaxes)}
    lines = list(by_class(accepted, syntaxes))
    assert max(map(len, lines)) <= WIDTH
    assert sum(line.count("x") for line in lines[3 : 3 + number]) == number
