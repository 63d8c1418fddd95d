"""What a run proves: each image in a report, on a page, and by asking the server."""

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from fw_gear_dicom_send.models import Container, FileEntry, FileReport, ImageRecord
from fw_gear_dicom_send.network.types import ImageReference, StoreResult
from fw_gear_dicom_send.run.verify import Verifier
from tests.support.archive_scp import ArchiveSCP
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import GearFolder, GearResult
from tests.support.hurried_gear import HurriedGear
from tests.support.pacs import CStore, Orthanc, PythonSCP, StoreSCP
from tests.support.sample_files import ArchiveMember, encoded, made, zip_of

CT = "1.2.840.10008.5.1.4.1.1.2"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
NOT_THERE = "the server has acknowledged it, but does not have it"


@dataclass(frozen=True)
class Ended:
    """A run that has ended, and what it attached."""

    result: GearResult
    rows: dict[str, tuple[str, ...]]
    instances: list[dict[str, str]]
    names: list[str]
    all_rows: list[tuple[str, ...]]

    @property
    def outcomes(self) -> Counter[str]:
        """How many images came to what."""
        return Counter(row["Outcome"] for row in self.instances)


class Session:
    """A session on the stand-in site that can be sent again and again."""

    def __init__(self, folder: Path, site: FlywheelSite) -> None:
        self._folder = folder
        self._site = site
        project = site.add_project(site.add_group("lab"), "Study")
        self._id = site.add_session(site.add_subject(project, "sub-01"), "visit 1")
        self._runs = 0
        self.next_acquisition()

    def next_acquisition(self) -> None:
        """Add files to another acquisition from now on, of the same label."""
        self._acquisition = self._site.add_acquisition(self._id, "CT")

    def add(self, name: str, content: bytes | Path) -> None:
        """Add a file."""
        self._site.add_file(self._acquisition, name, content)

    def add_images(self, name: str, numbers: Sequence[int]) -> None:
        """Add a zip of images."""
        members = [ArchiveMember(f"IM{n}.dcm", encoded(made(n))) for n in numbers]
        self.add(name, zip_of(self._folder / f"{numbers[0]}{name}", members))

    def gear(self, server: Any, **options: object) -> GearFolder:
        """Return the gear on it."""
        self._runs += 1
        config = {
            "destination": "127.0.0.1",
            "port": server.port,
            "called_ae": getattr(server, "ae_title", "PACS"),
        }
        return HurriedGear(
            self._folder / f"run{self._runs}",
            config | options,
            api_key=self._site.api_key,
            destination_id=self._id,
        )

    def send(self, server: Any, **options: object) -> Ended:
        """Run the gear on it."""
        self._site.uploads.clear()
        result = self.gear(server, **options).run()
        uploads = {upload.name: upload.content.decode() for upload in self._site.uploads}
        assert result.output == ()
        report = next(text for name, text in uploads.items() if re.search(r"\d\.csv$", name))
        rows = list(csv.reader(io.StringIO(report)))[1:]
        return Ended(
            result,
            {row[2]: tuple(row[3:]) for row in rows},
            [
                row
                for name, text in uploads.items()
                if name.endswith("_instances.csv")
                for row in csv.DictReader(io.StringIO(text))
            ],
            list(uploads),
            [tuple(row[3:]) for row in rows],
        )


@pytest.fixture
def session(tmp_path: Path, site: FlywheelSite) -> Session:
    return Session(tmp_path, site)


def uid_of(number: int) -> str:
    return str(made(number).SOPInstanceUID)


# The report on images


def test_each_image_has_its_row(session: Session) -> None:
    """Sent or not, converted or not: each image is there once, with what became of it."""
    compressed = made(3)
    compressed.compress(RLELossless)
    members = [
        ArchiveMember("a/1.dcm", encoded(made(1))),
        ArchiveMember("a/2.dcm", encoded(made(2))),
        ArchiveMember("a/3.dcm", encoded(compressed)),
        ArchiveMember("Made_For_Test/5.dcm", encoded(made(5))),
        ArchiveMember("notes.txt", b"nothing"),
    ]
    session.add("a.zip", zip_of(session._folder / "a.zip", members))
    session.add("b.dcm", encoded(made(6)))

    def answer(record: CStore) -> int:
        return 0xC000 if record.sop_instance_uid == uid_of(2) else 0x0000

    with PythonSCP({CT: [ExplicitVRLittleEndian]}, status=answer) as server:
        ended = session.send(server, associations=1)
    assert ended.result.exit_code == 1
    path = "lab/Study/sub-01/visit 1/CT/files/"
    found = [
        (row["FW Path"].removeprefix(path), row["Member"], row["SOP Instance UID"], row["Outcome"])
        for row in ended.instances
    ]
    assert found == [
        ("a.zip", "a/1.dcm", uid_of(1), "sent"),
        ("a.zip", "a/2.dcm", uid_of(2), "not sent"),
        ("a.zip", "a/3.dcm", uid_of(3), "sent"),
        ("a.zip", "member 4", uid_of(5), "sent"),
        ("b.dcm", "", uid_of(6), "sent"),
    ]
    refused, converted = ended.instances[1:3]
    assert refused["Status"] == "0xC000 Cannot Understand"
    assert (converted["Transfer Syntax"], converted["Sent As"]) == (
        "RLE Lossless",
        "Explicit VR Little Endian",
    )
    assert all(float(row["Milliseconds"]) > 0 for row in ended.instances)
    assert all(int(row["Bytes"]) > 300 for row in ended.instances)


