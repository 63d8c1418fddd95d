"""`dicom-send --resume` skips images that an earlier report lists as sent."""

import json
from pathlib import Path

import pytest

from tests.support import wording
from tests.support.archive_scp import ArchiveSCP
from tests.support.command import CommandResult
from tests.support.pacs import CStore, PythonSCP, StoreSCP
from tests.support.sample_files import encoded, made, uid_of
from tests.support.send_command import send, to

IMAGES = 5


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Folder of images."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(IMAGES):
        (folder / f"{number}.dcm").write_bytes(encoded(made(number)))
    return folder


class Runs:
    """Runs of the command on a folder of images, each with its own report folder."""

    def __init__(self, images: Path, folder: Path) -> None:
        self.images = images
        self._folder = folder
        self._runs = 0
        self.reports: list[Path] = []

    def send(self, server: PythonSCP | StoreSCP, *options: object) -> CommandResult:
        """Send the images and keep the per-image report."""
        self._runs += 1
        reports = self._folder / f"reports{self._runs}"
        given = ["--json", "--report-folder", reports, *options]
        result = send(self.images, *to(server), *given, cwd=self._folder)
        for path in reports.glob("*_instances.csv"):
            # Several runs may start within a second.
            time = f"2026-01-01_00-00-{self._runs:02}"
            self.reports.append(path.rename(path.with_name(f"r_{time}_instances.csv")))
        return result

    def resume(self, server: PythonSCP | StoreSCP, *options: object) -> CommandResult:
        """Send the images except those that the reports list as sent."""
        reports = [part for path in self.reports for part in ("--resume", path)]
        return self.send(server, *reports, *options)


@pytest.fixture
def runs(images: Path, tmp_path: Path) -> Runs:
    """Runs of a test."""
    return Runs(images, tmp_path)


def counts(result: CommandResult) -> tuple[int, int]:
    """Return the numbers of sent and of existing images."""
    printed = json.loads(result.stdout)
    return printed["sent"], printed["already_there"]


def test_sent_images_are_skipped(runs: Runs, storescp: StoreSCP) -> None:
    """The rest is sent to a server without queries; a third run has nothing to send."""
    assert runs.send(storescp, "--include", "[01].dcm").exit_code == 0

    second, third = runs.resume(storescp), runs.resume(storescp)

    assert [counts(one) for one in (second, third)] == [(3, 2), (0, 5)]
    assert (second.exit_code, third.exit_code) == (0, 0)
    assert f"images: 2 images {wording.SENT_EARLIER}" in second.stderr
    assert "Earlier runs sent 2 images to this server" in second.stderr
    assert ",already there,,sent-earlier," in runs.reports[1].read_text()


def test_the_last_report_alone_is_enough(runs: Runs, storescp: StoreSCP) -> None:
    """A report includes the skipped images."""
    runs.send(storescp, "--include", "[01].dcm")
    runs.resume(storescp)
    del runs.reports[0]

    assert counts(runs.resume(storescp)) == (0, 5)


def changed(path: Path) -> None:
    """Change the last byte of a file: the dataset keeps its UID and its size."""
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))


def contents(server: StoreSCP) -> list[bytes]:
    """Return the contents of the files that the server has, sorted."""
    return sorted(path.read_bytes() for path in server.received())


def test_a_changed_dataset_replaces_nothing(runs: Runs, storescp: StoreSCP) -> None:
    """With resume it is a duplicate, as often as it comes; without resume it is sent."""
    runs.send(storescp)
    before = contents(storescp)
    changed(runs.images / "0.dcm")

    results = [runs.resume(storescp) for _ in range(2)]

    assert [(counts(one), one.exit_code) for one in results] == [((0, 4), 1)] * 2
    assert runs.reports[-1].read_text().count(",not sent,") == 1
    assert runs.reports[-1].read_text().count(",uid-duplicate,") == 1
    assert contents(storescp) == before
    assert (counts(runs.send(storescp)), contents(storescp) == before) == ((5, 0), False)
    runs.reports.reverse()
    assert counts(runs.resume(storescp)) == (0, 5)


