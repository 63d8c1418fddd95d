"""Reports of earlier runs are read as far as they are reliable."""

import csv
import gzip
import io
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fw_gear_dicom_send.delivery.results import AlreadyStored, Planned, StoreResult, Transfer
from fw_gear_dicom_send.delivery.sender import ServerKey
from fw_gear_dicom_send.models import Container, FileEntry, ImageRecord
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.report import schemas
from fw_gear_dicom_send.report.earlier_reports import EarlierImage, images_on
from fw_gear_dicom_send.report.images_csv import ImagesCSV
from fw_gear_dicom_send.report.verification import Verdict, Verifications
from fw_gear_dicom_send.run.known_images import KnownImages
from tests.support import wording
from tests.support.examples import examples
from tests.support.results import judged, not_sent, sent

COLUMNS = (*schemas.names(schemas.IMAGES), *schemas.SERVER)
SERVER = ("pacs.example.org", "104", "PACS")
ENTRY = FileEntry(Container("session", "s"), "a.zip", "lab/a.zip")
CRC = 0xFF00_1234


def record(number: int, result: StoreResult | None = None, crc32: int | None = CRC) -> ImageRecord:
    return ImageRecord(ENTRY, f"{number}", result or sent(), "", f"1.{number}", size=9, crc32=crc32)


def report(folder: Path, *records: ImageRecord, server: ServerKey = SERVER) -> Path:
    """Write the report of a run."""
    written = ImagesCSV(folder / "r_instances.csv", server)
    for one in records:
        written.image(one)
    written.close()
    return written.path


def uids(path: Path, server: ServerKey = SERVER) -> Sequence[str]:
    return [image.sop_instance_uid for image in images_on(server, path)]


def test_images_on_the_server_are_returned(tmp_path: Path) -> None:
    """These are sent images, with and without a warning, and existing ones."""
    path = report(
        tmp_path,
        record(1),
        record(2, sent(answer=judged(0xB000))),
        record(3, AlreadyStored(Reason(Kind.SENT_EARLIER))),
        record(4, not_sent("no")),
        record(5, Planned(Transfer()), None),
    )
    assert list(images_on(SERVER, path)) == [EarlierImage(f"1.{n}", 9, CRC) for n in (1, 2, 3)]


def test_an_image_with_an_unknown_dataset_is_not_returned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A query only returns the UID, so the dataset may be different. The row is not damaged."""
    assert uids(report(tmp_path, record(1, AlreadyStored(), None), record(2))) == ["1.2"]
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("server", "is_same"),
    [
        (("PACS.example.org", "104", "PACS"), True),
        (("pacs2.example.org", "104", "PACS"), False),
        (("pacs.example.org", "105", "PACS"), False),
        (("pacs.example.org", "104", "pacs"), False),
    ],
)
def test_a_server_is_identified_by_host_port_and_ae_title(
    tmp_path: Path, server: ServerKey, is_same: bool
) -> None:
    """Images sent to another server do not count; host names are not case-sensitive."""
    assert uids(report(tmp_path, record(1)), server) == ["1.1"] * is_same


def test_images_that_the_server_lost_are_returned_as_such(tmp_path: Path) -> None:
    """They were acknowledged, but a query did not find them."""
    written = ImagesCSV(tmp_path / "r_instances.csv", SERVER)
    verifications = Verifications("find")
    for number, verdict in enumerate((Verdict.VERIFIED, Verdict.ABSENT, Verdict.VERIFIED)):
        written.image(record(number))
        verifications.note(ENTRY, verifications.add(is_sent=True), verdict)
    written.start_resending()
    written.image(record(0))
    written.mark_missing(ENTRY, "1.0", Reason(Kind.NOT_STORED))
    written.close(verifications)
    assert [one.is_stored for one in images_on(SERVER, written.path)] == [False, False, True]


def test_a_truncated_last_line_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A killed job may leave a row that seems complete but names another server."""
    path = report(tmp_path, record(1), record(2))
    content = path.read_bytes()
    last = len(content.splitlines(keepends=True)[-1])
    for cut in range(1, last + 1):
        path.write_bytes(content[:-cut])
        assert uids(path) == ["1.1"]
        assert len(caplog.messages) == min(cut, last - 1)


def test_the_end_of_a_line_that_is_too_long_is_no_row(tmp_path: Path) -> None:
    """Only whole lines are rows."""
    path = report(tmp_path, record(1), record(2))
    header, first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(header + b"x" * (1 << 16) + first + second)
    assert uids(path) == ["1.2"]


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


def rewritten(path: Path, change: Callable[[list[list[str]]], object]) -> None:
    """Change the rows of a report."""
    rows = [line.split(",") for line in path.read_text().splitlines()]
    change(rows)
    path.write_text("".join(",".join(row) + "\n" for row in rows))


DAMAGED_NUMBERS = ["x", "-1", "+1", " 1", "1_0", "1e9", "\u0661" * 8, "\0", "9" * 30]


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        *(("Bytes", cell) for cell in ("", *DAMAGED_NUMBERS)),
        *(("CRC-32", cell) for cell in ("-F001234", "1FF001234", "0xFF0012", *DAMAGED_NUMBERS)),
    ],
    ids=ascii,
)
def test_a_row_with_a_damaged_number_is_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, cell: str
) -> None:
    """A row with an invalid number proves nothing."""
    path = report(tmp_path, record(1), record(2))
    rewritten(path, lambda rows: rows[1].__setitem__(COLUMNS.index(name), cell))
    assert list(images_on(SERVER, path)) == [EarlierImage("1.2", 9, CRC)]
    assert caplog.messages == ["Skipping 1 damaged row in the report r_instances.csv"]


NEEDED = ("SOP Instance UID", "Bytes", "Outcome", "CRC-32", "Host", "Port", "Called AE")


