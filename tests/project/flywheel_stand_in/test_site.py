"""The stand-in site has containers, gears and files, as seen by Flywheel's own SDK."""

import flywheel
import pytest
import requests

from tests.support.flywheel_site import FlywheelSite

SLOW = 30


def test_sdk_resolves_paths(fw: flywheel.Client, project: str, sessions: list[str]) -> None:
    """Containers are found by label and by `<id:...>`."""
    assert fw.lookup("lab").container_type == "group"
    assert fw.lookup("lab/Trial").id == project
    assert fw.lookup("lab/Trial/S2/Visit 2").id == sessions[1]
    assert fw.lookup(["lab", f"<id:{project}>", "S2"]).label == "S2"
    with pytest.raises(flywheel.ApiException) as caught:
        fw.lookup("lab/Trial/S2/Visit 1")
    assert caught.value.status == 404


def test_sdk_finds_gears(fw: flywheel.Client, gear: str) -> None:
    """A gear without a version is its newest version."""
    assert fw.lookup("gears/dicom-send").id == gear
    assert fw.lookup("gears/dicom-send/0.0.9").gear.version == "0.0.9"
    assert [found.id for found in fw.gears.find("gear.name=dicom-send")] == [gear]
    assert fw.get_gear(gear).get_default_config()["port"] == 104
    assert fw.gears.find("gear.name=other") == []


def test_sdk_lists_all_for_admins_only(
    site: FlywheelSite, fw: flywheel.Client, sessions: list[str]
) -> None:
    """An admin who is not a member sees lists with `exhaustive`; other users are rejected."""
    with pytest.raises(flywheel.ApiException) as caught:
        fw.get_all_sessions(exhaustive=True)
    assert caught.value.status == 403
    site.is_admin, site.is_member = True, False
    assert fw.get_all_sessions() == []
    assert [one.id for one in fw.get_all_sessions(exhaustive=True)] == sessions


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([], [1, 2, 3, 4, 5]),
        (["label=Visit 3"], [3]),
        (['label="Visit 3"'], [3]),
        (["label!=Visit 3"], [1, 2, 4, 5]),
        (["label=~^Visit [24]$"], [2, 4]),
        (["timestamp>=2024-02-10", "timestamp<2024-04-10"], [2, 3]),
        (["timestamp>2024-04-10T08:00:00+00:00"], [5]),
        (["created>2024-01-01"], [1, 2, 3, 4, 5]),
        (["tags=odd", "timestamp<=2024-04-01"], [1, 3]),
        (["subject.label=S4"], [4]),
        (["label=3"], []),
    ],
)
def test_sdk_filters_sessions(
    fw: flywheel.Client,
    project: str,
    sessions: list[str],
    filters: list[str],
    found: list[int],
) -> None:
    """A filter returns records that meet all its conditions, page by page."""
    below = fw.get_project(project).sessions.iter_find(*filters, limit=2)
    wanted = [sessions[month - 1] for month in found]
    assert [one.id for one in below] == wanted
    above = fw.sessions.iter_find(f"parents.project={project}", *filters, limit=2)
    assert [one.id for one in above] == wanted


def test_sdk_finds_sessions_by_ids(fw: flywheel.Client, sessions: list[str]) -> None:
    """`=|` matches any value of a list."""
    found = fw.sessions.find(f"_id=|[{sessions[0]},{sessions[3]}]", sort="label:desc", limit=9)
    assert [one.label for one in found] == ["Visit 4", "Visit 1"]
    assert [one.timestamp.month for one in found] == [4, 1]


def test_older_filters_know_no_lists(
    site: FlywheelSite, fw: flywheel.Client, sessions: list[str]
) -> None:
    """A comma in brackets separates conditions, and brackets without one are a part of a value."""
    site.is_old = True
    assert fw.sessions.find(f"_id=|[{sessions[0]}]") == []
    with pytest.raises(flywheel.ApiException) as caught:
        fw.sessions.find(f"_id=|[{sessions[0]},{sessions[3]}]")
    assert caught.value.status == 422
    found = fw.sessions.find("label=~^Visit (1|4)$,timestamp>=2024-02-01")
    assert [one.label for one in found] == ["Visit 4"]


def test_lists_have_no_custom_information(
    site: FlywheelSite, fw: flywheel.Client, project: str, sessions: list[str]
) -> None:
    """Only a container that is requested by its id has it."""
    site.containers[sessions[0]]["info"] = {"a": 1}
    assert fw.get_session(sessions[0]).info == {"a": 1}
    assert fw.get_project(project).sessions()[0].info is None


@pytest.mark.usefixtures("sessions")
def test_page_is_returned_to_clients_that_support_it(site: FlywheelSite) -> None:
    """A client that supports pages receives the total number of records."""
    url = f"{site.url}/api/sessions?limit=2&filter=tags=odd"
    features = ",".join(site.features)
    headers = {"Authorization": site.credentials(site.api_key), "X-Accept-Feature": features}
    bare = requests.get(url, headers=headers, timeout=SLOW).json()
    headers["X-Accept-Feature"] = f"{features},pagination"
    page = requests.get(url, headers=headers, timeout=SLOW).json()
    assert page == {"results": bare, "count": 2, "total": 3}


def test_sdk_reads_files(site: FlywheelSite, fw: flywheel.Client, sessions: list[str]) -> None:
    """Files have their time and origin, whether the SDK has uploaded them or not."""
    site.add_file(site.add_acquisition(sessions[0], "T1"), "a.dcm", b"image")
    session = fw.get_session(sessions[0])
    session.upload_file(flywheel.FileSpec("b.csv", "x,y"))
    (acquisition,) = session.acquisitions()
    for container, name in ((acquisition, "a.dcm"), (session, "b.csv")):
        (file,) = container.reload().files
        assert file.created.utcoffset() is not None
        assert (file.name, file.origin.type.value) == (name, "user")
    assert acquisition.read_file("a.dcm") == b"image"
    assert session.read_file("b.csv") == b"x,y"


def test_bodies_are_recorded(site: FlywheelSite, fw: flywheel.Client, project: str) -> None:
    """A request is recorded with its body."""
    fw.get_project(project)
    fw.lookup("lab/Trial")
    assert [request.body for request in site.requests[-2:]] == [b"", b'{"path": ["lab", "Trial"]}']


@pytest.mark.parametrize(
    ("name", "file_type"),
    [
        ("a.dcm", "dicom"),
        ("A.DCM", "dicom"),
        ("t1.dicom.zip", "dicom"),
        ("1.2.840.5.dcm.zip", "dicom"),
        ("t1.zip", "archive"),
        ("t1.dcm.tgz", "archive"),
        ("t1.tar.gz", "archive"),
        ("t1.dcm.tar", "archive"),
        ("t1.nii.gz", "nifti"),
        ("t1.dcm.gz", None),
        ("dcm", None),
        ("IM0001", None),
    ],
)
def test_new_files_are_typed_by_name(
    site: FlywheelSite, project: str, name: str, file_type: str | None
) -> None:
    """The longest known extension decides, as on the real site; a tar is never DICOM."""
    site.add_file(project, name, b"1")
    assert site.containers[project]["files"][-1]["type"] == file_type
