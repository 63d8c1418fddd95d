"""Folders for the reports of runs, and the newest report in them."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path

from ..delivery.sender import ServerKey
from ..errors import UsageError
from ..report.earlier_reports import is_about
from ..report_names import TIME_FORMAT, is_per_image, time_in
from . import options, server_words

log = logging.getLogger(__name__)

RUNS = Path("dicom-send-reports")
"""Folder with a folder for each run, unless the user chooses one."""
LAST = Path("last")


@contextmanager
def folder_for_run(chosen: Path | None, *, is_needed: bool) -> Iterator[Path]:
    """Yield the folder for the reports of a run: the chosen one, or a new one in `RUNS`.

    A new folder that stays empty is deleted. Raises UsageError if no folder can be created.
    """
    if chosen or not is_needed:
        yield options.report_folder(chosen) if chosen else RUNS
        return
    folder = _new_folder(f"{datetime.now():{TIME_FORMAT}}")
    try:
        yield folder
    finally:
        with suppress(OSError):  # it has reports, or its parent has those of other runs
            folder.rmdir()
            RUNS.rmdir()


def _new_folder(name: str) -> Path:
    """Create a folder that no other run has: two runs can start in the same second."""
    for number in count(2):
        folder = RUNS / name
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            name = f"{name[:19]}_{number}"
        except OSError as exc:
            text = f"cannot create the folder {folder} for reports: {exc.strerror}"
            raise UsageError(f"{text}; choose another one with --report-folder") from exc
        else:
            break
    return folder


def reports_to_resume(
    given: Sequence[Path], chosen: Path | None, server: ServerKey
) -> Sequence[Path]:
    """Return the given reports, the oldest first; `LAST` stands for the newest about a server.

    Raises UsageError if a report is missing.
    """
    paths = [_newest(chosen, server) if path == LAST else path for path in given]
    for path in paths:
        # Path.is_file raises an error for a name that is too long.
        if not os.path.isfile(path):
            raise UsageError(f"--resume: {path}: file not found")
    return sorted(paths, key=lambda path: time_in(path.name))


def _newest(chosen: Path | None, server: ServerKey) -> Path:
    """Return the newest per-image report about a server in the chosen folder, or in `RUNS`."""
    found = chosen.glob("*") if chosen else RUNS.glob("*/*")
    reports = [path for path in found if is_per_image(path.name)]
    for path in sorted(reports, key=lambda path: (time_in(path.name), path), reverse=True):
        if is_about(server, path):
            log.info("Resuming after %s", path)
            return path
    host, port, called_ae = server
    word = server_words.word_of(called_ae, host, port)
    raise UsageError(f"--resume last: no per-image report about {word} in {chosen or RUNS}")
