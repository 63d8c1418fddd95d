"""The whole gear, started as Flywheel's engine starts it, against real servers."""

import csv
import errno
import io
import os
import re
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from fw_gear_dicom_send.archive import reader as archive_module
from fw_gear_dicom_send.dicom import stamp as tagger
from fw_gear_dicom_send.dicom.types import PrivateTag, SOPInstance, Unreadable
from fw_gear_dicom_send.flywheel.source import FlywheelSource
from fw_gear_dicom_send.models import Container, GearConfig
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.run import pipeline
from tests.support import archives
from tests.support.compare import added_elements
from tests.support.fault_scp import FaultSCP, Peer, Script, serve
from tests.support.flywheel_site import Cut, Flip, FlywheelSite, Reset, Stall, Status
from tests.support.gear import GearFolder, GearResult
from tests.support.pacs import CStore, Orthanc, PythonSCP, StoreSCP
from tests.support.sample_files import (
    ArchiveMember,
    encoded,
    made,
    member,
    shipped,
    tar_of,
    with_new_uid,
    zip_of,
)

HEADER = ["Acquisition ID", "FW Path", "Filename", "Images in Series", "Images Sent", "Status"]
CT = "1.2.840.10008.5.1.4.1.1.2"
TEXT = ArchiveMember("readme.txt", b"nothing to send")


@dataclass(frozen=True)
class Session:
    """A session on the stand-in site, with what is above it."""

    site: FlywheelSite
    project: str
    subject: str
    session: str

    def acquisition(self, label: str) -> str:
        """Add an acquisition to the session."""
        return self.site.add_acquisition(self.session, label)


@pytest.fixture
def session(site: FlywheelSite) -> Session:
    site.add_group("lab")
    project = site.add_project("lab", "Study A")
    subject = site.add_subject(project, "sub-01")
    return Session(site, project, subject, site.add_session(subject, "visit 1"))


def gear_on(
    folder: Path,
    site: FlywheelSite,
    port: int,
    container_id: str,
    container_type: str = "session",
    **options: object,
) -> GearFolder:
    """Build the gear's folder for a run on a container."""
    peer = {"destination": "127.0.0.1", "port": port, "called_ae": "PACS"}
    return GearFolder(
        folder / "v0",
        peer | options,
        api_key=site.api_key,
        destination_id=container_id,
        destination_type=container_type,
    )


def rows(content: bytes) -> list[list[str]]:
    """Return a report's rows without the header, which is checked."""
    header, *found = csv.reader(io.StringIO(content.decode()))
    assert header == HEADER
    return found


def counts(content: bytes) -> dict[str, tuple[str, ...]]:
    """Return what a report says of each file: images, sent, status."""
    return {row[2]: tuple(row[3:]) for row in rows(content)}


def images(*numbers: int, pixels: int = 16) -> list[ArchiveMember]:
    """Return small images as members of an archive."""
    return [ArchiveMember(f"{n}.dcm", encoded(made(n, pixels=pixels))) for n in numbers]


def uid_of(number: int) -> str:
    """Return the SOP Instance UID of one of `images`."""
    return str(made(number).SOPInstanceUID)


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def assert_work_is_empty(gear: GearFolder) -> None:
    assert list((gear.folder / "work").iterdir()) == []


def test_a_session_goes_to_the_server_and_is_reported(
    tmp_path: Path, session: Session, orthanc: Orthanc
) -> None:
    """All DICOM files of a session arrive as they were but for the tag; the report says so."""
    site = session.site
    archives = [[TEXT, *images(1, 2)], images(3), [member("rtplan.dcm"), member("test-SR.dcm")]]
    first, second = session.acquisition("T1 w"), session.acquisition("plan")
    site.add_file(first, "a.zip", zip_of(tmp_path / "a.zip", archives[0]))
    site.add_file(first, "b.tgz", tar_of(tmp_path / "b.tgz", archives[1], "gz"))
    site.add_file(second, "c.tar.xz", tar_of(tmp_path / "c.tar.xz", archives[2], "xz"))
    site.add_file(second, "single.dcm", shipped("JPEG2000.dcm"))
    site.add_file(second, "notes.pdf", b"%PDF", file_type="pdf")
    gear = gear_on(tmp_path, site, orthanc.port, session.session)

    result = gear.run()

    assert result.exit_code == 0, result.log
    (upload,) = site.reports
    assert (upload.container_type, upload.container_id) == ("session", session.session)
    name = r"dicom-send_report-visit 1_\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d\.csv"
    assert re.fullmatch(name, upload.name)
    path = "lab/Study A/sub-01/visit 1"
    assert rows(upload.content) == [
        [first, f"{path}/T1 w/files/a.zip", "a.zip", "2", "2", "Complete"],
        [first, f"{path}/T1 w/files/b.tgz", "b.tgz", "1", "1", "Complete"],
        [second, f"{path}/plan/files/c.tar.xz", "c.tar.xz", "2", "2", "Complete"],
        [second, f"{path}/plan/files/single.dcm", "single.dcm", "1", "1", "Complete"],
    ]
    sent = [item.content for archive in archives for item in archive if item is not TEXT]
    received = orthanc.instances()
    assert len(received) == 6
    for source in [*sent, shipped("JPEG2000.dcm").read_bytes()]:
        uid = dcmread(io.BytesIO(source)).SOPInstanceUID
        added = added_elements(source, received[uid])
        assert added == [(0x00210010, "Flywheel"), (0x00211000, "DICOM send")]
    assert result.output == ()
    assert_work_is_empty(gear)


