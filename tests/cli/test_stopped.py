"""A run that a signal stops reports what it did, what may be stored, and what it did not reach."""

import csv
import json
import os
import shlex
import signal
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from fw_gear_dicom_send.reasons import Kind, Program
from tests.support import command
from tests.support.fault_scp import FaultSCP, Peer, serve
from tests.support.gear import ignores_sigterm
from tests.support.html_reading import parsed
from tests.support.sample_files import ArchiveMember, encoded, made, zip_of
from tests.support.send_command import rows_of, to
from tests.support.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.slow


class AnswerTwo:
    """Script that answers two images, and the third one only when `answering` is set."""

    def __init__(self) -> None:
        self.answering = Event()

    def __call__(self, peer: Peer) -> None:
        """Accept an association, and answer its images."""
        peer.accept()
        for _ in range(2):
            peer.answer(peer.read_image())
        image = peer.read_image()
        if self.answering.wait(PATIENCE):
            peer.answer(image)
            peer.read_to_end()


@dataclass(frozen=True)
class Stopped:
    """The results of a stopped run."""

    log: str
    summary: dict[str, Any]
    folder: Path

    @property
    def last_line(self) -> str:
        """The last line of the log."""
        return self.log.splitlines()[-1]

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """The images, the sent images and the status of each path."""
        return [(row["Images"], row["Images Sent"], row["Status"]) for row in rows_of(self.folder)]


def stop(
    folder: Path,
    *paths: Path,
    number: int = signal.SIGINT,
    options: tuple[str, ...] = (),
    is_answered: bool = False,
) -> Stopped:
    """Send paths over one association, and stop the run while it sends the third image."""
    script = AnswerTwo()
    with FaultSCP(script) as server:
        more = ("--json", "--associations", 1, *options)
        process = command.start("dicom-send", *paths, *more, *to(server), cwd=folder)
        assert wait_for(lambda: len(server.images) == 3)
        process.send_signal(number)
        if is_answered:
            assert wait_for(partial(ignores_sigterm, process.pid))
            script.answering.set()
        printed, log = process.communicate(timeout=PATIENCE)
        script.answering.set()
    assert process.returncode == 128 + number
    return Stopped(log, json.loads(printed), folder)


@pytest.fixture
def six(tmp_path: Path) -> Path:
    """Folder of six images."""
    folder = tmp_path / "six"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.dcm").write_bytes(encoded(made(number)))
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_counts_all_images_of_a_folder(
    six: Path, tmp_path: Path, number: int
) -> None:
    """Two of six images were sent, one may be stored, and three were not processed."""
    stopped = stop(tmp_path, six, number=number)
    name = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
    assert f" Stopped by {name}: 2 of 6 images sent, 4 left. To continue: " in stopped.last_line
    assert stopped.rows == [("6", "2", "Incomplete")]
    summary = stopped.summary
    assert (summary["images"], summary["sent"], summary["files_not_processed"]) == (6, 2, 0)
    assert summary["failed"] == {"unanswered": 1, "not-reached": 3}
    (instances,) = tmp_path.glob("*_instances.csv")
    found = list(csv.DictReader(instances.read_text().splitlines()))
    assert [(row["Code"], row["Tries"]) for row in found] == [
        ("", "1"),
        ("", "1"),
        ("unanswered", "1"),
    ]
    page = parsed(next(tmp_path.glob("*.html")).read_text())
    shown = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert shown["Images sent"] == "2 of 6"
    assert Kind.UNANSWERED.advice_for(Program.COMMAND) in page.texts("td")


def test_the_last_line_continues_the_run(six: Path, tmp_path: Path) -> None:
    """Its command line has the words that were typed, and sends only the rest."""
    (tmp_path / "my images").symlink_to(six)
    with FaultSCP(AnswerTwo(), serve) as server:
        typed = ("my images/.", "--associations", 1, *to(server))
        process = command.start("dicom-send", *typed, cwd=tmp_path)
        assert wait_for(lambda: len(server.images) == 3)
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=PATIENCE)
        program, *words = shlex.split(log.splitlines()[-1].partition("To continue: ")[2])
        assert words[: len(typed)] == list(map(str, typed))
        result = command.run(program, *words, "--json", cwd=tmp_path)
        assert len(server.images) == 3 + 4
    assert result.exit_code == 0
    summary = json.loads(result.stdout)
    assert (summary["sent"], summary["already_there"]) == (4, 2)


def has_sent(server: FaultSCP, images: int) -> bool:
    """Return whether a server has received a number of images."""
    return len(server.images) == images