@pytest.mark.parametrize(
    ("option", "suffix"), [("instance_report", "_instances.csv"), ("html_report", ".html")]
)
def test_a_report_can_be_left_out(session: Session, option: str, suffix: str) -> None:
    """Each of the two further reports can be turned off by itself."""
    session.add_images("a.zip", [1])
    with PythonSCP() as server:
        whole, less = session.send(server), session.send(server, **{option: False})
    assert len(whole.names) == 3
    assert len(less.names) == 2
    assert not any(name.endswith(suffix) for name in less.names)


def test_a_job_that_is_killed_leaves_what_it_had(session: Session) -> None:
    """Nothing can be written at the end then; the rows so far are in the output folder."""
    session.add_images("a.zip", range(200))
    reached, ended = Event(), Event()

    def answer(_: CStore) -> int:
        if len(server.stored) > 50:
            reached.set()
            ended.wait(30)
        return 0x0000

    with PythonSCP(status=answer) as server:
        gear = session.gear(server, associations=1)
        running = gear.start()
        assert reached.wait(30)
        running.kill()
        ended.set()
    (left,) = (gear.folder / "output").iterdir()
    assert left.name.endswith("_instances.csv")
    rows = list(csv.DictReader(left.open(newline="")))
    assert len(rows) > 30
    assert all(row["Outcome"] == "sent" for row in rows)


def test_the_log_of_many_images_is_short(session: Session) -> None:
    """A thousand files of ten images each have fewer than 300 lines."""
    members = [ArchiveMember(f"{n}.dcm", encoded(made(n))) for n in range(10)]
    archive = zip_of(session._folder / "some.zip", members)
    for number in range(1000):
        session.add(f"{number}.zip", archive)
    with StoreSCP("--ignore", "--fork") as server:
        ended = session.send(server)
    assert ended.result.exit_code == 0
    assert len(ended.instances) == 10_000
    assert ended.result.log.count("\n") < 300
    assert "Progress: " in ended.result.log


# Whether it has arrived


def test_what_orthanc_has_is_found(session: Session, orthanc: Orthanc) -> None:
    """A run that is verified by C-FIND ends as one that is not."""
    session.add_images("a.zip", range(5))
    session.add_images("b.zip", range(5, 8))
    ended = session.send(orthanc, verify="find")
    assert ended.result.exit_code == 0, ended.result.log
    assert ended.outcomes == Counter(sent=8)
    assert "verified" not in ended.result.log
    assert "once more" not in ended.result.log


def test_what_is_not_found_is_sent_once_more(session: Session) -> None:
    """An image that the server lost is sent again, and counts once."""
    session.add_images("a.zip", range(4))
    session.add_images("b.zip", range(4, 7))

    def is_lost(uid: str) -> bool:
        copies = [one.sop_instance_uid for one in server.stored].count(uid)
        return uid == uid_of(2) and copies == 1

    with ArchiveSCP(is_lost) as server:
        ended = session.send(server, verify="find")
    stored = Counter(one.sop_instance_uid for one in server.stored)
    assert stored == Counter({uid_of(n): 1 for n in range(7)} | {uid_of(2): 2})
    assert ended.result.exit_code == 0, ended.result.log
    assert ended.rows == {"a.zip": ("4", "4", "Complete"), "b.zip": ("3", "3", "Complete")}
    assert ended.outcomes == Counter(sent=7)
    assert "1 images are sent once more, as the server does not have them" in ended.result.log


