"""Options that select files of a session, in whole runs of the gear."""

from html import unescape
from pathlib import Path

from tests.support import wording
from tests.support.gear_runs import Session, counts, gear_on
from tests.support.pacs import PythonSCP
from tests.support.sample_files import encoded, made

FILES = {"t1.dcm": "MR", "t2.dcm": "MR", "t2 localizer.dcm": "MR", "ct.dcm": "CT"}


def add_files(session: Session) -> None:
    """Add four files, one of them with a tag."""
    acquisition = session.acquisition("scan")
    for number, (name, modality) in enumerate(FILES.items()):
        tags = ["ready"] if name.startswith("t2") else []
        content = encoded(made(number))
        session.site.add_file(acquisition, name, content, modality=modality, tags=tags)


def test_files_that_match_all_options_are_sent(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """The log and the page name the excluded files, and the page shows the options."""
    add_files(session)
    options = {
        "include": "T*.dcm, *.zip",
        "exclude": "*localizer*",
        "modality": "mr",
        "file_tags": "ready,more",
    }
    result = gear_on(tmp_path, session.site, python_scp.port, session.session, **options).run()
    assert result.exit_code == 0, result.log
    assert counts(session.site.reports[0].content) == {"t2.dcm": ("1", "1", "Complete")}
    (upload,) = (one for one in session.site.uploads if one.name.endswith(".html"))
    page = unescape(upload.content.decode())
    for text in (result.log, page):
        assert "1 file of other modalities was not selected: ct.dcm" in text
        assert "1 file without any of the file_tags was not selected: t1.dcm" in text
        assert f"1 file {wording.EXCLUDED} was not selected: t2 localizer.dcm" in text
    for value in ("T*.dcm, *.zip", "*localizer*", "mr", "ready, more"):
        assert f">{value}</td>" in page


def test_no_matching_file_is_not_a_success(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """A run whose options match no file ends with exit code 1 and an empty report."""
    add_files(session)
    gear = gear_on(tmp_path, session.site, python_scp.port, session.session, include="*.ima")
    result = gear.run()
    assert result.exit_code == 1
    assert wording.NONE_SELECTED.format(4) in result.log
    assert counts(session.site.reports[0].content) == {}
    assert python_scp.associations == ()
