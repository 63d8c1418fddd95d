"""`dicom-send` sends to tiny_pacs, a second DICOMweb server."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.instances import dataset_of, sop_instance_uid_of
from tests.support.sample_files import encoded, made
from tests.support.send_command import send
from tests.support.servers.tiny_pacs import TinyPACS


def summary(*arguments: object, cwd: Path, exit_code: int = 0) -> dict[str, Any]:
    """Run the command, and return its summary."""
    result = send(*arguments, "--json", cwd=cwd)
    assert result.exit_code == exit_code, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def datasets(*files: Path) -> dict[str, bytes]:
    """Return the dataset of each file, by SOP Instance UID."""
    return {sop_instance_uid_of(file): dataset_of(file) for file in files}


def stored(server: TinyPACS) -> dict[str, bytes]:
    """Return the dataset of each stored image, by SOP Instance UID."""
    return {uid: dataset_of(file) for uid, file in server.instances().items()}


@pytest.mark.parametrize("number", [1, 20])
@pytest.mark.parametrize("verify", ["find", "content"])
def test_images_arrive_and_are_verified(
    many_images: Path, tmp_path: Path, number: int, verify: str
) -> None:
    """All images are stored byte for byte, one or several a request, and found again."""
    files = sorted(many_images.iterdir())[:24]
    options = ["--images-per-request", number, "--verify", verify, "--no-reports"]
    with TinyPACS() as server:
        found = summary(*files, server.url, *options, cwd=tmp_path)
        assert stored(server) == datasets(*files)
    assert (found["sent"], found["verified"]) == (24, 24)


def test_a_second_run_sends_the_missing_images(series: Path, tmp_path: Path) -> None:
    """A run that resumes, and one that skips existing images, send only the others."""
    first, second, *rest = sorted(series.iterdir())
    reports = tmp_path / "reports"
    with TinyPACS() as server:
        summary(first, server.url, "--report-folder", reports, cwd=tmp_path)
        (report,) = reports.glob("*_instances.csv")
        resumed = [first, second, server.url, "--resume", report, "--no-reports"]
        found = summary(*resumed, cwd=tmp_path)
        assert (found["sent"], found["already_there"]) == (1, 1)
        found = summary(series, server.url, "--skip-existing", "--no-reports", cwd=tmp_path)
        assert (found["sent"], found["already_there"]) == (2, 2)
        assert stored(server) == datasets(first, second, *rest)


@pytest.mark.parametrize("number", [1, 20])
def test_a_refused_image_costs_only_itself(series: Path, tmp_path: Path, number: int) -> None:
    """An image with a malformed UID fails, and its UID is not in the answer; others are stored."""
    images = datasets(*series.iterdir())
    (series / "refused.dcm").write_bytes(encoded(made(7, StudyInstanceUID="1.02.3")))
    options = ["--images-per-request", number, "--report-folder", tmp_path / "reports"]
    with TinyPACS() as server:
        summary(series, server.url, *options, cwd=tmp_path, exit_code=1)
        assert stored(server) == images
    (report,) = (tmp_path / "reports").glob("*_instances.csv")
    rows = list(csv.DictReader(report.read_text().splitlines()))
    (failed,) = (row for row in rows if row["Outcome"] != "sent")
    assert (failed["Code"], failed["HTTP"], failed["Status"][:6]) == ("refused", "409", "0x0110")


def test_an_image_over_the_limit_costs_only_itself(series: Path, tmp_path: Path) -> None:
    """After 413 for a large image, the others are stored."""
    images = datasets(*series.iterdir())
    (series / "large.dcm").write_bytes(encoded(made(7, pixels=1000)))
    with TinyPACS(max_part_size=1 << 20) as server:
        found = summary(series, server.url, "--no-reports", cwd=tmp_path, exit_code=1)
        assert stored(server) == images
    assert found["failed"] == {"too-large-for-server": 1}


def test_the_server_accepts_a_token(series: Path, tmp_path: Path) -> None:
    """With its token all images are stored; without, the check ends the run."""
    file = tmp_path / "authorization.json"
    file.write_text('{"token": "hidden-token-1234"}')
    file.chmod(0o600)
    given = ["--authorization", file, "--identity-without-tls", "--no-reports"]
    with TinyPACS(auth="token", tokens=["hidden-token-1234"]) as server:
        summary(series, server.url, "--no-reports", cwd=tmp_path, exit_code=3)
        assert stored(server) == {}
        assert summary(series, server.url, *given, cwd=tmp_path)["sent"] == 4
        assert stored(server) == datasets(*series.iterdir())
