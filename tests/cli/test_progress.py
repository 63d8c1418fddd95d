"""`dicom-send` shows its progress as lines or as a bar, and can be interrupted."""

import re
import time
from pathlib import Path

import pytest

from tests.support import command, wording
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.gear import MAX_RUN_SECONDS
from tests.support.pacs import CStore, PythonSCP
from tests.support.sample_files import uid_of
from tests.support.send_command import rows_of, send, to

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("real_starts")]


def lines_of(printed: str) -> list[str]:
    """Return the lines sent to a terminal, without control sequences."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", printed)
    return plain.replace("\r\n", "\n").replace("\r", "\n").splitlines()


def test_there_are_plain_lines_without_a_terminal(
    many_images: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """Each line starts with the time and has no control characters."""
    result = send(many_images, *to(python_scp), cwd=tmp_path)

    assert "INFO made: 100 of 100 images sent" in result.stderr
    assert not {"\x1b", "━"} & set(result.stderr)
    assert result.stdout == ""


def test_each_path_has_one_line(many_images: Path, python_scp: PythonSCP, tmp_path: Path) -> None:
    """The number of paths comes first, then the result of each path, and no table repeats it."""
    result = send(many_images, *to(python_scp), cwd=tmp_path)

    assert "INFO Found 1 path to send to AE SCP at " in result.stderr
    assert result.stderr.count("100 of 100 images sent") == 1
    assert "Status" not in result.stderr


def test_a_run_continues_if_its_output_is_closed(
    many_images: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """With `2>&1 | head`, all images are sent and reported, and the exit code is 0."""
    process = command.start("dicom-send", many_images, *to(python_scp), cwd=tmp_path)
    assert process.stdout
    assert process.stderr
    process.stderr.readline()
    process.stderr.close()

    assert process.wait(MAX_RUN_SECONDS) == 0
    process.stdout.close()
    assert [row["Status"] for row in rows_of(tmp_path)] == ["Complete"]
    assert len(list(tmp_path.glob("*.html"))) == 1


def test_there_is_a_bar_on_a_terminal(
    many_images: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """Log lines appear above the bar, without the time."""
    result = command.run_on_terminal("dicom-send", many_images, *to(python_scp), cwd=tmp_path)

    assert result.exit_code == 0
    lines = lines_of(result.stdout)
    assert "made: 100 of 100 images sent" in lines
    assert any(re.match(r"━{20,} ", line) for line in lines)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_bar_fits_the_terminal(many_images: Path, tmp_path: Path, columns: int) -> None:
    """Percentage, MB, rate and image counts are not clipped; failures are red."""

    def answer(record: CStore) -> int:
        return 0xA900 if record.sop_instance_uid == uid_of(7) else 0x0000

    with PythonSCP(status=answer) as server:
        result = command.run_on_terminal(
            "dicom-send", many_images, *to(server), cwd=tmp_path, columns=columns
        )

    lines = lines_of(result.stdout)
    last = max(number for number, line in enumerate(lines) if "━" in line)
    assert len(lines[last]) == columns
    numbers = r"━{8,}  100%  (\d\.\d) of \1 MB  \d+\.\d MB/s"
    assert re.fullmatch(numbers, lines[last])
    below = "  ".join(lines[last + 1 : last + 3])
    assert below.startswith("99 of 100 images sent  1 failed  0 retries")
    assert "\x1b[1;31m1 failed" in result.stdout
    assert "…" not in result.stdout


def test_an_interrupted_run_reports_its_sent_images(many_images: Path, tmp_path: Path) -> None:
    """SIGINT ends the run gracefully: the report counts the acknowledged images."""

    def serve_slower_and_slower(peer: Peer) -> None:
        peer.accept()
        while True:
            image = peer.read_image()
            time.sleep(0.05 if len(server.images) < 20 else 1)
            peer.answer(image)

    with FaultSCP(serve_slower_and_slower) as server:
        result = command.run_on_terminal(
            "dicom-send",
            many_images,
            *to(server),
            cwd=tmp_path,
            interrupt_at=lambda printed: bool(re.search(r"\b[1-9]\d? images sent", printed)),
        )

    (row,) = rows_of(tmp_path)
    assert 0 < int(row["Images Sent"]) < 100
    assert f"{wording.STOPPED_BY} Ctrl-C" in result.stdout
    assert result.exit_code == 130
