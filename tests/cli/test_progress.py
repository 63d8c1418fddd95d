"""`dicom-send` shows how far it is, as lines or as a bar, and can be interrupted."""

import re
import time
from pathlib import Path

from tests.support import command
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.pacs import PythonSCP
from tests.support.send_command import rows_of, send, to


def test_there_are_plain_lines_without_a_terminal(
    made_images: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """What is told has the time before it, and no control character."""
    result = send(made_images, *to(python_scp), cwd=tmp_path)

    assert "INFO made: 100 of 100 images sent" in result.stderr
    assert not {"\x1b", "━"} & set(result.stderr)
    assert result.stdout == ""


def test_there_is_a_bar_on_a_terminal(
    made_images: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """It shows how much is sent and left; what is logged meanwhile has no time before it."""
    result = command.run_on_terminal("dicom-send", made_images, *to(python_scp), cwd=tmp_path)

    assert "100 images sent, 0 not" in result.stdout
    assert "━" in result.stdout
    assert "\nmade: 100 of 100 images sent" in result.stdout.replace("\r", "\n").replace(
        "\x1b[2K", ""
    )
    assert result.exit_code == 0


def test_an_interrupted_run_reports_what_it_sent(made_images: Path, tmp_path: Path) -> None:
    """SIGINT ends the run in good order: the report counts what was acknowledged."""

    def serve_slower_and_slower(peer: Peer) -> None:
        peer.accept()
        while True:
            image = peer.read_image()
            time.sleep(0.05 if len(server.images) < 20 else 1)
            peer.answer(image)

    with FaultSCP(serve_slower_and_slower) as server:
        result = command.run_on_terminal(
            "dicom-send",
            made_images,
            *to(server),
            cwd=tmp_path,
            interrupt_at=lambda printed: bool(re.search(r"\b[1-9]\d? images sent", printed)),
        )

    (row,) = rows_of(tmp_path)
    assert 0 < int(row["Images Sent"]) < 100
    assert "The run was ended by SIGINT" in result.stdout
    assert result.exit_code == 1
