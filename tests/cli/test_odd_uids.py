"""A dataset with a name in place of a UID does not leak it into any output."""

from pathlib import Path

from tests.support.pacs import PythonSCP
from tests.support.sample_files import encoded, made
from tests.support.send_command import send, to

NAME = "DOE^JANE"


def test_a_name_in_place_of_a_uid_is_not_shown(tmp_path: Path) -> None:
    """It is not in the reports, on the page, or in any log."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(2):
        image = made(number)
        image.SOPInstanceUID = NAME + str(number)
        image.file_meta.MediaStorageSOPInstanceUID = NAME + str(number)
        (folder / f"{number}.dcm").write_bytes(encoded(image))
    with PythonSCP(status=[0x0000, 0xC000]) as server:
        result = send(folder, "--log-json", "--debug", "--json", *to(server), cwd=tmp_path)
        assert [NAME in one.sop_instance_uid for one in server.stored] == [True, True]
    reports = [path for path in tmp_path.iterdir() if path.is_file()]
    assert len(reports) == 4
    for text in (result.stdout, result.stderr, *(path.read_text() for path in reports)):
        assert "DOE" not in text
    assert "(not a UID)" in result.stderr