def test_files_of_one_name_are_told_apart(session: Session) -> None:
    """Two acquisitions may have the same label, and files of the same name in them."""
    session.add_images("a.zip", range(3))
    session.next_acquisition()
    session.add_images("a.zip", range(3, 8))
    with ArchiveSCP(lambda uid: uid == uid_of(4)) as server:
        ended = session.send(server, verify="find")
    assert ended.all_rows == [("3", "3", "Complete"), ("5", "4", "Incomplete")]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_image_that_a_file_holds_twice_counts_twice(session: Session) -> None:
    """What is sent once more does not make more images than there are."""
    session.add_images("a.zip", [1, 2, 2])

    def is_lost(uid: str) -> bool:
        copies = [one.sop_instance_uid for one in server.stored].count(uid)
        return uid == uid_of(2) and copies == 2

    with ArchiveSCP(is_lost) as server:
        ended = session.send(server, verify="find")
    assert ended.rows == {"a.zip": ("3", "3", "Complete")}
    assert ended.result.exit_code == 0


@pytest.mark.parametrize("verify", ["find", "commit"])
def test_what_is_never_there_is_told(session: Session, verify: str) -> None:
    """After the second time it counts as not sent, in all reports and in the exit code."""
    session.add_images("a.zip", range(4))
    with ArchiveSCP(lambda uid: uid == uid_of(2)) as server:
        ended = session.send(server, verify=verify)
    assert [one.sop_instance_uid for one in server.stored].count(uid_of(2)) == 2
    assert ended.result.exit_code == 1
    assert ended.rows == {"a.zip": ("4", "3", "Incomplete")}
    assert f"a.zip: 1 image not sent: {NOT_THERE}" in ended.result.log
    (bad,) = (row for row in ended.instances if row["Outcome"] != "sent")
    assert (bad["SOP Instance UID"], bad["Outcome"], bad["Reason"]) == (
        uid_of(2),
        "not sent",
        NOT_THERE,
    )
    assert len(ended.instances) == 4


def test_a_server_without_queries_is_told_once(session: Session, storescp: StoreSCP) -> None:
    """That is no failure: the images count as sent."""
    session.add_images("a.zip", range(3))
    session.add_images("b.zip", range(3, 5))
    ended = session.send(storescp, verify="find")
    assert ended.result.exit_code == 0
    told = "What was sent is not verified: the server does not offer queries by C-FIND"
    assert ended.result.log.count(told) == 1


def test_a_server_commits_itself(session: Session) -> None:
    """With commitment each image is named to the server once."""
    session.add_images("a.zip", range(6))
    with ArchiveSCP() as server:
        ended = session.send(server, verify="commit")
        named = [
            item.ReferencedSOPInstanceUID
            for request in server.commitments
            for item in request.ReferencedSOPSequence
        ]
    assert ended.result.exit_code == 0, ended.result.log
    assert sorted(named) == sorted(map(uid_of, range(6)))


# A server that gives few associations


@pytest.mark.parametrize("associations", [1, 4])
@pytest.mark.parametrize("options", [{"verify": "find"}, {"verify": "commit"}])
def test_a_server_of_one_association_can_be_asked_at_the_end(
    session: Session, options: dict[str, object], associations: int
) -> None:
    """What asks it takes the place of what sends."""
    session.add_images("a.zip", range(3))
    with ArchiveSCP() as server:
        server.ae.maximum_associations = 1
        ended = session.send(server, associations=associations, **options)
        asked = len(server.queries) + len(server.commitments)
    assert ended.result.exit_code == 0
    assert "not verified" not in ended.result.log
    assert asked == 1
    assert ended.outcomes == Counter(sent=3)


@pytest.mark.parametrize("associations", [1, 4])
def test_a_server_of_one_association_can_be_asked_at_first(
    session: Session, associations: int
) -> None:
    """What asks for a series takes the place of what sends the one before, and gives it back."""
    session.add_images("a.zip", range(3))
    session.add("b.dcm", encoded(made(3, SeriesInstanceUID="1.2.3")))
    session.add("c.dcm", encoded(made(4, SeriesInstanceUID="1.2.4")))
    with ArchiveSCP() as server:
        server.ae.maximum_associations = 1
        first = session.send(server, skip_existing=True, associations=associations)
        second = session.send(server, skip_existing=True, associations=associations)
    assert (first.result.exit_code, second.result.exit_code) == (0, 0), first.result.log
    assert "whether they are there or not" not in first.result.log + second.result.log
    assert first.outcomes == Counter(sent=5)
    assert second.outcomes == Counter({"already there": 5})


