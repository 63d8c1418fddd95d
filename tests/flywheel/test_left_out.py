"""Files that a run on a Flywheel site does not select are counted, and archives are named."""

import pytest

from fw_gear_dicom_send.left_out import MAX_EXAMPLES, MAX_LENGTH
from fw_gear_dicom_send.models import Container
from tests.support.flywheel_site import FlywheelSite
from tests.support.site_clients import add_session, client_site, gear_config


@pytest.fixture
def session(site: FlywheelSite) -> str:
    """Session without files."""
    return add_session(site)


def left_out(site: FlywheelSite, session: str) -> list[str]:
    """Return the log lines about files that a run on a session does not select."""
    selection = client_site(site).select(gear_config(Container("session", session)))
    return [files.text for files in selection.left_out]


def test_archives_are_named(site: FlywheelSite, session: str) -> None:
    """Files of type `archive` are named, together with the option that selects them."""
    acquisition = site.add_acquisition(session, "CT")
    for name in ("a.tar", "b.tgz", "c.zip", "d.dcm", "e.dicom.zip"):
        site.add_file(acquisition, name, b"1")
    assert left_out(site, session) == [
        "3 files of type archive were not selected: a.tar, b.tgz, c.zip (see the option file_types)"
    ]


def test_other_types_are_counted(site: FlywheelSite, session: str) -> None:
    """Files without DICOM data are counted by type, the most frequent first."""
    for name in ("a.csv", "b.nii", "c.nii.gz", "d"):
        site.add_file(session, name, b"1")
    assert left_out(site, session) == [
        "4 files of other types were not selected: 2 nifti, 1 tabular data, 1 without type"
    ]


def test_deleted_files_are_not_counted(site: FlywheelSite, session: str) -> None:
    """Files that were deleted on the site are not mentioned."""
    site.add_file(session, "a.tar", b"1", deleted=True)
    assert left_out(site, session) == []


def test_one_file_is_in_the_singular(site: FlywheelSite, session: str) -> None:
    """A single file has a singular noun."""
    site.add_file(session, "a.csv", b"1")
    assert left_out(site, session) == ["1 file of other types was not selected: 1 tabular data"]


def test_many_names_stay_short(site: FlywheelSite, session: str) -> None:
    """Of 10,000 archives with long names and 10,000 types, a few are named, each truncated."""
    for number in range(3):
        site.add_file(session, f"{number}", b"1", file_type="archive")
    record = site.containers[session]["files"][0]
    site.containers[session]["files"] = [
        {**record, "name": f"{n}" + "x" * 1000, "type": kind}
        for n in range(10_000)
        for kind in ("archive", f"{n:06}" + "y" * 1000)
    ]
    archives, others = left_out(site, session)
    assert archives.startswith("10,000 files of type archive")
    assert others.startswith("10,000 files of other types")
    for text in (archives, others):
        assert f"… and {10_000 - MAX_EXAMPLES:,} more" in text
        assert len(text) < (MAX_LENGTH + 10) * (MAX_EXAMPLES + 1)


def test_hostile_names_are_printable(site: FlywheelSite, session: str) -> None:
    """Line breaks, control sequences and undecodable bytes are escaped."""
    site.add_file(session, "a\n\x1b[2J\u202e.tar", b"1")
    site.add_file(session, "b\udcff.zip", b"1")
    site.add_file(session, "c", b"1", file_type="odd\ntype")
    assert left_out(site, session) == [
        "2 files of type archive were not selected: a\\n\\x1b[2J\\u202e.tar, b\\xff.zip "
        "(see the option file_types)",
        "1 file of other types was not selected: 1 odd\\ntype",
    ]