def test_a_run_that_is_stopped_twice_resumes_after_both(six: Path, tmp_path: Path) -> None:
    """`--resume last` would be the second report alone, which may omit images of the first."""
    scripts = AnswerTwo(), AnswerTwo()
    with FaultSCP(scripts[0], serve, scripts[1]) as server:
        typed = (six, "--associations", 1, "--resume", "last", *to(server))
        logs = []
        for script, words, images in zip(
            scripts, (typed[:3] + typed[5:], typed), (3, 6), strict=True
        ):
            process = command.start("dicom-send", *words, cwd=tmp_path)
            assert wait_for(partial(has_sent, server, images))
            process.send_signal(signal.SIGINT)
            logs.append(process.communicate(timeout=PATIENCE)[1])
            script.answering.set()
    first, second = (shlex.split(log.partition("To continue: ")[2]) for log in logs)
    assert second[-4:-1:2] == ["--resume"] * 2
    assert second[-3] == first[-1] != second[-1]


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "\udcff1", "q'\\$x\t", "--tls", "é `x` *"])
def test_the_last_line_is_one_for_bash(six: Path, tmp_path: Path, name: str) -> None:
    """Line breaks, control characters and raw bytes in names are escaped for the shell."""
    odd = tmp_path / name
    six.rename(odd)
    options = (f"--report-folder={name}", "--files-from=paths", "--from0")
    (tmp_path / "paths").write_bytes(os.fsencode(odd))
    log = stop(tmp_path, odd, options=options).log
    line = log.splitlines()[-1].partition("To continue: ")[2]
    bash = ["bash", "-c", f"printf '%s\\0' {line}"]
    words = subprocess.run(bash, capture_output=True, check=True).stdout.decode(
        errors="surrogateescape"
    )
    program, path, *rest, resumed = words.removesuffix("\0").split("\0")
    assert (program, path, options[0] in rest) == ("dicom-send", str(odd), True)
    (report,) = odd.glob("*_instances.csv")
    assert (tmp_path / resumed).samefile(report)
    assert not resumed.startswith("-")


def test_paths_on_standard_input_are_needed_again(six: Path, tmp_path: Path) -> None:
    """The last line says so, as its command line cannot have them."""
    stopped = stop(tmp_path, six, options=("--files-from", "-"))
    assert ". To continue, with the same paths on standard input: " in stopped.last_line


def test_a_run_without_a_per_image_report_cannot_continue(six: Path, tmp_path: Path) -> None:
    """All images would be sent again."""
    stopped = stop(tmp_path, six, options=("--report-files", "files,page"))
    assert ": 2 of 6 images sent, 4 left; see " in stopped.last_line
    assert "To continue" not in stopped.last_line


def test_an_archive_may_have_more_images(six: Path, tmp_path: Path) -> None:
    """The run does not know what the rest of a zip and a path that it did not reach contain."""
    members = [ArchiveMember(path.name, path.read_bytes()) for path in sorted(six.iterdir())]
    first = zip_of(tmp_path / "a.zip", members)
    second = zip_of(tmp_path / "b.zip", members)
    stopped = stop(tmp_path, first, second)
    assert ": 0 of 2 paths sent (2 images), 2 left. " in stopped.last_line
    assert stopped.rows == [("4", "2", "Incomplete"), ("0", "0", "Failed")]
    assert (stopped.summary["images"], stopped.summary["files_not_processed"]) == (4, 1)
    page = parsed(next(tmp_path.glob("*.html")).read_text())
    shown = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert shown["Images sent"] == "2 of at least 4"


def test_an_archive_in_a_folder_is_a_path_of_its_own(six: Path, tmp_path: Path) -> None:
    """It does not count as an image of the folder."""
    (six / "z.zip").write_bytes(b"")
    stopped = stop(tmp_path, six)
    assert ": 0 of 2 paths sent (2 images), 2 left. " in stopped.last_line
    assert stopped.rows == [("6", "2", "Incomplete"), ("0", "0", "Failed")]
    page = parsed(next(tmp_path.glob("*.html")).read_text())
    assert "First 1 of 2 affected paths" in page.texts("summary")


def test_the_rest_of_a_nested_archive_is_unknown(six: Path, tmp_path: Path) -> None:
    """A stopped run does not unpack the rest to count it."""
    members = [ArchiveMember(path.name, path.read_bytes()) for path in sorted(six.iterdir())]
    zip_of(six / "00", members)
    stopped = stop(tmp_path, six)
    assert ": 2 of at least 4 images sent, 2 left. " in stopped.last_line
    assert stopped.rows == [("4", "2", "Incomplete")]


def test_single_files_that_were_not_reached_are_counted(six: Path, tmp_path: Path) -> None:
    """A path that was not reached has no known image."""
    stopped = stop(tmp_path, *sorted(six.iterdir()))
    assert ": 2 of 6 files sent, 4 left. " in stopped.last_line
    assert stopped.rows == [
        *[("1", "1", "Complete")] * 2,
        ("1", "0", "Failed"),
        *[("0", "0", "Failed")] * 3,
    ]


def test_a_file_whose_last_image_is_answered_is_complete(six: Path, tmp_path: Path) -> None:
    """The run has read all of it, although it stops."""
    stopped = stop(tmp_path, *sorted(six.iterdir()), is_answered=True)
    assert stopped.rows[2] == ("1", "1", "Complete")
    assert ": 3 of 6 files sent, 3 left. " in stopped.last_line


def test_the_json_log_of_a_stopped_run_is_complete(six: Path, tmp_path: Path) -> None:
    """It has the image that may be stored, and the folder with all its images."""
    stopped = stop(tmp_path, six, options=("--log-json",))
    events = [json.loads(line) for line in stopped.log.splitlines()]
    images = [one for one in events if one["event"] == "image"]
    assert [(one["code"], one["tries"]) for one in images] == [("", 1), ("", 1), ("unanswered", 1)]
    (file,) = (one for one in events if one["event"] == "file")
    assert (file["images"], file["sent"], file["status"]) == (6, 2, "Incomplete")
