"""`dicom-send check`: compares files with the images on a server, and sends nothing."""

import logging
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ..config import SendConfig
from ..delivery.results import ImageReference, Planned, Transfer
from ..delivery.sender import Inquirer
from ..dicom.types import SOPInstance
from ..errors import ExitCode, ServerError, UsageError
from ..option_types import Group, Option, Place
from ..option_values import SWITCH
from ..options import OPTIONS
from ..reasons import Kind, Reason
from ..server_url import ServerURL
from ..text import printable, quantity
from ..values import replace
from . import options, settings
from .command_options import ROWS
from .console import write
from .help import add_version
from .local_source import LocalSource
from .parser import Arguments, Parser

if TYPE_CHECKING:
    from ..run.image import Image

log = logging.getLogger(__name__)

DESCRIPTION = """\
Compare files, folders and archives with a server. No images are sent. Each
image that differs gets a line: state, SOP Instance UID, path, and a reason.

    missing    The server does not have an image with this UID.
    different  The server has another image with this UID (only with --content).
    unknown    The image is unreadable, or the server gives no answer about it.

C-FIND and QIDO-RS show only whether the server has a UID, not its content. With
--content, a DICOMweb server returns each image, and the datasets are compared.
An image that was converted when it was sent, or marked (--stamp), is different.
"""
EPILOG = """\
exit codes:
  0  the server has all images
  1  some images are missing, different or unknown
  2  the command line is invalid, or there is no image
  3  no connection, or the server does not answer queries (C-FIND, QIDO-RS)

example: dicom-send check /data/study ARCHIVE@pacs.example.org:104
"""
MAX_PENDING = 1000
"""Number of images in one question to the server."""
_RETRY_TIME = 30.0
_CONTENT = Option(
    "content",
    SWITCH,
    False,
    Group.PROOF,
    "Retrieve each image by WADO-RS and compare its dataset (DICOMweb only).",
)
_QUERY = ("query_ae", "query_port")
_OTHERS = ("show_member_names", "debug")


class State(StrEnum):
    """State of an image on the server."""

    SAME = "same"
    MISSING = "missing"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


def parser() -> Parser:
    """Return the parser of the command line after `check`."""
    usage = "dicom-send check PATH... AE@HOST:PORT [options]"
    command = Parser("dicom-send check", DESCRIPTION, EPILOG, usage=usage)
    command.add_paths()
    rows = [row for row in (*OPTIONS, ROWS["server"]) if row.where & Place.COMMAND]
    for group in (Group.FILES, Group.SERVER, Group.TLS):
        command.add_options(group.title, [row for row in rows if row.group is group])
    command.add_options("comparison", [_CONTENT, *(row for row in rows if row.name in _QUERY)])
    others = [row for row in rows if row.name in _OTHERS]
    command.add_options("messages", [*others, ROWS["quiet"]])
    add_version(command)
    return command


def main(argv: Sequence[str]) -> int:
    """Run the command line after `check`, and return the exit code. Raises DicomSendError."""
    arguments = parser().read(argv)
    if arguments.values.get("quiet"):
        logging.getLogger().setLevel(logging.ERROR)
    chosen = settings.read(arguments)
    if not chosen.paths:
        raise UsageError("PATH is required; see dicom-send check --help")
    with options.naming(chosen.origins):
        return _compare(arguments, chosen)


def _compare(arguments: Arguments, chosen: settings.Settings) -> int:
    config = replace(chosen.config(), send_retry_time=_RETRY_TIME, verify="none", stamp=False)
    has_content = bool(arguments.values.get("content"))
    if has_content and not isinstance(config.address, ServerURL):
        raise UsageError("--content needs a DICOMweb server: a URL as the server")
    source = LocalSource(chosen.paths, config.names)
    # The network modules take long to import, and neither --help nor an error above needs them.
    from .. import senders

    with TemporaryDirectory() as work, senders.of(config, Path(work)) as sender:
        sender.check()
        comparison = Comparison(
            sender.inquirer("content" if has_content else "find"), has_content=has_content
        )
        try:
            comparison.run(config, source, Path(work))
            sender.close()
        finally:
            sender.abort()
    return comparison.conclude()


