"""A file is replaced on Flywheel while a run waits to download it."""

from pathlib import Path

import pytest

from tests.support import wording
from tests.support.flywheel_http import Replace
from tests.support.gear_runs import Session, counts, gear_on, images
from tests.support.pacs import PythonSCP
from tests.support.sample_files import uid_of, zip_of

REMARK = wording.REPLACED


@pytest.mark.parametrize("number", [1, 5])
def test_newer_version_is_sent_with_a_remark(
    tmp_path: Path, session: Session, python_scp: PythonSCP, number: int
) -> None:
    """Its images are counted and sent, and log and page mention the replacement."""
    site, acquisition = session.site, session.acquisition("A")
    old = zip_of(tmp_path / "old.zip", images(100, 101, 102))
    newer = zip_of(tmp_path / "new.zip", images(*range(number)))
    site.fault(site.add_file(acquisition, "a.zip", old, file_type="dicom"), Replace(newer))
    site.add_file(acquisition, "b.zip", zip_of(tmp_path / "b.zip", images(50)), file_type="dicom")

    result = gear_on(tmp_path, site, python_scp.port, session.session).run()

    assert result.exit_code == 0, result.log
    expected = {uid_of(one) for one in (*range(number), 50)}
    assert {stored.sop_instance_uid for stored in python_scp.stored} == expected
    assert counts(site.reports[0].content) == {
        "a.zip": (f"{number}", f"{number}", "Complete"),
        "b.zip": ("1", "1", "Complete"),
    }
    assert f"a.zip: {REMARK}" in result.log
    assert f"b.zip: {REMARK}" not in result.log
    (page,) = (upload.content.decode() for upload in site.uploads if upload.name.endswith("html"))
    assert page.count(REMARK) == 1
