"""A damaged or unavailable file has its row in the report, and the rest is sent."""

import io
import re
import zipfile
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.support import archives, wording
from tests.support.flywheel_http import Cut, Flip, Reset, Status
from tests.support.gear_runs import TEXT, Session, counts, gear_on, images
from tests.support.pacs import PythonSCP, StoreSCP
from tests.support.sample_files import (
    ArchiveMember,
    encoded,
    made,
    member,
    shipped,
    tar_of,
    uid_of,
    with_new_uid,
    zip_of,
)

pytestmark = pytest.mark.slow


def test_each_kind_of_fault_has_its_row_and_the_run_continues(
    tmp_path: Path, session: Session, storescp: StoreSCP
) -> None:
    """Of five files, one is missing, one damaged, one empty, one mixed and one valid."""
    site = session.site
    names = ("gone.zip", "broken.zip", "no dicom.zip", "mixed.zip", "fine.zip")
    acquisitions = [session.acquisition(f"{n}") for n in range(5)]
    gone = site.add_file(acquisitions[0], names[0], b"unreachable", file_type="dicom")
    site.fault(gone, Status(404))
    whole = zip_of(tmp_path / "whole.zip", images(1, 2)).read_bytes()
    site.add_file(acquisitions[1], names[1], whole[: len(whole) // 3], file_type="dicom")
    site.add_file(acquisitions[2], names[2], zip_of(tmp_path / "n.zip", [TEXT]), file_type="dicom")
    mixed = ["MR_small.dcm", "JPEG2000.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm"]
    sources = [with_new_uid(shipped(name)) for name in mixed]
    mix = [ArchiveMember(f"IM{n}", source) for n, source in enumerate(sources)]
    site.add_file(acquisitions[3], names[3], zip_of(tmp_path / "m.zip", mix), file_type="dicom")
    site.add_file(
        acquisitions[4], names[4], zip_of(tmp_path / "f.zip", images(3, 4, 5)), file_type="dicom"
    )

    result = gear_on(tmp_path, site, storescp.port, session.session).run()

    assert result.exit_code == 1
    assert counts(site.reports[0].content) == {
        "gone.zip": ("0", "0", "Failed"),
        "broken.zip": ("0", "0", "Failed"),
        "no dicom.zip": ("0", "0", "Complete"),
        "mixed.zip": ("4", "4", "Complete"),
        "fine.zip": ("3", "3", "Complete"),
    }
    assert "gone.zip: 404 Not Found" in result.log
    assert f"broken.zip: {wording.ARCHIVE_CORRUPT}" in result.log
    assert f"no dicom.zip: {wording.NO_IMAGE}" in result.log
    received = {dcmread(path).SOPInstanceUID: path for path in storescp.received()}
    assert len(received) == 7
    for source in sources:
        original = dcmread(io.BytesIO(source))
        arrived = dcmread(received[original.SOPInstanceUID])
        assert arrived.file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID
        assert arrived.PixelData == original.PixelData


def test_a_truncated_image_fails_alone(
    tmp_path: Path, session: Session, storescp: StoreSCP
) -> None:
    """A truncated image is not sent; one without Pixel Data is sent with a remark."""
    pixelless = made(3)
    del pixelless.PixelData
    members = [
        ArchiveMember("1", encoded(made(1))),
        ArchiveMember("2", encoded(made(2))[:-100]),
        ArchiveMember("3", encoded(pixelless)),
    ]
    session.site.add_file(
        session.acquisition("a"), "a.zip", zip_of(tmp_path / "a.zip", members), file_type="dicom"
    )

    result = gear_on(tmp_path, session.site, storescp.port, session.session).run()

    assert result.exit_code == 1
    assert counts(session.site.reports[0].content) == {"a.zip": ("3", "2", "Incomplete")}
    reason = f"{wording.FILE_TRUNCATED}: Pixel Data has 412 of 512 bytes"
    assert f"a.zip: 1 image not sent: {reason}" in result.log
    assert f"a.zip: 1 image sent ({wording.NO_PIXEL_DATA})" in result.log
    received = {dcmread(path).SOPInstanceUID for path in storescp.received()}
    assert received == {uid_of(1), uid_of(3)}


def test_images_that_cannot_be_sent_are_counted(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """Images without UIDs count as not sent, with a reason; a DICOMDIR does not count."""
    nameless, classless = made(1), made(2)
    without_instance = encoded(nameless).replace(
        nameless.SOPInstanceUID.encode(), b" " * len(nameless.SOPInstanceUID)
    )
    without_class = encoded(classless).replace(classless.SOPClassUID.encode(), b" " * 25)
    headerless = encoded(made(3))
    start = headerless.index(b"\x08\x00\x16\x00UI")
    archive = zip_of(
        tmp_path / "odd.zip",
        [
            ArchiveMember("1", without_instance),
            ArchiveMember("2", without_class),
            ArchiveMember("3", headerless[start:]),
            member("dicomdirtests/DICOMDIR"),
            TEXT,
        ],
    )
    session.site.add_file(session.acquisition("odd"), "odd.zip", archive, file_type="dicom")

    result = gear_on(tmp_path, session.site, python_scp.port, session.session).run()

    assert result.exit_code == 1
    assert counts(session.site.reports[0].content) == {"odd.zip": ("3", "1", "Incomplete")}
    assert f"odd.zip: 1 image not sent: {wording.NO_INSTANCE_UID}" in result.log
    assert "odd.zip: 1 image not sent: it has no SOP Class UID" in result.log
    (stored,) = python_scp.stored
    assert stored.sop_instance_uid == made(3).SOPInstanceUID


@pytest.mark.parametrize("associations", [1, 4, 16])
def test_broken_archives_over_any_number_of_associations(
    tmp_path: Path, session: Session, python_scp: PythonSCP, associations: int
) -> None:
    """The readable part of an archive is sent; its row and its reason are correct."""
    site, acquisition = session.site, session.acquisition("A")
    members = images(*range(10))
    step = len(archives.tar_entry(members[0].name, members[0].content))
    cut = tar_of(tmp_path / "cut.tar", members)
    cut.write_bytes(cut.read_bytes()[: 7 * step + step // 2])
    short = zip_of(tmp_path / "short.zip", images(*range(30, 60)))
    with zipfile.ZipFile(short) as whole:
        last = whole.infolist()[-2].header_offset
    short.write_bytes(short.read_bytes()[: last + 100])
    damaged = zip_of(tmp_path / "damaged.zip", images(*range(10, 20)))
    archives.set_zip_field(damaged, "15.dcm", "crc", 0)
    site.add_file(acquisition, "cut.tar", cut, file_type="dicom")
    site.add_file(acquisition, "short.zip", short, file_type="dicom")
    site.add_file(acquisition, "damaged.zip", damaged, file_type="dicom")
    site.add_file(
        acquisition,
        "fine.zip",
        zip_of(tmp_path / "fine.zip", images(*range(20, 30))),
        file_type="dicom",
    )
    result = gear_on(
        tmp_path, site, python_scp.port, session.session, associations=associations
    ).run()
    assert result.exit_code == 1
    assert counts(site.reports[0].content) == {
        "cut.tar": ("8", "7", "Incomplete"),
        "short.zip": ("29", "28", "Incomplete"),
        "damaged.zip": ("10", "9", "Incomplete"),
        "fine.zip": ("10", "10", "Complete"),
    }
    logged = re.findall(r"\S+: \d+ of \d+ images sent", result.log)
    assert sorted(logged) == [
        "cut.tar: 7 of 8 images sent",
        "damaged.zip: 9 of 10 images sent",
        "fine.zip: 10 of 10 images sent",
        "short.zip: 28 of 29 images sent",
    ]
    assert f"cut.tar: {wording.ARCHIVE_CORRUPT}" in result.log
    assert f"short.zip: {wording.ARCHIVE_CORRUPT}" in result.log
    assert f"damaged.zip: 1 image not sent: {wording.MEMBER_CORRUPT}" in result.log
    numbers = [*range(7), *range(10, 15), *range(16, 58)]
    assert {r.sop_instance_uid for r in python_scp.stored} == set(map(uid_of, numbers))
    assert len(python_scp.stored) == len(numbers)


def test_site_faults_are_reported_and_the_run_continues(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """The faults are bursts of 503, truncated bodies, resets, an expired key and changed files."""
    site, acquisition = session.site, session.acquisition("A")
    files = {
        "burst.dcm": [Status(503), Status(503)],
        "cut.dcm": [Cut(after=500)],
        "reset.dcm": [Reset()],
        "expired.dcm": [Status(401)],
        "other.dcm": [Flip(at=9)] * 50,
        "fine.dcm": [],
    }
    for number, (name, faults) in enumerate(files.items()):
        site.fault(  # type: ignore[misc]
            site.add_file(acquisition, name, encoded(made(number)), file_type="dicom"), *faults
        )
    site.add_file(acquisition, "longer.dcm", encoded(made(8)), size=10)
    options = {"file_download_retry_time": 3}
    result = gear_on(tmp_path, site, python_scp.port, session.session, **options).run()
    assert result.exit_code == 1
    sent, failed = ("1", "1", "Complete"), ("0", "0", "Failed")
    assert counts(site.reports[0].content) == dict.fromkeys(files, sent) | {
        "expired.dcm": failed,
        "other.dcm": failed,
        "longer.dcm": failed,
    }
    logged = "expired.dcm: 401 Unauthorized: the API key is invalid or has expired"
    assert logged in result.log
    assert "other.dcm: hash differs from its record after retries" in result.log
    assert "longer.dcm: more bytes than in its record after retries" in result.log
    assert len(python_scp.stored) == 4