def test_the_images_of_many_files_are_asked_for_together(session: Session) -> None:
    """One association is enough for a query for each of their series, once all are sent."""
    for number in range(12):
        session.add(f"{number}.dcm", encoded(made(number, SeriesInstanceUID=f"1.2.{number}")))
    with ArchiveSCP() as server:
        ended = session.send(server, verify="find", associations=2)
        asking = [
            one
            for one in server.associations
            if any(context.abstract_syntax == FIND for context in one.contexts)
        ]
        asked = [query.SeriesInstanceUID for query in server.queries]
    assert ended.result.exit_code == 0
    assert sorted(asked) == sorted(f"1.2.{number}" for number in range(12))
    assert len(asking) == 1


def test_they_are_asked_for_before_they_are_too_many() -> None:
    """No more than a thousand and the images of a file are remembered."""
    asked: list[int] = []

    class Inquirer:
        def missing(self, images: Collection[ImageReference]) -> frozenset[str]:
            asked.append(len(images))
            return frozenset({"1.2.5"} if len(asked) == 1 else ())

    verifier = Verifier(Inquirer())
    for number in range(2500):
        entry = FileEntry(Container("acquisition", "a"), f"{number}", f"p/{number}")
        verifier.image(record_of(entry, f"1.2.{number}"))
        verifier.file(FileReport(entry, 1, 1))
    assert asked == [1000, 1000]
    assert verifier.missing() == {}
    assert asked == [1000, 1000, 501]


def record_of(entry: FileEntry, uid: str) -> ImageRecord:
    """Return an image that was sent."""
    return ImageRecord(entry, "", StoreResult(True), CT, uid, "1.2", "1.3")


# What is there already


def test_a_second_run_sends_nothing(session: Session, orthanc: Orthanc) -> None:
    """What the server has is not sent again, counts as sent, and is said to be there."""
    session.add_images("a.zip", range(5))
    first = session.send(orthanc, skip_existing=True)
    assert first.outcomes == Counter(sent=5)
    received = orthanc.get("/changes?last").json()["Last"]
    session.add_images("b.zip", [5, 6])
    second = session.send(orthanc, skip_existing=True)
    assert second.result.exit_code == 0, second.result.log
    assert second.rows == {"a.zip": ("5", "5", "Complete"), "b.zip": ("2", "2", "Complete")}
    assert second.outcomes == Counter({"already there": 5, "sent": 2})
    assert "a.zip: 5 images sent, already there" in second.result.log
    changes = orthanc.get(f"/changes?since={received}&limit=1000").json()["Changes"]
    assert [one["ChangeType"] for one in changes].count("NewInstance") == 2


def test_all_are_sent_where_nobody_knows(session: Session, storescp: StoreSCP) -> None:
    """A server without queries gets all, and it is told."""
    session.add_images("a.zip", range(3))
    ended = session.send(storescp, skip_existing=True)
    assert ended.result.exit_code == 0
    assert ended.outcomes == Counter(sent=3)
    assert "All images are sent, whether they are there or not" in ended.result.log


# Dry runs


def test_a_dry_run_sends_nothing(session: Session) -> None:
    """It says what would be sent, what would be converted, and what would not be."""
    compressed = made(2)
    compressed.compress(RLELossless)
    other = made(3, SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    members = [ArchiveMember(f"{one.InstanceNumber}", encoded(one)) for one in (compressed, other)]
    session.add("a.dcm", encoded(made(1)))
    session.add("b.zip", zip_of(session._folder / "b.zip", members))
    session.add("c.zip", b"PK\x03\x04 nothing")
    with PythonSCP({CT: [ExplicitVRLittleEndian]}) as server:
        ended = session.send(server, dry_run=True, associations=1)
        assert server.stored == ()
    assert ended.result.exit_code == 1
    assert ended.rows == {
        "a.dcm": ("1", "1", "Complete"),
        "b.zip": ("2", "1", "Incomplete"),
        "c.zip": ("0", "0", "Failed"),
    }
    assert [row["Outcome"] for row in ended.instances] == [
        "would be sent",
        "would be sent",
        "not sent",
    ]
    assert ended.instances[1]["Sent As"] == "Explicit VR Little Endian"
    assert "does not accept MR Image Storage in" in ended.instances[2]["Reason"]
    assert all(name.startswith("dicom-send_dry-run-visit 1_") for name in ended.names)
    log = ended.result.log
    assert "This is a dry run: nothing is sent" in log
    assert "b.zip: 1 image sent, the server takes CT Image Storage in RLE Lossless only as" in log


def test_a_dry_run_of_what_can_be_sent_ends_well(session: Session, orthanc: Orthanc) -> None:
    """The exit code tells whether all would be sent."""
    session.add_images("a.zip", range(3))
    ended = session.send(orthanc, dry_run=True)
    assert ended.result.exit_code == 0
    assert orthanc.ids() == {}
