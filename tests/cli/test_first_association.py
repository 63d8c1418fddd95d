"""The command sends the first image in the association that checks the server."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pynetdicom import evt

from fw_gear_dicom_send.dicom.uids import VERIFICATION
from tests.support.archive_scp import ArchiveSCP
from tests.support.pacs import PythonSCP
from tests.support.sample_files import ArchiveMember, encoded, made, zip_of
from tests.support.send_command import send, to

IMAGE = encoded(made(1))


def file_in(folder: Path) -> Path:
    path = folder / "image.dcm"
    path.write_bytes(IMAGE)
    return path


def folder_in(folder: Path) -> Path:
    (folder / "study").mkdir()
    return file_in(folder / "study").parent


def zip_in(folder: Path) -> Path:
    return zip_of(folder / "study.zip", [ArchiveMember("image.dcm", IMAGE)])


@pytest.mark.parametrize("make", [file_in, folder_in, zip_in])
def test_one_image_is_one_association(make: Callable[[Path], Path], tmp_path: Path) -> None:
    """No C-ECHO is sent, and the association is released."""
    echoes: list[evt.Event] = []
    handlers = [(evt.EVT_C_ECHO, lambda event: (echoes.append(event), 0)[1])]
    with PythonSCP(handlers=handlers) as server:
        result = send(make(tmp_path), *to(server), cwd=tmp_path)
        assert result.exit_code == 0, result.stderr
        assert (len(server.associations), len(server.stored), len(echoes)) == (1, 1, 0)
        assert (server.released, server.aborted) == (1, 0)


def test_a_verified_image_is_one_association(tmp_path: Path) -> None:
    """Its queries are the one of the check, and the one for the image."""
    with ArchiveSCP() as server:
        result = send(file_in(tmp_path), "--verify", "find", *to(server), cwd=tmp_path)
        assert result.exit_code == 0, result.stderr
        assert (len(server.associations), len(server.queries)) == (1, 2)


@pytest.mark.parametrize("option", ["--association-per-study", "--resume"])
def test_the_check_is_released_if_its_contexts_may_be_wrong(option: str, tmp_path: Path) -> None:
    """Studies have associations of their own, and earlier images are not sent again."""
    path = file_in(tmp_path)
    with PythonSCP() as server:
        send(path, *to(server), cwd=tmp_path)
        reports = tmp_path.glob("*_instances.csv") if option == "--resume" else ()
        send(path, option, *reports, *to(server), cwd=tmp_path)
        check = server.associations[1]
        assert {one.abstract_syntax for one in check.contexts} == {VERIFICATION}
