"""Reports of earlier runs are read as far as they are reliable."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from fw_gear_dicom_send.models import Container, FileEntry, ImageRecord
from fw_gear_dicom_send.network.types import AlreadyStored, PeerAE, Planned, StoreResult, Transfer
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.report.earlier_reports import EarlierImage, images_on
from fw_gear_dicom_send.report.images_csv import COLUMNS, ImagesCSV
from fw_gear_dicom_send.report.verification import Verdict, Verifications
from tests.support.results import not_sent, sent

PEER = PeerAE("pacs.example.org", 104, "PACS", "flywheel")
ENTRY = FileEntry(Container("session", "s"), "a.zip", "lab/a.zip")
CRC = 0xFF00_1234


def record(number: int, result: StoreResult | None = None, crc32: int | None = CRC) -> ImageRecord:
    return ImageRecord(ENTRY, f"{number}", result or sent(), "", f"1.{number}", size=9, crc32=crc32)


def report(folder: Path, *records: ImageRecord, peer: PeerAE = PEER) -> Path:
    """Write the report of a run."""
    written = ImagesCSV(folder / "r_instances.csv", peer)
    for one in records:
        written.image(one)
    written.close()
    return written.path


def uids(path: Path, peer: PeerAE = PEER) -> Sequence[str]:
    return [image.sop_instance_uid for image in images_on(peer, path)]


def test_images_on_the_server_are_returned(tmp_path: Path) -> None:
    """These are sent images, with and without a warning, and existing ones."""
    path = report(
        tmp_path,
        record(1),
        record(2, sent(status=0xB000)),
        record(3, AlreadyStored(Reason(Kind.SENT_EARLIER))),
        record(4, not_sent("no")),
        record(5, Planned(Transfer()), None),
    )
    assert list(images_on(PEER, path)) == [EarlierImage(f"1.{n}", 9, CRC) for n in (1, 2, 3)]


def test_an_image_with_an_unknown_dataset_is_not_returned(tmp_path: Path) -> None:
    """A query only returns the UID, so the dataset may be different."""
    assert uids(report(tmp_path, record(1, AlreadyStored(), None), record(2))) == ["1.2"]


@pytest.mark.parametrize(
    ("peer", "is_same"),
    [
        (PeerAE("PACS.example.org", 104, "PACS", "OTHER"), True),
        (PeerAE("pacs2.example.org", 104, "PACS", "flywheel"), False),
        (PeerAE("pacs.example.org", 105, "PACS", "flywheel"), False),
        (PeerAE("pacs.example.org", 104, "pacs", "flywheel"), False),
    ],
)
def test_a_server_is_identified_by_host_port_and_ae_title(
    tmp_path: Path, peer: PeerAE, is_same: bool
) -> None:
    """Images sent to another server do not count; host names are not case-sensitive."""
    assert uids(report(tmp_path, record(1)), peer) == ["1.1"] * is_same


def test_images_that_the_server_lost_are_returned_as_such(tmp_path: Path) -> None:
    """They were acknowledged, but a query did not find them."""
    written = ImagesCSV(tmp_path / "r_instances.csv", PEER)
    verifications = Verifications("find")
    for number, verdict in enumerate((Verdict.VERIFIED, Verdict.ABSENT, Verdict.VERIFIED)):
        written.image(record(number))
        verifications.note(ENTRY, verifications.add(is_sent=True), verdict)
    written.start_resending()
    written.image(record(0))
    written.mark_missing(ENTRY, "1.0", Reason(Kind.NOT_STORED))
    written.close(verifications)
    assert [one.is_stored for one in images_on(PEER, written.path)] == [False, False, True]


def test_a_truncated_last_line_is_skipped(tmp_path: Path) -> None:
    """A killed job may leave a row that seems complete but names another server."""
    path = report(tmp_path, record(1), record(2))
    content = path.read_bytes()
    last = len(content.splitlines(keepends=True)[-1])
    for cut in range(1, last + 1):
        path.write_bytes(content[:-cut])
        assert uids(path) == ["1.1"]


@pytest.mark.parametrize(
    "damage",
    [
        b"\xff\xfe\x00\n",
        b'"\n',
        b"\n",
        b"a,b,c\n",
        b"\x00" * 200_000 + b"\n",
        b"1," * 50_000 + b"\n",
    ],
)
def test_damaged_rows_affect_only_themselves(tmp_path: Path, damage: bytes) -> None:
    """Rows before and after any damage are read."""
    path = report(tmp_path, record(1), record(2))
    header, first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(header + first + damage + second)
    assert uids(path) == ["1.1", "1.2"]


@pytest.mark.parametrize("name", ["Bytes", "CRC-32"])
def test_a_row_without_a_number_is_skipped(tmp_path: Path, name: str) -> None:
    """A row with an invalid number proves nothing."""
    path = report(tmp_path, record(1), record(2))
    lines = path.read_text().splitlines()
    cells = lines[1].split(",")
    cells[COLUMNS.index(name)] = "x"
    path.write_text("\n".join([lines[0], ",".join(cells), *lines[2:], ""]))
    assert uids(path) == ["1.2"]


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\xff" * 1000, b"FW Path,Member,SOP Class\na,b,c\n", b"no line end" * 100_000],
)
def test_other_files_are_logged_and_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """A report of an older version lacks columns; other files are not reports."""
    path = tmp_path / "old_instances.csv"
    path.write_bytes(content)
    assert uids(path) == []
    message = "not a per-image report, or from an older version"
    assert caplog.messages == [f"Skipping the report old_instances.csv: {message}"]


def test_an_unreadable_report_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The run continues without it."""
    assert uids(tmp_path / "r.csv") == []
    assert caplog.messages == ["Cannot read all of the report r.csv: No such file or directory"]
