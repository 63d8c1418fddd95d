"""Tests of the test helpers: each server accepts images and leaves nothing behind."""

import io
import json
import os
import select
import socket
import subprocess
import time
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE  # type: ignore[attr-defined]

from tests.support.gear import GearFolder
from tests.support.pacs import HOST, Orthanc, PythonSCP, ServerError, StoreSCP
from tests.support.programs import path_of
from tests.support.sample_files import encoded, made, member, shipped, with_new_uid, zip_of

PRIVATE_SOP_CLASS = "1.3.46.670589.11.0.0.12.1"
OUT_OF_RESOURCES = 0xA700


@pytest.fixture
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Parent folder of the servers' folders."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def dcmsend(server: Orthanc | StoreSCP | PythonSCP, *paths: Path) -> None:
    address = ["-aec", server.ae_title, HOST, str(server.port)]
    subprocess.run([path_of("dcmsend"), *address, *map(str, paths)], check=True, timeout=60)


def send(server: PythonSCP, *datasets: pydicom.Dataset) -> list[int]:
    ae = AE()
    for sop_class in sorted({dataset.SOPClassUID for dataset in datasets}):
        ae.add_requested_context(sop_class, ExplicitVRLittleEndian)
    association = ae.associate(HOST, server.port, ae_title=server.ae_title)
    statuses = [association.send_c_store(dataset).Status for dataset in datasets]
    association.release()
    return statuses


def test_orthanc_stores_received_images(orthanc: Orthanc) -> None:
    """Orthanc returns each image that was sent to it by its SOP Instance UID."""
    path = shipped("CT_small.dcm")
    dcmsend(orthanc, path)
    assert list(orthanc.instances()) == [pydicom.dcmread(path).SOPInstanceUID]


def test_orthanc_clear(orthanc: Orthanc) -> None:
    """An Orthanc that was cleared has no images."""
    dcmsend(orthanc, shipped("CT_small.dcm"))
    orthanc.clear()
    assert orthanc.instances() == {}


def test_storescp_bit_preserving(storescp: StoreSCP) -> None:
    """With +B, storescp keeps the pixel data unchanged."""
    path = shipped("MR_small_RLE.dcm")
    dcmsend(storescp, path)
    [received] = storescp.received()
    assert pydicom.dcmread(received).PixelData == pydicom.dcmread(path).PixelData


def test_storescp_accepts_only_configured_classes() -> None:
    """With `accept`, storescp accepts only these SOP classes in their transfer syntaxes."""
    with StoreSCP(accept={CTImageStorage: [ImplicitVRLittleEndian]}) as server:
        ae = AE()
        ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
        ae.add_requested_context(CTImageStorage, ImplicitVRLittleEndian)
        association = ae.associate(HOST, server.port)
        accepted = [context.transfer_syntax for context in association.accepted_contexts]
        association.release()
    assert accepted == [[ImplicitVRLittleEndian]]


def test_python_scp_records_the_bytes(python_scp: PythonSCP) -> None:
    """The scripted SCP records the dataset byte for byte."""
    dataset = made(1)
    send(python_scp, dataset)
    [stored] = python_scp.stored
    file = encoded(dataset)
    assert stored.dataset == file[file.index(b"\x08\x00\x16\x00UI") :]


def test_c_store_as_file(python_scp: PythonSCP) -> None:
    """The recorded request is read as the file that was sent."""
    original = made(1)
    send(python_scp, original)
    [file] = python_scp.files()
    assert pydicom.dcmread(io.BytesIO(file)) == original


def test_python_scp_accepts_a_private_class() -> None:
    """The scripted SCP accepts a SOP class that pynetdicom does not know."""
    with PythonSCP({PRIVATE_SOP_CLASS: [ExplicitVRLittleEndian]}) as server:
        assert send(server, made(1, SOPClassUID=PRIVATE_SOP_CLASS)) == [0]


def test_python_scp_follows_its_script() -> None:
    """The scripted SCP answers with the given statuses, then with Success."""
    with PythonSCP(status=[OUT_OF_RESOURCES, 0xB000]) as server:
        assert send(server, made(1), made(2), made(3)) == [OUT_OF_RESOURCES, 0xB000, 0]


