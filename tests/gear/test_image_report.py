"""Each image has its row in the per-image report."""

import csv
import re
from threading import Event

import pytest
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from tests.support import archives, wording
from tests.support.compressing import JPEG_LS, Shape
from tests.support.gear import MAX_START_SECONDS
from tests.support.gear_runs import CT
from tests.support.pacs import CStore, PythonSCP, StoreSCP
from tests.support.sample_files import ArchiveMember, encoded, made, uid_of, zip_of
from tests.support.session_runs import SessionRuns

pytestmark = pytest.mark.slow

PROGRESS_INTERVAL = 1.0
"""Duration in seconds, as in tests/support/hurried_run.py."""


def test_each_image_has_its_row(runs: SessionRuns) -> None:
    """Each image appears once with its result, whether it was sent or converted."""
    compressed = made(3)
    compressed.compress(RLELossless)
    members = [
        ArchiveMember("a/1.dcm", encoded(made(1))),
        ArchiveMember("a/2.dcm", encoded(made(2))),
        ArchiveMember("a/3.dcm", encoded(compressed)),
        ArchiveMember("Made_For_Test/5.dcm", encoded(made(5))),
        ArchiveMember("notes.txt", b"nothing"),
    ]
    runs.add("a.zip", zip_of(runs.folder / "a.zip", members))
    runs.add("b.dcm", encoded(made(6)))

    def answer(record: CStore) -> int:
        return 0xA900 if record.sop_instance_uid == uid_of(2) else 0x0000

    with PythonSCP({CT: [ExplicitVRLittleEndian]}, status=answer) as server:
        ended = runs.send(server, associations=1)
    assert ended.result.exit_code == 1
    path = "lab/Study/sub-01/visit 1/CT/files/"
    found = [
        (row["FW Path"].removeprefix(path), row["Member"], row["SOP Instance UID"], row["Outcome"])
        for row in ended.instances
    ]
    assert found == [
        ("a.zip", "member 1", uid_of(1), "sent"),
        ("a.zip", "member 2", uid_of(2), "not sent"),
        ("a.zip", "member 3", uid_of(3), "sent"),
        ("a.zip", "member 4", uid_of(5), "sent"),
        ("b.dcm", "", uid_of(6), "sent"),
    ]
    refused, converted = ended.instances[1:3]
    assert refused["Status"] == "0xA900 Data Set Does Not Match SOP Class"
    assert (converted["Transfer Syntax"], converted["Sent As"]) == (
        "RLE Lossless",
        "Explicit VR Little Endian",
    )
    assert all(float(row["Milliseconds"]) > 0 for row in ended.instances)
    assert all(int(row["Bytes"]) > 300 for row in ended.instances)


@pytest.mark.parametrize("shows_names", [False, True])
def test_members_are_named_on_request(runs: SessionRuns, shows_names: bool) -> None:
    """By default, report and log show a member's number; a single file has none."""
    nameless = encoded(made(1)).replace(uid_of(1).encode(), b" " * len(uid_of(1)))
    members = [ArchiveMember(f"Doe/{n}.dcm", encoded(made(n))) for n in (1, 2, 3)]
    members.insert(1, ArchiveMember("Doe/nameless.dcm", nameless))
    archive = zip_of(runs.folder / "a.zip", members)
    archives.set_zip_field(archive, "Doe/2.dcm", "crc", 0)
    runs.add("a.zip", archive)
    runs.add("b.dcm", nameless)
    with PythonSCP() as server:
        ended = runs.send(server, associations=1, show_member_names=shows_names)
    assert ended.result.exit_code == 1
    names = [f"member {n}" for n in range(1, 5)]
    if shows_names:
        names = [f"Doe/{name}.dcm" for name in ("1", "nameless", "2", "3")]
    assert [(row["Member"], row["Code"]) for row in ended.instances] == [
        (names[0], ""),
        (names[1], "uid-missing"),
        (names[2], "member-corrupt"),
        (names[3], ""),
        ("", "uid-missing"),
    ]
    log = ended.result.log
    assert f"a.zip: 1 image not sent: {wording.NO_INSTANCE_UID} ({names[1]})\n" in log
    assert f"a.zip: 1 image not sent: {wording.MEMBER_CORRUPT} ({names[2]})\n" in log
    assert f"b.dcm: 1 image not sent: {wording.NO_INSTANCE_UID}\n" in log
    assert ("Doe" in log) == shows_names
    assert [row["Tries"] for row in ended.instances] == ["1", "", "", "1", ""]


