"""A dataset with a name in place of a UID does not leak it into any output."""

from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from tests.support.fault_scp import FaultSCP
from tests.support.sample_files import encoded, made, uid_of
from tests.support.scripted import answering
from tests.support.send_command import send, to

NAME = b"DOE^JANE"


@pytest.mark.parametrize(
    "uids", [(uid_of(0), uid_of(1)), (CTImageStorage,), (ExplicitVRLittleEndian,)]
)
def test_a_name_in_place_of_a_uid_is_not_shown(tmp_path: Path, uids: tuple[str, ...]) -> None:
    """It is not in the reports, on the page, or in any log."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(2):
        content = encoded(made(number))
        for uid in uids:
            content = content.replace(uid.encode(), NAME + uid[len(NAME) :].encode())
        (folder / f"{number}.dcm").write_bytes(content)
    with FaultSCP(answering(0x0000, 0xA900)) as server:
        options = ("--log-json", "--debug", "--json", "--associations", 1)
        result = send(folder, *options, *to(server), cwd=tmp_path)
        assert len(server.images) == 2
    reports = [path for path in tmp_path.iterdir() if path.is_file()]
    assert len(reports) == 4
    for text in (result.stdout, result.stderr, *(path.read_text() for path in reports)):
        assert "DOE" not in text
    assert "(not a UID)" in result.stderr
