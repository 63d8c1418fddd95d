"""Progress bar: its colour, and what it says of the rest."""

import io
from collections.abc import Sequence

import pytest
from rich.console import Console

from fw_gear_dicom_send.cli.progress_bar import ProgressBar
from fw_gear_dicom_send.delivery.results import Sent, StoreResult, Transfer
from fw_gear_dicom_send.delivery.sender import SenderFacts
from fw_gear_dicom_send.models import Container, FileEntry, FileReport, ImageRecord, Remark
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support.results import not_sent, sent

ENTRY = FileEntry(Container("folder", "f"), "f", "f", 1_000_000)
NO_IMAGE = Remark((Reason(Kind.NO_IMAGE),), 0, failure=False)
GREEN, RED = "\x1b[32m", "\x1b[31m"


class Sending:
    """Sender with one association."""

    def facts(self) -> SenderFacts:
        """Return the facts of a sender."""
        return SenderFacts(1, "association")


def shown(*results: StoreResult, step: str = "", files: Sequence[FileReport] = ()) -> str:
    """Return the bar of a run after some images of half a file, with its colours."""
    bar = ProgressBar([ENTRY], Sending())
    for result in results:
        bar.image(ImageRecord(ENTRY, "", result, size=1, position=500_000))
    for file in files:
        bar.file(file)
    bar.note(step)
    output = io.StringIO()
    Console(file=output, force_terminal=True, color_system="standard", width=80).print(bar)
    return output.getvalue()


@pytest.mark.parametrize(
    ("results", "files", "colour"),
    [
        ([sent()], [], GREEN),
        ([sent(), not_sent()], [], RED),
        ([sent()], [FileReport(ENTRY, 2, 1)], RED),
        ([sent()], [FileReport(ENTRY, 0, 0, (NO_IMAGE,))], GREEN),
    ],
    ids=["sent", "image failed", "file failed", "no image"],
)
def test_the_bar_is_green_while_nothing_has_failed(
    results: list[StoreResult], files: list[FileReport], colour: str
) -> None:
    """A file that failed without a seen image counts; one without DICOM has not failed."""
    assert f"{colour}━" in shown(*results, files=files)


def test_the_bar_shows_no_time_before_it_has_a_rate() -> None:
    """Half of the file was read at once."""
    line = shown(Sent(Transfer()))
    assert " 50%" in line
    assert " left" not in line


def test_the_bar_says_what_it_waits_for() -> None:
    """The text is on a line of its own."""
    assert shown(sent(), step="waiting 30 s for 3 images to appear").splitlines()[-1] == (
        "waiting 30 s for 3 images to appear"
    )
