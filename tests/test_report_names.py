"""Names of reports: fit for any file system, and found again."""

from pathlib import Path

import pytest

from fw_gear_dicom_send.report_names import (
    Report,
    files_pattern,
    is_per_image,
    report_name,
    summary_beside,
    time_in,
)

TIME = "2024-03-05_07-08-09"


def test_name_has_label_and_time() -> None:
    """The report is named after its label and time."""
    name = report_name(Report.FILES, "Visit 1_T1", TIME)
    assert name == f"dicom-send_report-Visit 1_T1_{TIME}.csv"
    dry = report_name(Report.PAGE, "a", TIME, is_dry=True)
    assert dry == f"dicom-send_dry-run-a_{TIME}.html"


@pytest.mark.parametrize("label", ["a/b", "../../etc/passwd", "a\0b", 'a<b>:"|?*\\c', "line\n"])
def test_name_is_a_plain_file_name(label: str) -> None:
    """Characters that a file name cannot contain are removed from the label."""
    stem = report_name(Report.FILES, label, TIME).removesuffix(f"_{TIME}.csv")
    assert not set(stem) & set('/\\\0\n<>:"|?*')


@pytest.mark.parametrize("label", ["", "???", "/"])
def test_name_without_a_label_is_not_empty(label: str) -> None:
    """A label without any valid character has a replacement."""
    name = report_name(Report.FILES, label, TIME)
    assert name == f"dicom-send_report-unnamed_{TIME}.csv"


@pytest.mark.parametrize("label", ["x" * 400, "画" * 200, "é" * 250])
@pytest.mark.parametrize("report", Report)
def test_name_fits_the_file_system(tmp_path: Path, label: str, report: Report) -> None:
    """A long label is truncated so that the file can be created and keeps its extension."""
    name = report_name(report, label, TIME)
    (tmp_path / name).touch()
    assert len(name.encode()) > 250
    assert name.endswith(f"_{TIME}{report.suffix}")
    assert label.startswith(name[18 : -20 - len(report.suffix)])


def test_reports_of_a_label_are_found_again() -> None:
    """Per-file reports of any time are found, but none of another label or kind."""
    pattern = files_pattern("a.b", is_dry=False)
    assert pattern.fullmatch(report_name(Report.FILES, "a.b", TIME))
    assert pattern.fullmatch("dicom-send_report-a.b_1999-12-31_23:59:59.csv")
    for label, report in (
        ("a.b", Report.IMAGES),
        ("aXb", Report.FILES),
        ("a.b_c", Report.FILES),
    ):
        assert not pattern.fullmatch(report_name(report, label, TIME))
    assert not pattern.fullmatch(report_name(Report.FILES, "a.b", TIME, is_dry=True))


def test_reports_of_one_run_are_found_by_their_names() -> None:
    """The summary is beside the report on files; a dry run has no images for `resume`."""
    name = report_name(Report.FILES, "a", TIME)
    assert summary_beside(name) == report_name(Report.SUMMARY, "a", TIME)
    assert is_per_image(report_name(Report.IMAGES, "a\nb", TIME))
    assert not is_per_image(report_name(Report.IMAGES, "a", TIME, is_dry=True))
    assert not is_per_image(name)


def test_the_time_in_the_name_of_a_report() -> None:
    """The newest report decides about an image, in whatever order the reports are given."""
    names = ["b_2026-01-02_10-00-00_instances.csv", "a_2026-01-02_11:00:00.csv", "other.csv"]
    assert [time_in(name) for name in names] == ["2026-01-02_10-00-00", "2026-01-02_11-00-00", ""]