@pytest.mark.parametrize("name", ["1b.dcm", "9.dcm"])
def test_a_refused_duplicate_is_refused_again(runs: Runs, storescp: StoreSCP, name: str) -> None:
    """The image that was sent first stays on the server, whichever comes first later."""
    runs.send(storescp)
    before = contents(storescp)
    other = runs.images / name
    other.write_bytes((runs.images / "4.dcm").read_bytes())
    changed(other)

    results = [runs.resume(storescp, "--associations", number) for number in (1, 4)]

    assert [(counts(one), one.exit_code) for one in results] == [((0, 5), 1)] * 2
    assert contents(storescp) == before


def test_a_damaged_report_stops_no_run(runs: Runs, storescp: StoreSCP) -> None:
    """Images in damaged rows are sent again."""
    runs.send(storescp)
    path = runs.reports[0]
    header, *rows = path.read_text().splitlines()
    place = header.split(",").index("CRC-32")
    for number, crc32 in enumerate(("-00000001", "1FFFFFFFF")):
        cells = rows[number].split(",")
        rows[number] = ",".join([*cells[:place], crc32, *cells[place + 1 :]])
    path.write_text("\n".join([header, *rows, ""]))

    result = runs.resume(storescp)

    assert (counts(result), result.exit_code) == ((2, 3), 0)
    assert f"Skipping 2 damaged rows in the report {path.name}" in result.stderr


def test_failed_images_are_sent(runs: Runs) -> None:
    """Images that the server rejected are sent again."""
    refused = {uid_of(0), uid_of(3)}

    def answer(record: CStore) -> int:
        return 0xA900 if record.sop_instance_uid in refused else 0x0000

    with PythonSCP(status=answer) as server:
        assert runs.send(server).exit_code == 1
        refused.clear()
        assert counts(runs.resume(server)) == (2, 3)


def test_images_sent_to_another_server_are_sent(
    runs: Runs, storescp: StoreSCP, python_scp: PythonSCP
) -> None:
    """Another port means another server."""
    runs.send(storescp)

    assert counts(runs.resume(python_scp)) == (5, 0)


def test_the_report_of_a_dry_run_does_not_count(runs: Runs, storescp: StoreSCP) -> None:
    """A dry run that resumes plans the remaining images.

    A dry run does not count a duplicate image as existing, as it was never sent.
    """
    (runs.images / "0b.dcm").write_bytes((runs.images / "0.dcm").read_bytes())
    first = runs.send(storescp, "--dry-run")
    assert (counts(first), json.loads(first.stdout)["duplicates"]) == ((0, 0), 1)
    (runs.images / "0b.dcm").unlink()
    assert counts(runs.resume(storescp, "--include", "0.dcm")) == (1, 0)

    planned = json.loads(runs.resume(storescp, "--dry-run").stdout)

    assert (planned["already_there"], planned["would_be_sent"]) == (1, 4)


def test_skipped_images_are_verified(runs: Runs) -> None:
    """An earlier successful send does not prove that the server still has the image."""
    with ArchiveSCP(find_status=0xC000) as server:
        runs.send(server)

        result = runs.resume(server, "--verify", "find")

    assert json.loads(result.stdout)["not_verified"]["causes"][0]["images"] == 5
    assert result.exit_code == 4


@pytest.mark.parametrize("name", ["none.csv", "n" * 5000, "."], ids=range(3))
def test_a_missing_report_is_an_error(runs: Runs, storescp: StoreSCP, name: str) -> None:
    """Nothing is sent."""
    result = runs.send(storescp, "--resume", name)

    (line,) = result.stderr.splitlines()
    assert f"--resume: {name}: {wording.FILE_NOT_FOUND}" in line
    assert result.exit_code == 2
