"""A dry run sends nothing, and says what would be sent."""

from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from tests.support.gear_runs import CT
from tests.support.pacs import Orthanc, PythonSCP
from tests.support.sample_files import ArchiveMember, encoded, made, zip_of
from tests.support.session_runs import SessionRuns


def test_a_dry_run_sends_nothing(runs: SessionRuns) -> None:
    """It says what would be sent, what would be converted, and what would not be."""
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


def test_a_dry_run_of_what_can_be_sent_ends_well(runs: SessionRuns, orthanc: Orthanc) -> None:
    """The exit code tells whether all would be sent."""
    runs.add_images("a.zip", range(3))
    ended = runs.send(orthanc, dry_run=True)
    assert ended.result.exit_code == 0
    assert orthanc.ids() == {}
