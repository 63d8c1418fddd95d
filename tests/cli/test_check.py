"""`dicom-send check` compares files with a server, and sends nothing."""

import shutil
from collections.abc import Collection
from pathlib import Path

import pytest
from pydicom import dcmread

from fw_gear_dicom_send.cli.check import Comparison
from fw_gear_dicom_send.cli.local_source import LocalSource
from fw_gear_dicom_send.config import SendConfig
from fw_gear_dicom_send.delivery.results import ImageReference, Verification
from fw_gear_dicom_send.errors import ServerError
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support.certificates import HOST
from tests.support.pacs import DicomWebOrthanc, Orthanc, PythonSCP, StoreSCP
from tests.support.send_command import send

pytestmark = pytest.mark.slow


def states(text: str) -> list[str]:
    """Return the states in the output."""
    return sorted(line.split("\t")[0] for line in text.splitlines())


def test_each_missing_image_has_a_line(series: Path, orthanc: Orthanc, tmp_path: Path) -> None:
    """It has the UID and the path; the others have none, and nothing is sent."""
    server = f"SCP@{HOST}:{orthanc.port}"
    first, *others = sorted(series.iterdir())
    sent = send(*others, server, "--no-reports", cwd=tmp_path)
    assert sent.exit_code == 0, sent.stderr

    result = send("check", series, server, cwd=tmp_path)
    again = send("check", first, server, cwd=tmp_path)
    others_only = send("check", *others, server, "-q", cwd=tmp_path)

    (line,) = result.stdout.splitlines()
    assert line.split("\t")[:2] == ["missing", dcmread(first).SOPInstanceUID]
    assert "4 images: 3 on the server, 1 missing, 0 different, 0 unknown" in result.stderr
    assert (result.exit_code, again.exit_code) == (1, 1)
    assert (others_only.stdout, others_only.stderr, others_only.exit_code) == ("", "", 0)
    assert len(orthanc.instances()) == 3


def test_an_unreadable_file_is_unknown(series: Path, orthanc: Orthanc, tmp_path: Path) -> None:
    """It says why, and the other images are compared."""
    server = f"SCP@{HOST}:{orthanc.port}"
    assert send(series, server, "--no-reports", cwd=tmp_path).exit_code == 0
    damaged = series / "damaged.dcm"
    damaged.write_bytes(next(series.iterdir()).read_bytes()[:400])
    (series / "notes.txt").write_text("not DICOM")

    result = send("check", series, server, cwd=tmp_path)

    (line,) = result.stdout.splitlines()
    state, uid, _, reason = line.split("\t")
    assert (state, uid) == ("unknown", "-")
    assert reason
    assert "5 images: 4 on the server" in result.stderr
    assert result.exit_code == 1


@pytest.mark.parametrize(("options", "state"), [([], []), (["--content"], ["different"])])
def test_content_is_compared_if_asked(
    series: Path, web_orthanc: DicomWebOrthanc, tmp_path: Path, options: list[str], state: list[str]
) -> None:
    """A query shows only UIDs; --content retrieves the datasets."""
    assert send(series, web_orthanc.url, "--no-reports", cwd=tmp_path).exit_code == 0
    first = sorted(series.iterdir())[0]
    dataset = dcmread(first)
    dataset.PatientComments = "changed"
    dataset.save_as(first)

    result = send("check", series, web_orthanc.url, *options, cwd=tmp_path)

    assert states(result.stdout) == state
    assert result.exit_code == len(state)


def test_a_server_without_queries_has_an_exit_code(series: Path, tmp_path: Path) -> None:
    """Without C-FIND nothing can be compared, and no image counts as unknown."""
    with StoreSCP() as server:
        result = send("check", series, f"SCP@{HOST}:{server.port}", cwd=tmp_path)
    assert "Cannot compare: the server does not support C-FIND" in result.stderr
    assert (result.stdout, result.exit_code) == ("", 3)


@pytest.mark.usefixtures("series")
@pytest.mark.parametrize("words", [["series", "--content"], ["empty"], []])
def test_a_check_of_nothing_is_a_usage_error(
    python_scp: PythonSCP, tmp_path: Path, words: list[str]
) -> None:
    """So is --content for a server by C-STORE."""
    (tmp_path / "empty").mkdir()
    result = send("check", *words, f"X@{HOST}:{python_scp.port}", cwd=tmp_path)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_a_uid_twice_is_compared_twice(series: Path, orthanc: Orthanc, tmp_path: Path) -> None:
    """Each copy is an image of its own."""
    first = sorted(series.iterdir())[0]
    shutil.copy(first, series / "copy.dcm")
    result = send("check", series, f"SCP@{HOST}:{orthanc.port}", cwd=tmp_path)
    assert states(result.stdout) == ["missing"] * 5


class Forgetful:
    """Inquirer that answers once."""

    given_up: Reason | None = None

    def verify(self, images: Collection[ImageReference]) -> Verification:
        """Find the first image; afterwards, give up."""
        uids = frozenset(image.sop_instance_uid for image in images)
        if self.given_up:
            return Verification(unknown=dict.fromkeys(uids, self.given_up))
        self.given_up = Reason(Kind.QUERY_FAILED, "no")
        return Verification(verified=uids)


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_server_that_stops_answering_leaves_images_unknown(
    series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], is_lost: bool
) -> None:
    """A server that never answers ends the comparison."""
    inquirer = Forgetful()
    inquirer.given_up = Reason(Kind.QUERY_FAILED, "no") if is_lost else None
    first = sorted(series.iterdir())[0]
    paths = [shutil.copy(first, tmp_path / name) for name in ("a.dcm", "b.dcm")]
    comparison = Comparison(inquirer, has_content=False)
    config = SendConfig(destination="h", called_ae="A")

    if is_lost:
        with pytest.raises(ServerError):
            comparison.run(config, LocalSource(map(Path, paths)), tmp_path)
        return
    comparison.run(config, LocalSource(map(Path, paths)), tmp_path)

    assert comparison.conclude() == 1
    assert states(capsys.readouterr().out) == ["unknown"]
