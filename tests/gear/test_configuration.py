"""An invalid configuration ends the gear with a one-line error and exit code 1."""

from pathlib import Path

import pytest

from tests.support import wording
from tests.support.gear_runs import Session, gear_on


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            {"port": 70000},
            f"port: 70000 {wording.ALLOWED}: {wording.PORT_NUMBER}",
        ),
        ({"called_ae": ""}, f"called_ae: '' {wording.ALLOWED}: {wording.AE_TITLE}"),
        ({"group": "0x0020"}, f"group: '0x0020' {wording.ALLOWED}: {wording.ODD_GROUP}"),
    ],
)
def test_a_bad_configuration_is_reported_in_one_line(
    tmp_path: Path, session: Session, options: dict[str, object], line: str
) -> None:
    """One line has the problem, the given value and the allowed values; the exit code is 1."""
    gear = gear_on(tmp_path, session.site, 104, session.session)
    gear.config["config"] |= options
    result = gear.run()
    assert result.exit_code == 1
    errors = [text for text in result.stderr.splitlines() if "ERROR" in text]
    assert len(errors) == 1
    assert line in errors[0]
    assert "Traceback" not in result.log


def test_a_project_is_rejected_as_destination(tmp_path: Path, session: Session) -> None:
    """An unsupported container is reported together with the supported ones."""
    result = gear_on(tmp_path, session.site, 104, session.project, "project").run()
    assert result.exit_code == 1
    line = f"destination container: 'project' {wording.ALLOWED}: acquisition, session or subject"
    assert line in result.stderr


def test_a_wrong_api_key_is_reported(tmp_path: Path, session: Session) -> None:
    """A key that the site rejects ends the run with a line that does not show it."""
    gear = gear_on(tmp_path, session.site, 104, session.session)
    key = session.site.api_key + "wrong"
    gear.config["inputs"]["api-key"]["key"] = key
    result = gear.run()
    assert result.exit_code == 1
    assert "401 Unauthorized" in result.stderr
    assert key.rpartition(":")[2] not in result.log
