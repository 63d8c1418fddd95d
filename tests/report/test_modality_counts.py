"""Series and images are counted by modality, each image once."""

import pytest

from fw_gear_dicom_send.account import ModalityCount
from fw_gear_dicom_send.dicom.modalities import modality_of
from fw_gear_dicom_send.models import Container, FileEntry, ImageRecord
from fw_gear_dicom_send.report.modality_counts import (
    MAX_MODALITIES,
    MAX_SERIES,
    OTHER,
    ModalityCounts,
)
from tests.support.results import not_sent, sent

ENTRY = FileEntry(Container("acquisition", "a"), "a.zip", "lab/a.zip")
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


def record(sop_class: str, series: str = "1.1", *, is_sent: bool = True) -> ImageRecord:
    result = sent() if is_sent else not_sent("no")
    return ImageRecord(ENTRY, "m", result, sop_class, series_instance_uid=series, size=10)


@pytest.mark.parametrize(
    ("sop_class", "modality"),
    [
        (CT, "CT"),
        (MR, "MR"),
        ("1.2.840.10008.5.1.4.1.1.4.1", "MR"),
        ("1.2.840.10008.5.1.4.1.1.128", "PT"),
        ("1.2.840.10008.5.1.4.1.1.20", "NM"),
        ("1.2.840.10008.5.1.4.1.1.6.1", "US"),
        ("1.2.840.10008.5.1.4.1.1.1.2", "MG"),
        ("1.2.840.10008.5.1.4.1.1.1.1", "DX"),
        ("1.2.840.10008.5.1.4.1.1.88.50", "SR"),
        ("1.2.840.10008.5.1.4.1.1.66.4", "SEG"),
        ("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT"),
        ("1.2.840.10008.5.1.4.1.1.7", "SC"),
        ("1.2.840.10008.5.1.4.1.1.66", "Raw Data"),
        ("1.2.3", "1.2.3"),
        ("", "unknown"),
    ],
)
def test_a_sop_class_has_a_modality(sop_class: str, modality: str) -> None:
    """An unknown SOP class is shown by its name or UID."""
    assert modality_of(sop_class) == modality


def test_images_and_series_are_counted_whether_sent_or_not() -> None:
    """The modality with the most images comes first; images without a series add no series."""
    counts = ModalityCounts()
    for series in ("1.1", "1.1", "1.2", ""):
        counts.image(record(MR, series))
    counts.image(record(CT, is_sent=False))
    assert counts.counts() == (
        ModalityCount("MR", 2, 4, 40),
        ModalityCount("CT", 1, 1, 10),
    )


def test_an_image_that_is_resent_counts_once() -> None:
    """It was counted before."""
    counts = ModalityCounts()
    counts.image(record(CT))
    counts.start_resending()
    counts.image(record(CT))
    assert [one.images for one in counts.counts()] == [1]


def test_counts_are_bounded() -> None:
    """Further modalities count as others, and further series are reported as not counted."""
    counts = ModalityCounts()
    for number in range(MAX_MODALITIES + 2):
        counts.image(record(f"1.2.3.{number}"))
    assert [one.images for one in counts.counts() if one.modality == OTHER] == [2]
    assert not counts.is_cut
    for number in range(MAX_SERIES):
        counts.image(record(CT, f"1.2.{number}"))
    assert counts.is_cut
    assert sum(one.series for one in counts.counts()) == MAX_SERIES