def test_the_tries_of_an_image_are_counted(runs: SessionRuns) -> None:
    """An image that was rejected with A7xx comes last, and was sent twice."""
    runs.add_images("a.zip", [1, 2])
    statuses = iter([0xA700, 0x0000, 0x0000])
    with PythonSCP(status=lambda _: next(statuses)) as server:
        ended = runs.send(server, associations=1, send_retry_time=1)
    assert ended.result.exit_code == 0
    assert [(row["Tries"], row["Outcome"]) for row in ended.instances] == [
        ("1", "sent"),
        ("2", "sent"),
    ]


@pytest.mark.parametrize(
    ("reports", "suffixes"),
    [
        ("files", [".csv"]),
        ("images", ["_instances.csv"]),
        ("Summary, page,page", [".html", "_summary.json"]),
    ],
)
def test_only_chosen_reports_are_attached(
    runs: SessionRuns, reports: str, suffixes: list[str]
) -> None:
    """Options of earlier versions have no effect."""
    runs.add_images("a.zip", [1])
    with PythonSCP() as server:
        names = runs.send(server, report_files=reports, report=False, html_report=True).names
    assert sorted(re.split(r"\d(?=[._])", name)[-1] for name in names) == suffixes


def test_a_killed_job_leaves_its_rows(runs: SessionRuns) -> None:
    """It cannot write anything at the end; the rows so far are in the output folder."""
    runs.add_images("a.zip", range(200))
    reached, ended = Event(), Event()

    def answer(_: CStore) -> int:
        if len(server.stored) > 50:
            reached.set()
            ended.wait(MAX_START_SECONDS)
        return 0x0000

    with PythonSCP(status=answer) as server:
        gear = runs.gear(server, associations=1)
        running = gear.start()
        assert reached.wait(MAX_START_SECONDS)
        running.kill()
        ended.set()
    (left,) = (gear.folder / "output").iterdir()
    assert left.name.endswith("_instances.csv")
    rows = list(csv.DictReader(left.read_text().splitlines()))
    assert len(rows) > 30
    assert all(row["Outcome"] == "sent" for row in rows)


def test_the_log_of_many_images_is_short(runs: SessionRuns) -> None:
    """A thousand files with ten images each produce fewer than 250 lines plus progress."""
    members = [ArchiveMember(f"{n}.dcm", encoded(made(n))) for n in range(10)]
    archive = zip_of(runs.folder / "some.zip", members)
    for number in range(1000):
        runs.add(f"{number}.zip", archive)
    with StoreSCP("--ignore", "--fork") as server:
        ended = runs.send(server)
    assert ended.result.exit_code == 0
    assert len(ended.instances) == 10_000
    lines = ended.result.log.splitlines()
    logged = [line for line in lines if "Progress: " in line]
    assert 1 <= len(logged) <= ended.result.seconds / PROGRESS_INTERVAL
    assert len(lines) - len(logged) < 250


def test_rows_of_compressed_images_show_both_syntaxes(runs: SessionRuns) -> None:
    """A row has both transfer syntaxes and the cause; an unchanged image has no remark."""
    shape = Shape(64, 64, 3)
    runs.add("a.dcm", encoded(shape.dataset(shape.pixels())))
    runs.add("b.dcm", encoded(made(2, BitsAllocated=32, BitsStored=32, HighBit=31, Rows=8)))
    with PythonSCP({CT: [JPEG_LS, ExplicitVRLittleEndian]}) as server:
        ended = runs.send(server, associations=1, conversion="lossless")
        sizes = [len(record.dataset) for record in server.stored]
    assert ended.result.exit_code == 0
    found = [(row["Transfer Syntax"], row["Sent As"], row["Code"]) for row in ended.instances]
    plain = "Explicit VR Little Endian"
    assert found == [(plain, JPEG_LS.name, "converted-as-asked"), (plain, plain, "")]
    assert sizes[0] < 64 * 64 * 2 * 3 / 2
    assert "a.dcm: 1 image" not in ended.result.log
    assert "1 image converted (option conversion)" in ended.result.log