@pytest.mark.parametrize("names", [NEEDED, (*reversed(COLUMNS), "", "", "More", "More")])
def test_only_the_columns_that_are_read_matter(tmp_path: Path, names: Sequence[str]) -> None:
    """Another version may have more or fewer columns, in another order."""
    path = report(tmp_path, record(1), record(2))

    def reorder(rows: list[list[str]]) -> None:
        places = [COLUMNS.index(name) if name in COLUMNS else 0 for name in names]
        rows[:] = [[row[place] for place in places] for row in rows]
        rows[0] = list(names)

    rewritten(path, reorder)
    assert list(images_on(SERVER, path)) == [EarlierImage(f"1.{n}", 9, CRC) for n in (1, 2)]


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("new_name", ["Other", "Path,{}"])
def test_a_report_without_a_needed_column_is_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, new_name: str
) -> None:
    """A column that appears twice has two meanings."""
    path = report(tmp_path, record(1))
    lines = path.read_text().replace(name, new_name.format(name)).splitlines()
    cells = [*lines[0].split(","), name] if "{}" in new_name else lines[0].split(",")
    path.write_text(f"{','.join(cells)}\n{','.join(['1'] * len(cells))}\n")
    assert uids(path) == []
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_report_that_a_spreadsheet_saved_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, separator: str
) -> None:
    """It may have another separator, other line ends, a byte order mark and empty rows."""
    path = report(tmp_path, record(1), record(2))
    text = path.read_text().replace(",", separator).replace("\n", "\r\n")
    empty = separator * (len(COLUMNS) - 1) + "\r\n"
    path.write_text(f"{text}{empty}\r\n", encoding="utf-8-sig", newline="")
    assert list(images_on(SERVER, path)) == [EarlierImage(f"1.{n}", 9, CRC) for n in (1, 2)]
    assert caplog.messages == []


def test_joined_reports_are_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each report has its own header, whose columns may have another order."""
    path = report(tmp_path, record(1))
    first = path.read_bytes()
    rewritten(path, lambda rows: [row.reverse() for row in rows])
    path.write_bytes(first + b"\xef\xbb\xbf" + path.read_bytes() + first)
    assert list(images_on(SERVER, path)) == [EarlierImage("1.1", 9, CRC)] * 3
    assert caplog.messages == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff" * 1000,
        b"FW Path,Member,SOP Class\na,b,c\n",
        b"no line end" * 100_000,
        gzip.compress(b"SOP Instance UID"),
        ",".join(COLUMNS).encode("utf-16"),
        f'"{",".join(COLUMNS)}\n'.encode(),
    ],
    ids=range(7),
)
def test_other_files_are_logged_and_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """The message names the needed columns."""
    path = tmp_path / "old_instances.csv"
    path.write_bytes(content)
    assert uids(path) == []
    message = f"not a per-image report with the columns {', '.join(NEEDED)}"
    assert caplog.messages == [f"{wording.SKIPPED_REPORT} old_instances.csv: {message}"]


TEXT = (
    st.text()
    | st.text("0123456789ABCDEF-+ \0\u0661_e.,;\"\r\n\t'=")
    | st.integers(0, 1 << 80).map("{:08X}".format)
    | st.integers(-5, 1 << 80).map(str)
    | st.sampled_from(["sent", "not sent", "already there", "no", *COLUMNS])
)


@given(
    rows=st.lists(st.dictionaries(st.sampled_from(COLUMNS), TEXT), max_size=6),
    damage=st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=3), st.integers(0, 9))),
)
@settings(max_examples=examples(100), deadline=None)
def test_any_damage_ends_no_run(
    rows: list[dict[str, str]], damage: list[tuple[int, bytes, int]]
) -> None:
    """Whatever cells hold, and however the file is damaged, each image that is read is valid."""
    good = {
        "SOP Instance UID": "1.1",
        "Bytes": "9",
        "Outcome": "sent",
        "CRC-32": f"{CRC:08X}",
        **dict(zip(("Host", "Port", "Called AE"), SERVER, strict=True)),
    }
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(
        [COLUMNS, *([(good | row).get(name, "") for name in COLUMNS] for row in (*rows, {}))]
    )
    content = bytearray(text.getvalue().encode(errors="surrogatepass"))
    last = good | {"SOP Instance UID": "1.2"}
    cells = ",".join(last.get(name, "") for name in COLUMNS)
    for place, data, length in damage:
        content[place : place + length] = data
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r_instances.csv"
        path.write_bytes(bytes(content) + f"\n{','.join(COLUMNS)}\n{cells}\n".encode())
        found = list(images_on(SERVER, path))
    table = KnownImages()
    for image in found:
        table.add(image)
        assert image.sop_instance_uid
        assert 0 <= image.size < 1 << 64
        assert 0 <= image.crc32 < 1 << 32
    if bytes(content).startswith(",".join(COLUMNS).encode() + b"\n"):
        assert found[-1] == EarlierImage("1.2", 9, CRC)


def test_an_unreadable_report_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The run continues without it."""
    assert uids(tmp_path / "\x1br.csv") == []
    message = r"Cannot read all of the report \x1br.csv: No such file or directory"
    assert caplog.messages == [message]


def test_a_checksum_without_leading_zeros(tmp_path: Path) -> None:
    """A spreadsheet removes leading zeros of a cell that has only digits."""
    path = report(tmp_path, record(1, crc32=0x123456))
    path.write_text(path.read_text().replace("00123456", "123456"))
    assert list(images_on(SERVER, path)) == [EarlierImage("1.1", 9, 0x123456)]
    path.write_text(path.read_text().replace(",123456", ",12345F"))
    assert list(images_on(SERVER, path)) == []
