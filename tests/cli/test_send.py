"""`dicom-send` sends files, folders and archives to real servers."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.support.certificates import issue
from tests.support.compare import added_elements
from tests.support.instances import dataset_of, sop_instance_uid_of
from tests.support.pacs import Orthanc, PythonSCP, StoreSCP
from tests.support.sample_files import TEST_FILES, member, shipped, tar_of, zip_of
from tests.support.send_command import rows_of, send, tls_inputs, tls_options, to

BROKEN = ("rtplan_truncated.dcm", "MR_truncated.dcm", "SC_rgb_jpeg.dcm")
"""Files for which servers based on DCMTK abort the association every time."""
ANOTHER_MR_SMALL = "zipMR.gz"
NOT_FOR_STORESCP = (*BROKEN, "image_dfl.dcm", ANOTHER_MR_SMALL)
NOT_FOR_ORTHANC = (*BROKEN, "rtdose_rle.dcm", "rtdose_rle_1frame.dcm")
WITHOUT_SOP_CLASS = 6
TAG = [(0x00210010, "Flywheel"), (0x00211000, "DICOM send")]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Folder of all files shipped with pydicom, each in its own subfolder."""
    return Path(shutil.copytree(TEST_FILES, tmp_path / "study"))


def images_in(paths: Iterable[Path]) -> list[Path]:
    """Return the files whose SOP class and instance pydicom can read."""
    found = []
    for path in paths:
        if path.is_file() and path.suffix != ".json" and "DICOMDIR" not in path.name:
            ds = dcmread(path, force=True, stop_before_pixels=True)
            if "SOPInstanceUID" in ds and "SOPClassUID" in ds:
                found.append(path)
    return found


def test_a_folder_of_pydicoms_files_arrives_at_storescp_unchanged(
    study: Path, storescp: StoreSCP, tmp_path: Path
) -> None:
    """Without --stamp each dataset of the folder is received byte for byte."""
    _remove(study, NOT_FOR_STORESCP)
    sources: dict[str, Path] = {}
    for path in images_in(study.rglob("*")):
        # storescp names files by UID and may write the same file twice concurrently.
        if sources.setdefault(sop_instance_uid_of(path), path) != path:
            path.unlink()

    result = send(study, *to(storescp), cwd=tmp_path)

    received = {sop_instance_uid_of(path): dataset_of(path) for path in storescp.received()}
    assert received.keys() == sources.keys()
    assert [uid for uid, path in sources.items() if received[uid] != _sent_of(path)] == []
    assert sum(int(row["Images Sent"]) for row in rows_of(tmp_path)) == len(sources)
    assert f"{WITHOUT_SOP_CLASS} images not sent: it has no SOP Class UID" in result.stderr
    assert result.exit_code == 1


def test_a_folder_of_pydicoms_files_arrives_at_orthanc_with_the_tag(
    study: Path, orthanc: Orthanc, tmp_path: Path
) -> None:
    """With --stamp each image of the folder arrives with only the private element added."""
    _remove(study, NOT_FOR_ORTHANC)

    send(study, "--stamp", *to(orthanc), cwd=tmp_path)

    sources = {sop_instance_uid_of(path): path for path in images_in(study.rglob("*"))}
    received = orthanc.instances()
    assert received.keys() == sources.keys()
    one = sop_instance_uid_of(study / "dicomdirtests/77654033/CR1/6154")
    assert added_elements(sources[one].read_bytes(), received[one]) == TAG


def test_files_folders_zips_and_tars_are_sent_together(
    series: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """Each given path has a row in the report, and the exit code is 0."""
    zipped = zip_of(tmp_path / "a.zip", [member("MR_small.dcm")])
    tarred = tar_of(tmp_path / "b.tgz", [member("rtplan.dcm"), member("rtdose.dcm")], "gz")
    zip_of(series / "inner.ZIP", [member("JPEG2000.dcm")])
    alone = shutil.copy(shipped("CT_small.dcm"), tmp_path / "alone")

    result = send(series, zipped, tarred, alone, *to(python_scp), cwd=tmp_path)

    rows = {str(Path(row["Path"]).relative_to(tmp_path)): row for row in rows_of(tmp_path)}
    assert {name: row["Images Sent"] for name, row in rows.items()} == {
        "series": "4",
        "series/inner.ZIP": "1",
        "a.zip": "1",
        "b.tgz": "2",
        "alone": "1",
    }
    assert {row["Status"] for row in rows.values()} == {"Complete"}
    assert len(python_scp.stored) == 9
    assert result.exit_code == 0


def test_each_option_of_the_gear_is_accepted(
    series: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """The pipeline receives the AE titles, the tag and the number of associations."""
    result = send(
        series,
        *to(python_scp, "--calling-ae", "SITE7", "--group", "0x0033", "--identifier", "Lab"),
        *("--stamp", "--tag-value", "gone", "--associations", "1", "--send-retry-time", "5"),
        *("--verify", "none", "--debug"),
        cwd=tmp_path,
    )

    assert result.exit_code == 0
    stored = {one.sop_instance_uid: one.file() for one in python_scp.stored}
    sources = {sop_instance_uid_of(path): path.read_bytes() for path in series.iterdir()}
    tag = [(0x00330010, "Lab"), (0x00331000, "gone")]
    assert [added_elements(sources[uid], stored[uid]) for uid in sources] == [tag] * 4
    assert {one.calling_ae for one in python_scp.associations} == {"SITE7"}
    in_order = [sop_instance_uid_of(path) for path in sorted(series.iterdir())]
    assert [one.sop_instance_uid for one in python_scp.stored] == in_order


def test_a_dry_run_sends_nothing(series: Path, python_scp: PythonSCP, tmp_path: Path) -> None:
    """With --dry-run the report exists, but no image is sent."""
    result = send(series, "--dry-run", *to(python_scp), cwd=tmp_path)

    assert result.exit_code == 0
    assert "series: 4 of 4 images would be sent" in result.stderr
    assert python_scp.stored == ()
    assert [(row["Images Sent"], row["Status"]) for row in rows_of(tmp_path)] == [("0", "Dry run")]


def test_it_sends_over_tls(series: Path, tmp_path: Path) -> None:
    """The gear's TLS inputs are files on the command line."""
    server, client = issue(tmp_path / "server"), issue(tmp_path / "client")
    with StoreSCP(*tls_options(server, client)) as scp:
        result = send(series, *to(scp), *tls_inputs(client, server), cwd=tmp_path)

        assert result.exit_code == 0, result.stderr
        assert len(scp.received()) == 4


def _sent_of(file: Path) -> bytes:
    """Return the dataset of a file, which may lack preamble and file meta group."""
    has_meta = file.read_bytes()[128:132] == b"DICM"
    return dataset_of(file) if has_meta else file.read_bytes()


def _remove(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        (folder / name).unlink()