def test_python_scp_records_associations(python_scp: PythonSCP) -> None:
    """The scripted SCP records each association with its proposed contexts."""
    send(python_scp, made(1))
    send(python_scp, made(2))
    proposed = [[c.abstract_syntax for c in a.contexts] for a in python_scp.associations]
    assert proposed == [[CTImageStorage], [CTImageStorage]]
    assert [stored.association for stored in python_scp.stored] == [1, 2]


@pytest.mark.parametrize("server", [Orthanc(), StoreSCP()], ids=["orthanc", "storescp"])
def test_server_leaves_nothing(server: Orthanc | StoreSCP, temporary_folder: Path) -> None:
    """After use, a server has ended and its folder is deleted."""
    with server:
        pass
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((HOST, server.port), timeout=5)
    assert list(temporary_folder.iterdir()) == []


def test_server_shows_why_it_does_not_start(temporary_folder: Path) -> None:
    """A server that does not start shows its output and leaves nothing behind."""
    with pytest.raises(ServerError, match="no-such-option"), StoreSCP("--no-such-option"):
        pass
    assert list(temporary_folder.iterdir()) == []


def test_new_uid_keeps_the_image() -> None:
    """An image with a new UID keeps its pixels."""
    path = shipped("JPEG2000.dcm")
    changed = pydicom.dcmread(io.BytesIO(with_new_uid(path)))
    original = pydicom.dcmread(path)
    assert changed.SOPInstanceUID != original.SOPInstanceUID
    assert changed.PixelData == original.PixelData


def test_zip_of_keeps_names_and_bytes(tmp_path: Path) -> None:
    """A zip contains the members under the given names."""
    import zipfile

    path = zip_of(tmp_path / "a.zip", [member("CT_small.dcm", "deep/1.dcm")])
    with zipfile.ZipFile(path) as archive:
        assert archive.read("deep/1.dcm") == shipped("CT_small.dcm").read_bytes()


GEAR_SCRIPT = """
import json, os, sys, time
from pathlib import Path
Path("output/environment").write_text(json.dumps(dict(os.environ)))
Path("work/pid").write_text(str(os.getpid()))
Path("work/pid").rename("work/its-pid")
print(json.loads(Path("config.json").read_text())["inputs"]["file"]["location"]["path"])
time.sleep(float(sys.argv[1]))
raise SystemExit(3)
"""


def small_gear(folder: Path, monkeypatch: pytest.MonkeyPatch, seconds: float) -> GearFolder:
    repository = folder / "repository"
    (repository / "fw_gear_dicom_send").mkdir(parents=True)
    (repository / "run.py").write_text(GEAR_SCRIPT)
    manifest = {"command": f"python3 run.py {seconds}", "environment": {"PYTHONUNBUFFERED": "1"}}
    (repository / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setattr("tests.support.gear.REPOSITORY", repository)
    gear = GearFolder(folder / "v0", {}, api_key=None, destination_id="1")
    gear.give("a.dcm", b"content", parent_id="2")
    return gear


def test_gear_folder_runs_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gear runs the manifest's command, finds its input and returns its own exit code."""
    result = small_gear(tmp_path, monkeypatch, 0).run(timeout=60)
    assert Path(result.stdout.strip()).read_bytes() == b"content"
    assert result.exit_code == 3


def test_gear_folder_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gear sees PATH, the manifest's variables and no others."""
    monkeypatch.setenv("OF_THE_CALLER", "1")
    [output] = small_gear(tmp_path, monkeypatch, 0).run(timeout=60).output
    assert {"PATH", "PYTHONUNBUFFERED"} <= json.loads(output.read_text()).keys()
    assert "OF_THE_CALLER" not in json.loads(output.read_text())


def test_gear_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gear that takes too long is killed with all its child processes."""
    running = small_gear(tmp_path, monkeypatch, 600).start()
    its_pid = tmp_path / "v0" / "work" / "its-pid"
    while not its_pid.exists():
        time.sleep(0.01)
    ended = os.pidfd_open(int(its_pid.read_text()))
    with pytest.raises(subprocess.TimeoutExpired):
        running.finish(timeout=0.1)
    assert select.select([ended], [], [], 10)[0] == [ended]
    os.close(ended)
