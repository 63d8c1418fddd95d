"""Options that select files of a Flywheel site by name, modality and tag."""

import pytest

from fw_gear_dicom_send.models import Container
from fw_gear_dicom_send.values import replace
from tests.support.flywheel_site import FlywheelSite
from tests.support.site_clients import add_session, client_site, gear_config

FILES = (
    ("t1.dcm.zip", "MR", ("qa-passed",)),
    ("T2.DCM.ZIP", "MR", ("qa-failed", "odd")),
    ("ct.dcm", "CT", ("qa-passed",)),
    ("localizer.dcm", None, ()),
)


@pytest.fixture
def session(site: FlywheelSite) -> str:
    """Session with four DICOM files and a table."""
    made = add_session(site)
    acquisition = site.add_acquisition(made, "scan")
    for name, modality, tags in FILES:
        site.add_file(acquisition, name, b"1", modality=modality, tags=tags)
    site.add_file(made, "notes.csv", b"1")
    return made


def chosen(
    site: FlywheelSite, session: str, **options: tuple[str, ...]
) -> tuple[list[str], list[str]]:
    """Return the names of the selected files, and the log lines about excluded DICOM files."""
    config = replace(gear_config(Container("session", session)), **options)
    selection = client_site(site).select(config)
    assert selection.left_out[0].text == "1 file of other types was not selected: 1 tabular data"
    left_out = [files.text for files in selection.left_out[1:]]
    return [entry.name for entry in selection.entries], left_out


@pytest.mark.parametrize(
    ("options", "names", "left_out"),
    [
        ({}, ["t1.dcm.zip", "T2.DCM.ZIP", "ct.dcm", "localizer.dcm"], []),
        (
            {"include": ("*.dcm.zip",)},
            ["t1.dcm.zip", "T2.DCM.ZIP"],
            ["2 files not matched by include were not selected: ct.dcm, localizer.dcm"],
        ),
        (
            {"exclude": ("LOCAL*", "ct*")},
            ["t1.dcm.zip", "T2.DCM.ZIP"],
            ["2 files matched by exclude were not selected: ct.dcm, localizer.dcm"],
        ),
        (
            {"include": ("*.dcm",), "exclude": ("ct*",)},
            ["localizer.dcm"],
            [
                "2 files not matched by include were not selected: t1.dcm.zip, T2.DCM.ZIP",
                "1 file matched by exclude was not selected: ct.dcm",
            ],
        ),
        (
            {"modality": ("mr",)},
            ["t1.dcm.zip", "T2.DCM.ZIP"],
            ["2 files of other modalities were not selected: ct.dcm, localizer.dcm"],
        ),
        (
            {"modality": ("CT", "PT")},
            ["ct.dcm"],
            [
                "3 files of other modalities were not selected: "
                "t1.dcm.zip, T2.DCM.ZIP, localizer.dcm"
            ],
        ),
        (
            {"file_tags": ("qa-passed", "odd")},
            ["t1.dcm.zip", "T2.DCM.ZIP", "ct.dcm"],
            ["1 file without any of the file_tags was not selected: localizer.dcm"],
        ),
        (
            {"file_tags": ("QA-PASSED",)},
            [],
            [
                "4 files without any of the file_tags were not selected: "
                "t1.dcm.zip, T2.DCM.ZIP, ct.dcm, localizer.dcm"
            ],
        ),
        (
            {"modality": ("MR",), "file_tags": ("odd",), "exclude": ("T2*",)},
            [],
            [
                "2 files of other modalities were not selected: ct.dcm, localizer.dcm",
                "1 file without any of the file_tags was not selected: t1.dcm.zip",
                "1 file matched by exclude was not selected: T2.DCM.ZIP",
            ],
        ),
    ],
)
def test_options_select_files(
    site: FlywheelSite,
    session: str,
    options: dict[str, tuple[str, ...]],
    names: list[str],
    left_out: list[str],
) -> None:
    """Each excluded file is named once, for the first option that excludes it."""
    assert chosen(site, session, **options) == (names, left_out)
