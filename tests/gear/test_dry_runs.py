"""A dry run sends nothing and shows what would be sent."""

import re
from collections import Counter

from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from tests.support import wording
from tests.support.gear_runs import CT
from tests.support.pacs import Orthanc, PythonSCP
from tests.support.sample_files import ArchiveMember, encoded, made, zip_of
from tests.support.session_runs import SessionRuns


def test_a_dry_run_sends_nothing(runs: SessionRuns) -> None:
    """It shows which images would be sent, converted or rejected."""
    compressed = made(2)
    compressed.compress(RLELossless)
    other = made(3, SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    members = [ArchiveMember(f"{one.InstanceNumber}", encoded(one)) for one in (compressed, other)]
    runs.add("a.dcm", encoded(made(1)))
    runs.add("b.zip", zip_of(runs.folder / "b.zip", members))
    runs.add("c.zip", b"PK\x03\x04 nothing")
    with PythonSCP({CT: [ExplicitVRLittleEndian]}) as server:
        ended = runs.send(server, dry_run=True, associations=1)
        assert server.stored == ()
    assert ended.result.exit_code == 1
    assert ended.rows == {
        "a.dcm": ("1", "0", "Dry run"),
        "b.zip": ("2", "0", "Dry run"),
        "c.zip": ("0", "0", "Dry run"),
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
    assert "Dry run: nothing is sent" in log
    assert "a.dcm: 1 of 1 image would be sent" in log
    assert "2 of 3 images would be sent" in log
    converted = f"{wording.ACCEPTED} CT Image Storage in RLE Lossless only as"
    assert f"b.zip: 1 image would be converted and sent ({converted}" in log
    assert not re.search(r"\d images? sent", log)
    assert wording.NOT_ALL_WOULD_BE_SENT in ended.page


def test_a_successful_dry_run_ends_with_0(runs: SessionRuns, orthanc: Orthanc) -> None:
    """The exit code shows whether all images would be sent."""
    runs.add_images("a.zip", range(3))
    ended = runs.send(orthanc, dry_run=True)
    assert ended.result.exit_code == 0
    assert orthanc.ids() == {}
    assert "All images would be sent" in ended.page


def test_a_dry_run_shows_existing_images(runs: SessionRuns, orthanc: Orthanc) -> None:
    """With `skip_existing` only missing images would be sent."""
    runs.add_images("a.zip", range(3))
    runs.send(orthanc)
    runs.add_images("b.zip", [2, 3])
    ended = runs.send(orthanc, dry_run=True, skip_existing=True)
    assert ended.result.exit_code == 0
    assert ended.rows == {"a.zip": ("3", "0", "Dry run"), "b.zip": ("2", "0", "Dry run")}
    assert ended.outcomes == Counter({"already there": 4, "would be sent": 1})
    assert "1 of 5 images would be sent, 4 already there" in ended.result.log
    assert wording.ALL_WOULD_BE_SENT in ended.page
    assert len(orthanc.ids()) == 3


def test_missing_identifiers_are_counted(runs: SessionRuns) -> None:
    """Some archives refuse images without them. Log, page and summary have their number."""
    runs.add("a.dcm", encoded(made(1)))
    runs.add("b.dcm", encoded(made(2, PatientID="", PatientName="Doe")))
    runs.add("c.dcm", encoded(made(3, PatientID=None, StudyInstanceUID="")))
    with PythonSCP() as server:
        dry, real = (runs.send(server, dry_run=is_dry) for is_dry in (True, False))
    text = "Images without Patient ID: 2, without Study Instance UID: 1."
    assert [text in ended.page for ended in (dry, real)] == [True, True]
    assert [text in ended.result.log for ended in (dry, real)] == [True, False]