class Comparison:
    """Comparison of images with a server.

    The mutable state is the numbers of images by state, and the images of the next question with
    their places, by SOP Instance UID.
    """

    def __init__(self, inquirer: Inquirer, *, has_content: bool) -> None:
        """Ask `inquirer`; with `has_content`, it compares checksums."""
        self._inquirer = inquirer
        self._has_content = has_content
        self._counts: Counter[State] = Counter()
        self._pending: dict[str, tuple[ImageReference, str]] = {}

    def run(self, config: SendConfig, source: LocalSource, work: Path) -> None:
        """Read the images of a source, and write a line about each that differs."""
        from ..run.downloads import Downloads
        from ..run.image_queue import FileEnd, ImageQueue

        selection = source.select()
        for left_out in selection.left_out:
            log.info("%s", left_out.text)
        downloads = Downloads(source.fetcher(work), selection.entries, lambda: None)
        queue = ImageQueue(
            config,
            source,
            downloads,
            work,
            max_put_off=0,
            is_wanted=lambda _: True,
            process=self._add,
        )
        downloads.start()
        try:
            for item in queue.results():
                if isinstance(item, FileEnd) and item.trouble:
                    self._note(State.UNKNOWN, "-", item.entry.path, item.trouble)
        finally:
            downloads.stop()
            downloads.close()
            for _ in queue.unfinished():
                pass  # closes the files after an error
        self._ask()

    def conclude(self) -> int:
        """Log the numbers, and return the exit code. Raises UsageError without an image."""
        total, same = self._counts.total(), self._counts[State.SAME]
        if not total:
            raise UsageError("nothing to compare: no DICOM image was found")
        others = [f"{self._counts[state]:,} {state}" for state in State if state is not State.SAME]
        log.log(
            logging.INFO if same == total else logging.ERROR,
            "%s: %s on the server, %s",
            quantity(total, "image"),
            f"{same:,}",
            ", ".join(others),
        )
        return ExitCode.SUCCESS if same == total else ExitCode.NOT_ALL_SENT

    def _add(self, image: "Image") -> Planned:
        """Note an image for the next question."""
        content, place = image.content, image.file or image.place
        if not isinstance(content, SOPInstance):
            self._note(State.UNKNOWN, "-", place, content.reason)
            return Planned(Transfer())
        uid = content.sop_instance_uid
        try:
            crc32 = content.dataset.crc32() if self._has_content else None
        except OSError as exc:
            self._note(State.UNKNOWN, uid, place, Reason(Kind.NOT_READ, exc.strerror or str(exc)))
            return Planned(Transfer())
        if uid in self._pending or len(self._pending) == MAX_PENDING:
            self._ask()
        reference = ImageReference(
            content.sop_class_uid,
            uid,
            content.study_instance_uid,
            content.series_instance_uid,
            content.transfer_syntax_uid,
            crc32,
        )
        self._pending[uid] = reference, place
        return Planned(Transfer())

    def _ask(self) -> None:
        """Ask the server about the noted images. Raises ServerError if it answers no question."""
        pending, self._pending = self._pending, {}
        answer = self._inquirer.verify([reference for reference, _ in pending.values()])
        failure, known = self._inquirer.given_up, {*self._counts, *answer.verified, *answer.absent}
        if failure and known <= {State.UNKNOWN}:
            raise ServerError(f"Cannot compare: {failure.text}")
        for uid, (_, place) in pending.items():
            reason = answer.unknown.get(uid)
            if reason and reason.kind is Kind.CONTENT_DIFFERS:
                self._note(State.DIFFERENT, uid, place)
            elif reason:
                self._note(State.UNKNOWN, uid, place, reason)
            else:
                self._note(State.MISSING if uid in answer.absent else State.SAME, uid, place)

    def _note(self, state: State, uid: str, place: str, reason: Reason | None = None) -> None:
        self._counts[state] += 1
        if state is not State.SAME:
            words = [state, uid, place, *([reason.text] if reason else [])]
            write("\t".join(map(printable, words)) + "\n")