def test_each_kind_of_trouble_has_its_row_and_the_run_goes_on(
    tmp_path: Path, session: Session, storescp: StoreSCP
) -> None:
    """Of five acquisitions one file is gone, one broken, one empty, one mixed and one fine."""
    site = session.site
    names = ("gone.zip", "broken.zip", "no dicom.zip", "mixed.zip", "fine.zip")
    acquisitions = [session.acquisition(f"{n}") for n in range(5)]
    gone = site.add_file(acquisitions[0], names[0], b"unreachable")
    site.fault(gone, Status(404))
    whole = zip_of(tmp_path / "whole.zip", images(1, 2)).read_bytes()
    site.add_file(acquisitions[1], names[1], whole[: len(whole) // 2])
    site.add_file(acquisitions[2], names[2], zip_of(tmp_path / "n.zip", [TEXT]))
    mixed = ["MR_small.dcm", "JPEG2000.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm"]
    sources = [with_new_uid(shipped(name)) for name in mixed]
    mix = [ArchiveMember(f"IM{n}", source) for n, source in enumerate(sources)]
    site.add_file(acquisitions[3], names[3], zip_of(tmp_path / "m.zip", mix))
    site.add_file(acquisitions[4], names[4], zip_of(tmp_path / "f.zip", images(3, 4, 5)))

    result = gear_on(tmp_path, site, storescp.port, session.session).run()

    assert result.exit_code == 1
    assert counts(site.reports[0].content) == {
        "gone.zip": ("0", "0", "Failed"),
        "broken.zip": ("0", "0", "Failed"),
        "no dicom.zip": ("0", "0", "Failed"),
        "mixed.zip": ("4", "4", "Complete"),
        "fine.zip": ("3", "3", "Complete"),
    }
    assert "gone.zip: 404 Not Found" in result.log
    assert "broken.zip: the archive is corrupt or cut short" in result.log
    assert "no dicom.zip: it holds no DICOM image" in result.log
    received = {dcmread(path).SOPInstanceUID: path for path in storescp.received()}
    assert len(received) == 7
    for source in sources:
        original = dcmread(io.BytesIO(source))
        arrived = dcmread(received[original.SOPInstanceUID])
        assert arrived.file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID
        assert arrived.PixelData == original.PixelData


@pytest.mark.parametrize("kind", ["dcm", "zip", "tar", "tgz", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_file_given_as_input_is_sent(
    tmp_path: Path, session: Session, python_scp: PythonSCP, kind: str
) -> None:
    """A DICOM file, a zip or a tar of any kind is sent; the report names its acquisition."""
    acquisition = session.acquisition("T2/flair")
    members = [TEXT, *images(1, 2)]
    path = tmp_path / f"input.{kind}"
    if kind == "dcm":
        path.write_bytes(members[1].content)
    elif kind == "zip":
        zip_of(path, members)
    else:
        tar_of(path, members, {"tgz": "gz", "tar": ""}.get(kind, kind.removeprefix("tar.")))
    gear = gear_on(tmp_path, session.site, python_scp.port, acquisition, "acquisition")
    gear.give(path.name, path, parent_id=acquisition)

    result = gear.run()

    assert result.exit_code == 0, result.log
    expected = "1" if kind == "dcm" else "2"
    (upload,) = session.site.reports
    assert upload.container_id == session.session
    assert upload.name.startswith("dicom-send_report-visit 1_T2flair_")
    fw_path = f"lab/Study A/sub-01/visit 1/T2/flair/files/{path.name}"
    assert rows(upload.content) == [
        [acquisition, fw_path, path.name, expected, expected, "Complete"]
    ]
    assert len(python_scp.stored) == int(expected)
    assert path.name in {p.name for p in (gear.folder / "input" / "file").iterdir()}
    assert_work_is_empty(gear)


def test_a_subject_is_sent_with_all_its_sessions(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """A run on a subject sends each of its sessions and attaches the report to the subject."""
    site = session.site
    other = site.add_session(session.subject, "visit 2")
    site.add_file(session.acquisition("A"), "a.zip", zip_of(tmp_path / "a.zip", images(1)))
    site.add_file(site.add_acquisition(other, "B"), "b.dcm", encoded(made(2)))

    result = gear_on(tmp_path, site, python_scp.port, session.subject, "subject").run()

    assert result.exit_code == 0, result.log
    (upload,) = site.reports
    assert (upload.container_type, upload.container_id) == ("subject", session.subject)
    assert upload.name.startswith("dicom-send_report-sub-01_")
    assert [row[1] for row in rows(upload.content)] == [
        "lab/Study A/sub-01/visit 1/A/files/a.zip",
        "lab/Study A/sub-01/visit 2/B/files/b.dcm",
    ]


def test_an_acquisition_is_sent_alone(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """A run on an acquisition leaves the others of its session alone."""
    chosen = session.acquisition("chosen")
    session.site.add_file(chosen, "a.dcm", encoded(made(1)))
    session.site.add_file(session.acquisition("other"), "b.dcm", encoded(made(2)))

    result = gear_on(tmp_path, session.site, python_scp.port, chosen, "acquisition").run()

    assert result.exit_code == 0, result.log
    (upload,) = session.site.reports
    assert upload.container_id == session.session
    assert upload.name.startswith("dicom-send_report-visit 1_chosen_")
    assert counts(upload.content) == {"a.dcm": ("1", "1", "Complete")}


def test_names_of_any_kind_work_and_deleted_files_are_left_out(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """Spaces, unicode and the signs of a URL in a name do no harm; a deleted file is not sent."""
    acquisition = session.acquisition("a?b#c%20 dö")
    names = ("sp ace.dcm", "ünï 漢字.dcm", "a#b.dcm", "100%.dcm", "what?.dcm", "a%2Fb;c&d=e+f.dcm")
    for number, name in enumerate(names):
        session.site.add_file(acquisition, name, encoded(made(number)))
    session.site.add_file(acquisition, "old.dcm", encoded(made(99)), deleted=True)

    result = gear_on(tmp_path, session.site, python_scp.port, session.session).run()

    assert result.exit_code == 0, result.log
    assert [row[2] for row in rows(session.site.reports[0].content)] == list(names)
    assert len(python_scp.stored) == len(names)


def test_what_cannot_be_sent_is_counted(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """Images without UIDs count as not sent, with the reason; a DICOMDIR does not count."""
    nameless, classless = made(1), made(2)
    without_instance = encoded(nameless).replace(
        nameless.SOPInstanceUID.encode(), b" " * len(nameless.SOPInstanceUID)
    )
    without_class = encoded(classless).replace(classless.SOPClassUID.encode(), b" " * 25)
    headerless = encoded(made(3))
    start = headerless.index(b"\x08\x00\x16\x00UI")
    archive = zip_of(
        tmp_path / "odd.zip",
        [
            ArchiveMember("1", without_instance),
            ArchiveMember("2", without_class),
            ArchiveMember("3", headerless[start:]),
            member("dicomdirtests/DICOMDIR"),
            TEXT,
        ],
    )
    session.site.add_file(session.acquisition("odd"), "odd.zip", archive)

    result = gear_on(tmp_path, session.site, python_scp.port, session.session).run()

    assert result.exit_code == 1
    assert counts(session.site.reports[0].content) == {"odd.zip": ("3", "1", "Incomplete")}
    assert "odd.zip: 1 image not sent: it has no SOP Instance UID" in result.log
    assert "odd.zip: 1 image not sent: it has no SOP Class UID" in result.log
    (stored,) = python_scp.stored
    assert stored.sop_instance_uid == made(3).SOPInstanceUID


def test_the_next_file_downloads_while_the_first_is_sent(tmp_path: Path, session: Session) -> None:
    """The server's first answer can wait until the second file was asked for."""
    site, acquisition = session.site, session.acquisition("A")
    for number in (1, 2):
        site.add_file(acquisition, f"{number}.dcm", encoded(made(number)))
    overlapped = []

    def answer(_: CStore) -> int:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if any(path.endswith("/2.dcm") for path in site.asked("GET")):
                overlapped.append(True)
                break
            time.sleep(0.02)
        return 0x0000

    with PythonSCP(status=answer) as scp:
        result = gear_on(tmp_path, site, scp.port, session.session).run()

    assert result.exit_code == 0, result.log
    assert overlapped == [True, True]


def test_a_signed_url_is_used_where_the_site_wants_it(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """A site with signed URLs gets the report through its storage."""
    session.site.signed_url = True
    session.site.add_file(session.acquisition("A"), "a.dcm", encoded(made(1)))
    result = gear_on(tmp_path, session.site, python_scp.port, session.session).run()
    assert result.exit_code == 0, result.log
    assert counts(session.site.reports[0].content) == {"a.dcm": ("1", "1", "Complete")}
    assert any("/storage/" in path for path in session.site.asked("PUT"))
    assert "signature" not in result.log


def test_a_refused_report_stays_in_the_output_folder(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """A read-only key cannot attach the reports: the engine finds them among the outputs."""
    session.site.refuse_uploads = 403
    session.site.add_file(session.acquisition("A"), "a.dcm", encoded(made(1)))
    result = gear_on(tmp_path, session.site, python_scp.port, session.session).run()
    assert result.exit_code == 0, result.log
    report, page, instances = result.output
    stem = report.name.removesuffix(".csv")
    assert stem.startswith("dicom-send_report-visit 1_")
    assert (page.name, instances.name) == (f"{stem}.html", f"{stem}_instances.csv")
    assert counts(report.read_bytes()) == {"a.dcm": ("1", "1", "Complete")}
    assert "403 Forbidden" in result.log


def test_no_report_is_made_where_none_is_wanted(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """With `report` off nothing at all is attached or left; the log still has the table."""
    session.site.add_file(session.acquisition("A"), "a.dcm", encoded(made(1)))
    result = gear_on(tmp_path, session.site, python_scp.port, session.session, report=False).run()
    assert result.exit_code == 0, result.log
    assert session.site.uploads == []
    assert result.output == ()
    assert re.search(r"a\.dcm +1 +1 +Complete", result.log)


def test_the_table_is_the_end_of_the_log(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """The log ends with the report as a table whose columns stand in line."""
    acquisition = session.acquisition("A")
    session.site.add_file(acquisition, "a.dcm", encoded(made(1)))
    session.site.add_file(acquisition, "a much longer name.dcm", encoded(made(2)))
    result = gear_on(tmp_path, session.site, python_scp.port, session.session).run()
    header, *lines = result.stdout.rstrip().splitlines()[-3:]
    assert header.split("  ")[0] == "Acquisition ID"
    assert {line.index("Complete") for line in lines} == {header.index("Status")}


def test_an_empty_session_is_no_success(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """A run that finds nothing to send ends with 1, and its report has no row."""
    session.site.add_file(session.acquisition("A"), "a.nii.gz", b"\x1f\x8b", file_type="nifti")
    result = gear_on(tmp_path, session.site, python_scp.port, session.session).run()
    assert result.exit_code == 1
    assert rows(session.site.reports[0].content) == []
    assert python_scp.associations == ()


def test_a_server_that_is_not_there_ends_the_run_before_any_download(
    tmp_path: Path, session: Session
) -> None:
    """Without a server each file has its row, one line says why, and nothing was downloaded."""
    with PythonSCP() as scp:
        port = scp.port
    archive = zip_of(tmp_path / "a.zip", images(*range(50)))
    acquisition = session.acquisition("A")
    for name in ("a.zip", "b.zip"):
        session.site.add_file(acquisition, name, archive)
    gear = gear_on(tmp_path, session.site, port, session.session)
    result = gear.run()
    assert_failed_at_once(session, gear, result, ["a.zip", "b.zip"])
    told = f"cannot connect to 127.0.0.1 port {port}: Connection refused: check destination and"
    assert told in result.stderr


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (partial(Peer.reject, result=1, source=1, reason=7), "the called AE title 'PACS': check "),
        (partial(Peer.reject, result=1, source=1, reason=3), "AE title 'flywheel': check "),
        (Peer.close, "as a DICOM server does: check that destination and port are those"),
    ],
)
def test_a_server_that_fails_the_check_ends_the_run_before_any_download(
    tmp_path: Path, session: Session, script: Script, told: str
) -> None:
    """A wrong AE title or port is told in one line, within seconds."""
    session.site.add_file(session.acquisition("A"), "a.dcm", encoded(made(1)))
    with FaultSCP(script) as server:
        gear = gear_on(tmp_path, session.site, server.port, session.session)
        result = gear.run()
        assert server.connections == 1
    assert_failed_at_once(session, gear, result, ["a.dcm"])
    assert told in result.stderr


def assert_failed_at_once(
    session: Session, gear: GearFolder, result: GearResult, names: list[str]
) -> None:
    """Nothing was downloaded, each file is reported as failed, and one line says why."""
    assert result.exit_code == 1
    assert result.seconds < 15
    found = counts(session.site.reports[0].content)
    assert found == dict.fromkeys(names, ("0", "0", "Failed"))
    assert not downloads(session.site)
    (error,) = [line for line in result.stderr.splitlines() if "ERROR" in line]
    assert f"{gear.config['config']['destination']} port" in error
    assert "Traceback" not in result.log
    assert_work_is_empty(gear)


def downloads(site: FlywheelSite) -> list[str]:
    """Return the files that were asked for."""
    return [path for path in site.asked("GET") if "/files/" in path]


def test_with_one_association_images_go_in_order(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """All images arrive in the order of their archives, over the same association."""
    acquisition = session.acquisition("A")
    numbers = [3, 1, 4, 15, 9, 2, 6, 5, 35, 8, 97, 93]
    session.site.add_file(acquisition, "a.zip", zip_of(tmp_path / "a.zip", images(*numbers[:8])))
    session.site.add_file(acquisition, "b.zip", zip_of(tmp_path / "b.zip", images(*numbers[8:])))
    gear = gear_on(tmp_path, session.site, python_scp.port, session.session, associations=1)
    result = gear.run()
    assert result.exit_code == 0, result.log
    assert [record.sop_instance_uid for record in python_scp.stored] == list(map(uid_of, numbers))
    assert [record.association for record in python_scp.stored] == [2] * len(numbers)
    assert len(python_scp.associations) == 2
    assert python_scp.released == 2


def test_an_image_may_be_answered_after_its_file_and_those_of_the_next(
    tmp_path: Path, session: Session
) -> None:
    """Four associations carry images at once; each file's row counts its own, in any order."""
    acquisition = session.acquisition("A")
    session.site.add_file(acquisition, "a.zip", zip_of(tmp_path / "a.zip", images(0, 1, 2)))
    session.site.add_file(acquisition, "b.zip", zip_of(tmp_path / "b.zip", images(3, 4, 5, 6, 7)))
    together = []

    def answer(record: CStore) -> int:
        together.append(wait_for(lambda: len(scp.stored) >= 4, 10))
        if record.sop_instance_uid != uid_of(0):
            return 0x0000
        together.append(wait_for(lambda: len(scp.stored) == 8))
        time.sleep(0.5)
        return 0xC000

    with PythonSCP(status=answer) as scp:
        result = gear_on(tmp_path, session.site, scp.port, session.session).run()
        assert len(scp.associations) == 1 + 4
        assert len({record.association for record in scp.stored}) == 4
        assert scp.released == 1 + 4
    assert all(together)
    assert result.exit_code == 1
    assert counts(session.site.reports[0].content) == {
        "a.zip": ("3", "2", "Incomplete"),
        "b.zip": ("5", "5", "Complete"),
    }
    assert "a.zip: 1 image not sent: status 0xC000 Cannot Understand" in result.log
    told = re.findall(r"\S+: \d of \d images sent", result.log)
    assert told == ["b.zip: 5 of 5 images sent", "a.zip: 2 of 3 images sent"]


def test_a_server_that_gives_fewer_associations_is_no_failure(
    tmp_path: Path, session: Session
) -> None:
    """A server with a limit gets all images over what it gives; the log says so once."""
    archive = zip_of(tmp_path / "a.zip", images(*range(60)))
    session.site.add_file(session.acquisition("A"), "a.zip", archive)

    def slowly(_: CStore) -> int:
        time.sleep(0.1)
        return 0x0000

    scp = PythonSCP(status=slowly)
    scp.ae.maximum_associations = 2
    with scp:
        result = gear_on(tmp_path, session.site, scp.port, session.session).run()
        assert len({record.association for record in scp.stored}) <= 2
        assert sorted(r.sop_instance_uid for r in scp.stored) == sorted(map(uid_of, range(60)))
    assert result.exit_code == 0, result.log
    assert counts(session.site.reports[0].content) == {"a.zip": ("60", "60", "Complete")}
    line = r"Going on with [12] of 4 associations: .* its limit of associations is reached"
    assert len(re.findall(line, result.log)) == 1
    assert result.log.count("Going on with") == 1


@pytest.mark.parametrize("associations", [1, 4, 16])
def test_broken_archives_over_any_number_of_associations(
    tmp_path: Path, session: Session, python_scp: PythonSCP, associations: int
) -> None:
    """What could be read of an archive is sent; its row and its reason are right."""
    site, acquisition = session.site, session.acquisition("A")
    members = images(*range(10))
    step = len(archives.tar_entry(members[0].name, members[0].content))
    cut = tar_of(tmp_path / "cut.tar", members)
    cut.write_bytes(cut.read_bytes()[: 7 * step + step // 2])
    damaged = zip_of(tmp_path / "damaged.zip", images(*range(10, 20)))
    archives.set_zip_field(damaged, "15.dcm", "crc", 0)
    site.add_file(acquisition, "cut.tar", cut)
    site.add_file(acquisition, "damaged.zip", damaged)
    site.add_file(acquisition, "fine.zip", zip_of(tmp_path / "fine.zip", images(*range(20, 30))))
    result = gear_on(
        tmp_path, site, python_scp.port, session.session, associations=associations
    ).run()
    assert result.exit_code == 1
    assert counts(site.reports[0].content) == {
        "cut.tar": ("8", "7", "Incomplete"),
        "damaged.zip": ("10", "9", "Incomplete"),
        "fine.zip": ("10", "10", "Complete"),
    }
    told = re.findall(r"\S+: \d+ of \d+ images sent", result.log)
    assert sorted(told) == [
        "cut.tar: 7 of 8 images sent",
        "damaged.zip: 9 of 10 images sent",
        "fine.zip: 10 of 10 images sent",
    ]
    assert "cut.tar: the archive is corrupt or cut short" in result.log
    assert "damaged.zip: 1 image not sent: a member of the archive is corrupt" in result.log
    numbers = [*range(7), *range(10, 15), *range(16, 30)]
    assert {r.sop_instance_uid for r in python_scp.stored} == set(map(uid_of, numbers))
    assert len(python_scp.stored) == len(numbers)


def test_a_server_that_dies_leaves_a_true_report(tmp_path: Path, session: Session) -> None:
    """Images are counted as sent up to the server's death, and as not sent after it."""
    archive = zip_of(tmp_path / "a.zip", images(*range(400)))
    session.site.add_file(session.acquisition("A"), "a.zip", archive)
    with StoreSCP("+xa") as scp:
        gear = gear_on(tmp_path, session.site, scp.port, session.session, send_retry_time=1)
        running = gear.start()
        deadline = time.monotonic() + 30
        while len(scp.received()) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        scp.kill()
        result = running.finish()
        stored = len(scp.received())
    assert result.exit_code == 1
    expected, sent, status = counts(session.site.reports[0].content)["a.zip"]
    assert (expected, status) == ("400", "Incomplete")
    # The last image may have been stored without the server's answer coming through.
    assert int(sent) in {stored, stored - 1}


def test_nothing_is_downloaded_for_a_server_that_is_given_up(
    tmp_path: Path, session: Session
) -> None:
    """The rest of the files fails together: each is told, with the reason."""
    site, acquisition = session.site, session.acquisition("A")
    names = [f"{number:02}.dcm" for number in range(20)]
    for number, name in enumerate(names):
        site.add_file(acquisition, name, encoded(made(number)))

    def reject(peer: Peer) -> None:
        peer.reject(1, 1, 7)

    with FaultSCP(serve, reject) as server:
        result = gear_on(tmp_path, site, server.port, session.session, associations=1).run()
    assert result.exit_code == 1
    assert len(downloads(site)) < len(names) / 2
    found = counts(site.reports[0].content)
    assert list(found) == names
    assert {status for _, _, status in found.values()} == {"Failed"}
    reason = "rejected the association: it does not know the called AE title 'PACS'"
    assert result.log.count(reason) == len(names)


def test_a_server_that_aborts_in_each_image_gets_none(tmp_path: Path, session: Session) -> None:
    """A server that aborts in the middle of each image is told, and the run ends."""
    archive = zip_of(tmp_path / "a.zip", images(1, 2, 3))
    session.site.add_file(session.acquisition("A"), "a.zip", archive)
    with StoreSCP("+xa", "--abort-during") as scp:
        options = {"associations": 1, "send_retry_time": 0}
        result = gear_on(tmp_path, session.site, scp.port, session.session, **options).run()
    assert result.exit_code == 1
    assert counts(session.site.reports[0].content) == {"a.zip": ("3", "0", "Failed")}
    assert "3 images not sent: the connection was lost" in result.log


def test_a_server_that_refuses_images_is_told(tmp_path: Path, session: Session) -> None:
    """The status of refused images stands in the log with its meaning, once with its number."""
    archive = zip_of(tmp_path / "a.zip", images(1, 2, 3))
    session.site.add_file(session.acquisition("A"), "a.zip", archive)
    with PythonSCP(status=[0xC000, 0x0000, 0xC000]) as scp:
        result = gear_on(tmp_path, session.site, scp.port, session.session).run()
    assert result.exit_code == 1
    assert counts(session.site.reports[0].content) == {"a.zip": ("3", "1", "Incomplete")}
    assert "a.zip: 2 images not sent: status 0xC000 Cannot Understand" in result.log


def test_a_cancelled_job_reports_what_it_did(tmp_path: Path, session: Session) -> None:
    """SIGTERM ends the run with 1 and a report in which no file passes for complete."""
    site, acquisition = session.site, session.acquisition("A")
    archive = zip_of(tmp_path / "a.zip", images(*range(20)))
    site.add_file(acquisition, "a.zip", archive)
    site.add_file(acquisition, "b.zip", archive)

    def slowly(_: CStore) -> int:
        time.sleep(0.3)
        return 0x0000

    with PythonSCP(status=slowly) as scp:
        running = gear_on(tmp_path, site, scp.port, session.session).start()
        deadline = time.monotonic() + 30
        while len(scp.stored) < 6 and time.monotonic() < deadline:
            time.sleep(0.05)
        running.cancel()
        result = running.finish()
    assert result.exit_code == 1
    found = counts(site.reports[0].content)
    assert found["a.zip"][2] == "Incomplete"
    assert int(found["a.zip"][1]) >= 2
    assert found["b.zip"] == ("0", "0", "Failed")
    assert "The run was ended by SIGTERM" in result.log
    assert "b.zip: the run ended before it" in result.log


@pytest.mark.parametrize("associations", [1, 4])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_images_in_flight_are_finished_when_the_job_is_cancelled(
    tmp_path: Path, session: Session, associations: int, number: signal.Signals
) -> None:
    """Those that the server still answers count as sent, and no other is begun."""
    site, answering = session.site, threading.Event()
    site.add_file(session.acquisition("A"), "a.zip", zip_of(tmp_path / "a", images(*range(40))))

    def hold(_: CStore) -> int:
        answering.wait(30)
        return 0x0000

    with PythonSCP(status=hold) as scp:
        gear = gear_on(tmp_path, site, scp.port, session.session, associations=associations)
        running = gear.start()
        assert wait_for(lambda: len(scp.stored) == associations)
        os.kill(running.pid, number)
        time.sleep(0.5)
        answering.set()
        result = running.finish(20)
        assert len(scp.stored) == associations
    assert_cancelled(session, gear, result, number)
    _, sent, status = counts(site.reports[0].content)["a.zip"]
    assert (int(sent), status) == (associations, "Incomplete")


def assert_cancelled(
    session: Session, gear: GearFolder, result: GearResult, number: signal.Signals = signal.SIGTERM
) -> None:
    """The report is attached, one line says what ended the job, and no file is left."""
    assert result.exit_code == 1
    assert len(session.site.reports) == 1
    assert f"The run was ended by {number.name}" in result.stderr
    assert "Traceback" not in result.log
    assert_work_is_empty(gear)


def never_answer(peer: Peer) -> None:
    peer.accept()
    peer.read_image()
    peer.stand_still()


@pytest.mark.parametrize(("number", "associations"), [(signal.SIGTERM, 1), (signal.SIGINT, 4)])
def test_a_cancelled_job_does_not_wait_for_a_silent_server(
    tmp_path: Path, session: Session, associations: int, number: signal.Signals
) -> None:
    """The run ends within 10 s; a second signal, of either kind, takes nothing away."""
    site = session.site
    site.add_file(session.acquisition("A"), "a.zip", zip_of(tmp_path / "a", images(*range(40))))
    with FaultSCP(never_answer) as server:
        gear = gear_on(tmp_path, site, server.port, session.session, associations=associations)
        running = gear.start()
        assert wait_for(lambda: len(server.images) == associations)
        begun = time.monotonic()
        os.kill(running.pid, number)
        for second in (signal.SIGTERM, signal.SIGINT):
            time.sleep(0.1)
            os.kill(running.pid, second)
        result = running.finish(20)
        assert time.monotonic() - begun < 10
        assert len(server.images) == associations
    assert_cancelled(session, gear, result, number)
    _, sent, status = counts(site.reports[0].content)["a.zip"]
    assert (sent, status) == ("0", "Failed")


def test_a_job_is_cancelled_while_a_file_is_downloaded(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """A site that stalls does not hold up the end; no part of the file is left."""
    site = session.site
    site.fault(
        site.add_file(session.acquisition("A"), "a.dcm", encoded(made(1))), Stall(60, after=500)
    )
    gear = gear_on(tmp_path, site, python_scp.port, session.session)
    running = gear.start()
    assert wait_for(lambda: bool(downloads(site)))
    begun = time.monotonic()
    running.cancel()
    result = running.finish(20)
    assert time.monotonic() - begun < 10
    assert_cancelled(session, gear, result)
    assert counts(site.reports[0].content) == {"a.dcm": ("0", "0", "Failed")}
    assert "a.dcm: the run ended before it" in result.log


def test_a_job_is_cancelled_while_an_archive_is_unpacked(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """An image that unpacks to much is left in its middle, and nothing of it stays."""
    site = session.site
    large = ArchiveMember("1.dcm", encoded(made(1)) + bytes(300_000_000))
    site.add_file(session.acquisition("A"), "a.zip", zip_of(tmp_path / "a.zip", [large]))
    gear = gear_on(tmp_path, site, python_scp.port, session.session)
    running = gear.start()
    assert wait_for(lambda: bool(downloads(site)))
    time.sleep(0.2)
    running.cancel()
    result = running.finish(20)
    assert_cancelled(session, gear, result)
    assert counts(site.reports[0].content)["a.zip"][1:] == ("0", "Failed")


def test_a_job_is_cancelled_in_the_check_of_the_server(tmp_path: Path, session: Session) -> None:
    """A server that says nothing does not hold up the end, and the report has all rows."""
    site = session.site
    site.add_file(session.acquisition("A"), "a.dcm", encoded(made(1)))
    with FaultSCP(Peer.stand_still) as server:
        gear = gear_on(tmp_path, site, server.port, session.session)
        running = gear.start()
        assert wait_for(lambda: server.connections == 1)
        begun = time.monotonic()
        running.cancel()
        result = running.finish(20)
        assert time.monotonic() - begun < 10
    assert_cancelled(session, gear, result)
    assert counts(site.reports[0].content) == {"a.dcm": ("0", "0", "Failed")}
    assert not downloads(site)


def test_a_full_disk_costs_only_what_needs_it(tmp_path: Path, session: Session) -> None:
    """What cannot be downloaded, unpacked or converted is told; small images go on."""
    site, acquisition = session.site, session.acquisition("A")
    limit = 2_000_000
    large = encoded(made(1, pixels=1200))
    compressed = made(2, pixels=1200)
    compressed.compress(RLELossless)
    site.add_file(acquisition, "large.dcm", large)
    unpacked = zip_of(tmp_path / "u.zip", [ArchiveMember("1", large), *images(3)])
    site.add_file(acquisition, "unpacked.zip", unpacked)
    site.add_file(acquisition, "converted.dcm", encoded(compressed))
    site.add_file(acquisition, "small.zip", zip_of(tmp_path / "s.zip", images(4, 5)))
    with PythonSCP({CT: [ExplicitVRLittleEndian]}) as scp:
        gear = gear_on(tmp_path, site, scp.port, session.session)
        running = gear.start()
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (limit, limit))
        result = running.finish(60)
    assert result.exit_code == 1
    found = counts(site.reports[0].content)
    assert found["large.dcm"] == ("0", "0", "Failed")
    assert found["unpacked.zip"] == ("2", "1", "Incomplete")
    assert found["converted.dcm"] == ("1", "0", "Failed")
    assert found["small.zip"] == ("2", "2", "Complete")
    assert "large.dcm: cannot be written to disk: File too large" in result.log
    assert "unpacked.zip: 1 image not sent: no space left to unpack a member" in result.log
    assert "converted.dcm: 1 image not sent: cannot be converted from RLE Lossless" in result.log
    assert "Traceback" not in result.log
    assert_work_is_empty(gear)


Run = Callable[[], tuple[str, ...]]


@pytest.fixture
def run_here(tmp_path: Path, session: Session, python_scp: PythonSCP) -> Run:
    """Send six images in this process; return what the report says of them."""
    return partial(send_six_images, tmp_path, session, python_scp.port)


def send_six_images(tmp_path: Path, session: Session, port: int) -> tuple[str, ...]:
    site = session.site
    archive = zip_of(tmp_path / "a.zip", images(*range(6)))
    site.add_file(session.acquisition("A"), "a.zip", archive)
    work, output = tmp_path / "work", tmp_path / "output"
    for folder in (work, output):
        folder.mkdir()
    config = GearConfig(
        peer=PeerAE("127.0.0.1", port, "PACS", "flywheel"),
        tls=None,
        tag=PrivateTag(0x0021, "Flywheel", "DICOM send"),
        destination=Container("session", session.session),
        input_file=None,
        api_key=site.api_key,
        file_download_retry_time=0,
        send_retry_time=0,
        associations=2,
        report=True,
    )
    assert not pipeline.run(config, FlywheelSource(config), work, output)
    assert [*work.iterdir(), *output.iterdir()] == []
    return counts(site.reports[0].content)["a.zip"]


NO_SPACE = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(("failed", "number"), [(1, "1 image"), (6, "6 images")])
def test_an_image_that_cannot_be_stamped_fails_alone(
    run_here: Run,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failed: int,
    number: str,
) -> None:
    """For want of disk space it is not sent, and told; the others are."""
    calls: list[int] = []
    real = tagger.stamp

    def stamp(*arguments: Any) -> SOPInstance | Unreadable:
        calls.append(1)
        if len(calls) <= failed:
            raise NO_SPACE
        return real(*arguments)

    monkeypatch.setattr(tagger, "stamp", stamp)
    found = run_here()
    assert found == ("6", str(6 - failed), "Failed" if failed == 6 else "Incomplete")
    reason = "the image could not be stamped: No space left on device"
    assert f"a.zip: {number} not sent: {reason}" in caplog.text


def test_an_archive_that_cannot_be_unpacked_is_told(
    run_here: Run,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What was read before the disk was full is sent, and the reason is in the log."""
    real = archive_module.read

    def read(*arguments: Any) -> Iterator[object]:
        yield from islice(real(*arguments), 4)
        raise NO_SPACE

    monkeypatch.setattr(archive_module, "read", read)
    found = run_here()
    assert found[1:] == ("4", "Incomplete")
    assert "a.zip: it could not be unpacked: No space left on device" in caplog.text


def test_a_work_folder_that_cannot_be_written_to_is_told(tmp_path: Path, session: Session) -> None:
    """A path that is no folder stops the run before the server is asked, after the report."""
    site = session.site
    site.add_file(session.acquisition("A"), "a.dcm", encoded(made(1)))
    with PythonSCP() as scp:
        gear = gear_on(tmp_path, site, scp.port, session.session)
        (gear.folder / "work").rmdir()
        (gear.folder / "work").symlink_to("/proc/self")
        result = gear.run()
        assert scp.associations == ()
    assert result.exit_code == 1
    assert counts(site.reports[0].content) == {"a.dcm": ("0", "0", "Failed")}
    assert "ERROR" in result.stderr
    assert "The work folder cannot be written to: " in result.stderr
    assert "Unexpected" not in result.log
    assert "Traceback" not in result.log
    assert not downloads(site)


def test_what_the_site_does_wrong_is_told_and_the_rest_goes_on(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """Bursts of 503, bodies cut short, resets, a key that expired and files that changed."""
    site, acquisition = session.site, session.acquisition("A")
    files = {
        "burst.dcm": [Status(503), Status(503)],
        "cut.dcm": [Cut(after=500)],
        "reset.dcm": [Reset()],
        "expired.dcm": [Status(401)],
        "other.dcm": [Flip(at=9)] * 50,
        "fine.dcm": [],
    }
    for number, (name, faults) in enumerate(files.items()):
        site.fault(site.add_file(acquisition, name, encoded(made(number))), *faults)
    site.add_file(acquisition, "longer.dcm", encoded(made(8)), size=10)
    options = {"file_download_retry_time": 3}
    result = gear_on(tmp_path, site, python_scp.port, session.session, **options).run()
    assert result.exit_code == 1
    sent, failed = ("1", "1", "Complete"), ("0", "0", "Failed")
    assert counts(site.reports[0].content) == dict.fromkeys(files, sent) | {
        "expired.dcm": failed,
        "other.dcm": failed,
        "longer.dcm": failed,
    }
    told = "expired.dcm: 401 Unauthorized: the API key is not valid, or no longer"
    assert told in result.log
    assert "other.dcm: other bytes than its record says after back-off" in result.log
    assert "longer.dcm: more bytes than its record says after back-off" in result.log
    assert len(python_scp.stored) == 4


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"port": 70000}, "port: 70000 was given; allowed: a whole number from 1 to 65535"),
        ({"called_ae": ""}, "called_ae: '' was given; allowed: 1 to 16 ASCII characters"),
        ({"group": "0x0020"}, "group: '0x0020' was given; allowed: an odd group"),
        (
            {"destination": "no-such-host.invalid"},
            "destination: 'no-such-host.invalid' was given; allowed: a host name that can be",
        ),
    ],
)
def test_a_bad_configuration_is_told_in_one_line(
    tmp_path: Path, session: Session, options: dict[str, object], line: str
) -> None:
    """What is wrong, what was given and what is allowed stands in one line; exit code 1."""
    gear = gear_on(tmp_path, session.site, 104, session.session)
    gear.config["config"] |= options
    result = gear.run()
    assert result.exit_code == 1
    errors = [text for text in result.stderr.splitlines() if "ERROR" in text]
    assert len(errors) == 1
    assert line in errors[0]
    assert "Traceback" not in result.log


def test_a_project_is_refused_as_destination(tmp_path: Path, session: Session) -> None:
    """A container that the gear does not run on is told, with those that it does."""
    result = gear_on(tmp_path, session.site, 104, session.project, "project").run()
    assert result.exit_code == 1
    line = "destination container: 'project' was given; allowed: acquisition, session or subject"
    assert line in result.stderr


def test_a_wrong_api_key_is_told(tmp_path: Path, session: Session) -> None:
    """A key that the site does not take ends the run with a line that does not show it."""
    gear = gear_on(tmp_path, session.site, 104, session.session)
    key = session.site.api_key + "wrong"
    gear.config["inputs"]["api-key"]["key"] = key
    result = gear.run()
    assert result.exit_code == 1
    assert "401 Unauthorized" in result.stderr
    assert key.rpartition(":")[2] not in result.log


@pytest.mark.parametrize("debug", [False, True])
def test_the_log_names_no_patient_and_no_secret(
    tmp_path: Path, session: Session, debug: bool
) -> None:
    """Neither the log nor what is left in the output folder has a patient's data or the key."""
    who = {
        "PatientName": "Zweistein^Alberta",
        "PatientID": "PID-4711",
        "PatientBirthDate": "19010203",
    }
    archive = zip_of(
        tmp_path / "a.zip",
        [
            ArchiveMember("Zweistein_Alberta/1.dcm", encoded(made(1, **who))),
            ArchiveMember("Zweistein_Alberta/2.dcm", encoded(made(2, **who))[:900]),
            ArchiveMember(
                "Zweistein_Alberta/3.dcm", encoded(made(3, **who)).replace(b"UI", b"UX", 3)
            ),
        ],
    )
    site = session.site
    site.fault(site.add_file(session.acquisition("A"), "a.zip", archive), Status(503))

    def quote(_: CStore) -> Dataset:
        answer = Dataset()
        answer.Status = 0xC001
        answer.ErrorComment = "cannot take ALBERTA ZWEISTEIN, PID-4711"
        return answer

    with PythonSCP(status=quote) as scp:
        result = gear_on(tmp_path, site, scp.port, session.session, debug=debug).run()

    told = result.log + "".join(path.read_text() for path in result.output)
    assert bool(result.output) == debug
    assert "status 0xC001 Cannot Understand" in told
    for secret in ("zweistein", "alberta", "pid-4711", site.api_key.rpartition(":")[2]):
        assert secret not in told.lower()


def test_a_name_of_the_local_machine_works(tmp_path: Path, session: Session) -> None:
    """A host name that means an IPv6 and an IPv4 address is reached where it listens."""
    session.site.add_file(session.acquisition("A"), "a.dcm", encoded(made(1)))
    with PythonSCP() as scp:
        gear = gear_on(tmp_path, session.site, scp.port, session.session, destination="localhost")
        result = gear.run()
    assert result.exit_code == 0, result.log
