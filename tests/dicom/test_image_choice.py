"""Selection of images by modality, study and series."""

from io import BytesIO

import pytest
from pydicom import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from fw_gear_dicom_send.dicom.image_choice import ImageChoice
from fw_gear_dicom_send.name_patterns import NamePatterns
from tests.support.sample_files import IS_PYDICOM_2, encoded, made

STUDY, SERIES = "1.2.3.4", "1.2.3.4.5"


def choice(**patterns: str) -> ImageChoice:
    """Return a choice with one pattern for each property."""
    return ImageChoice(**{name: NamePatterns((one,)) for name, one in patterns.items()})


def image(**changes: object) -> Dataset:
    """Return an MR image of a brain."""
    dataset = made(1)
    dataset.Modality = "MR"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY, SERIES
    dataset.StudyDescription, dataset.SeriesDescription = "Brain routine", "t1_mprage"
    for name, value in changes.items():
        setattr(dataset, name, value)
    return dataset


@pytest.mark.parametrize(
    ("patterns", "is_selected"),
    [
        ({}, True),
        ({"modality": "mr"}, True),
        ({"modality": "CT"}, False),
        ({"study": STUDY}, True),
        ({"study": STUDY[:-1]}, False),
        ({"study": "brain*"}, True),
        ({"study": "brain"}, False),
        ({"study": SERIES}, False),
        ({"series": SERIES}, True),
        ({"series": "T1*"}, True),
        ({"series": "Brain*"}, False),
        ({"modality": "MR", "study": "brain*", "series": "t2*"}, False),
        ({"modality": "MR", "study": "brain*", "series": "t1*"}, True),
    ],
)
def test_all_patterns_must_match(patterns: dict[str, str], is_selected: bool) -> None:
    """A study or series matches by its UID or its description; case does not count."""
    selected = choice(**patterns)
    assert selected.selects(BytesIO(encoded(image()))) is is_selected
    assert bool(selected) is bool(patterns)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_any_encoding_is_read(syntax: UID) -> None:
    """A deflated dataset, too, whose size does not matter."""
    dataset = image(PixelData=bytes(1 << 20))
    dataset.file_meta.TransferSyntaxUID = syntax
    if IS_PYDICOM_2:
        dataset.is_implicit_VR = syntax == ImplicitVRLittleEndian
        dataset.is_little_endian = syntax != ExplicitVRBigEndian
    data = encoded(dataset)
    assert choice(series="t1*", modality="MR").selects(BytesIO(data))
    assert not choice(series="t2*").selects(BytesIO(data))


def test_a_missing_value_matches_no_pattern() -> None:
    """An image without Modality is not selected by one; `*` matches it."""
    dataset = image()
    del dataset.Modality
    assert not choice(modality="MR").selects(BytesIO(encoded(dataset)))
    assert choice(modality="*").selects(BytesIO(encoded(dataset)))


@pytest.mark.parametrize("charset", ["ISO_IR 192", "ISO_IR 100"])
def test_accents_match(charset: str) -> None:
    """In UTF-8 and in Latin-1."""
    dataset = image(SpecificCharacterSet=charset, StudyDescription="Schädel nativ")
    assert choice(study="schädel*").selects(BytesIO(encoded(dataset)))


def test_an_unreadable_file_is_selected() -> None:
    """Sending reports why it is unreadable."""
    dataset = image()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data = encoded(dataset)
    assert choice(modality="MR").selects(BytesIO(data[:-8]))
    assert choice(modality="CT").selects(BytesIO(data[:-200] + bytes([0xFF] * 200)))


def test_values_before_damage_decide() -> None:
    """A truncated file of another modality is not selected; sending reports what is unknown."""
    data = encoded(image())
    cut = data[: data.index(b"t1_mprage") + 4]
    assert choice(modality="MR").selects(BytesIO(cut))
    assert not choice(modality="CT").selects(BytesIO(cut))
    assert choice(series=SERIES).selects(BytesIO(cut))
    assert choice(modality="MR").selects(BytesIO(data[: data.index(b"CS\2\0MR") + 5]))
