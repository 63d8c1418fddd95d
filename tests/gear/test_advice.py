"""The advice on the page of a run depends on the cause, not on any text."""

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from tests.support.flywheel_http import Reset, Status
from tests.support.gear_runs import Session, gear_on, images
from tests.support.html_reading import parsed
from tests.support.pacs import CStore, PythonSCP
from tests.support.sample_files import zip_of

ENCRYPTED_FLAG = 0x1


def advice_of(folder: Path, session: Session, port: int, **options: object) -> dict[str, str]:
    """Run the gear on a session; return the advice on its page by reason."""
    gear_on(folder, session.site, port, session.session, **options).run()
    (page,) = (upload for upload in session.site.uploads if upload.name.endswith(".html"))
    reasons = parsed(page.content.decode()).all("tbody")[0]
    rows = [row.texts("td") for row in reasons.all("tr") if "class" not in row.attributes]
    return {row[0]: row[-1] for row in rows}


def encrypted_zip(path: Path) -> bytes:
    """Return a zip whose only member claims to be encrypted (APPNOTE.TXT 4.4.4)."""
    data = bytearray(zip_of(path, images(1)).read_bytes())
    data[6] |= ENCRYPTED_FLAG
    data[data.index(b"PK\x01\x02") + 8] |= ENCRYPTED_FLAG
    return bytes(data)


def test_an_encrypted_member_is_not_called_damaged(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """Uploading the same archive again would not help."""
    session.site.add_file(
        session.acquisition("CT"), "a.zip", encrypted_zip(tmp_path / "a.zip"), file_type="dicom"
    )
    (advice,) = advice_of(tmp_path, session, python_scp.port).values()
    assert "unencrypted" in advice
    assert "damaged" not in advice


def test_a_lost_download_is_not_blamed_on_the_dicom_server(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """The lost connection is the one to Flywheel."""
    file = session.site.add_file(session.acquisition("CT"), "a.zip", b"anything", file_type="dicom")
    session.site.fault(file, *[Reset()] * 3)
    (advice,) = advice_of(tmp_path, session, python_scp.port, file_download_retry_time=0).values()
    assert "Flywheel" in advice
    assert "firewall" not in advice


@pytest.mark.parametrize(
    "comment", ["Out of resources", "does not accept it", "bad certificate", "given up: API key"]
)
def test_the_comment_of_a_server_does_not_change_the_advice(
    tmp_path: Path, session: Session, comment: str
) -> None:
    """The status of the rejection determines the advice, whatever the comment is."""

    def refuse(_: CStore) -> Dataset:
        status = Dataset()
        status.Status = 0xC000
        status.ErrorComment = comment
        return status

    archive = zip_of(tmp_path / "a.zip", images(1))
    session.site.add_file(session.acquisition("CT"), "a.zip", archive, file_type="dicom")
    with PythonSCP(status=refuse) as server:
        ((text, advice),) = advice_of(tmp_path, session, server.port).items()
    assert comment in text
    assert advice == "The server rejected the image. Look for the cause in the server's log."


def test_a_rejected_download_has_specific_advice(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """The advice for a 404 is to look on Flywheel, not only in the log."""
    file = session.site.add_file(session.acquisition("CT"), "a.zip", b"anything", file_type="dicom")
    session.site.fault(file, Status(404))
    (advice,) = advice_of(tmp_path, session, python_scp.port).values()
    assert "Check that it still exists" in advice
