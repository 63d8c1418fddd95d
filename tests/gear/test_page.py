"""The page of a gear run shows source and destination, and names images."""

from pathlib import Path

from pydicom.dataset import Dataset

from tests.support import wording
from tests.support.gear_runs import Session, gear_on, images
from tests.support.html_reading import parsed
from tests.support.pacs import CStore, PythonSCP
from tests.support.sample_files import uid_of, zip_of


def test_the_page_has_the_session_the_job_and_the_images(tmp_path: Path, session: Session) -> None:
    """Coerced images have a section of their own, and the run is complete."""

    def coerce(_: CStore) -> Dataset:
        status = Dataset()
        status.Status = 0xB000
        return status

    archive = zip_of(tmp_path / "a.zip", images(0, 1, 2))
    session.site.add_file(session.acquisition("CT"), "a.zip", archive, file_type="dicom")
    with PythonSCP(status=coerce) as server:
        result = gear_on(tmp_path, session.site, server.port, session.session).run()
    assert result.exit_code == 0, result.log
    (upload,) = (one for one in session.site.uploads if one.name.endswith(".html"))
    page = parsed(upload.content.decode())
    shown = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert shown["Server"] == f"AE PACS at 127.0.0.1, port {server.port}, no TLS"
    assert session.session in (page.one("a").attributes["href"] or "")
    assert shown["Job"] == "66f0aa11bb22cc33dd44ee55"
    assert "UTC" in shown["Started"]
    assert "What went wrong" not in page.texts("h2")
    assert wording.WARNINGS_AND_CHANGES in page.texts("h2")
    warned = page.all("tbody")[0]
    assert warned.texts("summary") == ["3 affected images", "3 SOP Instance UIDs to copy"]
    assert sorted(warned.texts("li")) == [
        f"member {number + 1}, {uid_of(number)}" for number in range(3)
    ]
    assert sorted(warned.one("pre").text.split()) == sorted(map(uid_of, range(3)))
    (modalities,) = (one for one in page.all("table") if one.attributes.get("id") == "modalities")
    assert modalities.texts("td")[:3] == ["CT", "1", "3"]


def test_a_refusal_of_all_images_comes_first(tmp_path: Path, session: Session) -> None:
    """The server refuses them with the same final status."""
    archive = zip_of(tmp_path / "a.zip", images(0, 1, 2))
    session.site.add_file(session.acquisition("CT"), "a.zip", archive, file_type="dicom")
    with PythonSCP(status=0xA777) as server:
        result = gear_on(tmp_path, session.site, server.port, session.session).run()
    assert result.exit_code == 1
    (upload,) = (one for one in session.site.uploads if one.name.endswith(".html"))
    shown = parsed(upload.content.decode()).one("strong").text
    assert "refused all 3 images" in shown
    assert shown.rstrip(".") in result.log
