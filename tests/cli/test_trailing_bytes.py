"""Images in files that continue after their dataset arrive at a real server."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from tests.support.pacs import Orthanc
from tests.support.sample_files import ArchiveMember, encoded, made, tar_of, uid_of, zip_of
from tests.support.send_command import rows_of, send, to

RESTS = [b"\0", bytes(512), b"\xff" * 200, b"--boundary--\r\n" * 9, encoded(made(99))]


@pytest.mark.parametrize("more", [["--stamp"], []], ids=["tag", "no tag"])
@pytest.mark.parametrize("archive", ["", "zip", "tar"])
def test_all_arrive_at_orthanc(more: list[str], archive: str, tmp_path: Path) -> None:
    """Orthanc has each image, and the report has the remark for each of them."""
    members = [
        ArchiveMember(f"{place}.dcm", encoded(made(place)) + rest)
        for place, rest in enumerate(RESTS)
    ]
    images = tmp_path / "images"
    images.mkdir()
    if archive:
        (zip_of if archive == "zip" else tar_of)(images / f"all.{archive}", members)
    else:
        for member in members:
            (images / member.name).write_bytes(member.content)
    with Orthanc() as orthanc:
        result = send(images, *more, *to(orthanc), cwd=tmp_path)
        assert result.exit_code == 0, result.stderr
        assert orthanc.ids().keys() == {uid_of(number) for number in range(len(RESTS))}
    (row,) = rows_of(tmp_path)
    assert row["Images Sent"] == str(len(RESTS))
    (path,) = tmp_path.glob("*_instances.csv")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert Counter(row["Code"] for row in rows) == {"trailing-bytes": len(RESTS)}
