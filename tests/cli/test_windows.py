"""The command needs nothing that Windows lacks, because PACS administrators also use Windows."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import environment
from tests.support.pacs import StoreSCP
from tests.support.send_command import rows_of, to
from tests.support.windows_like import is_name_for_windows

PROGRAM = [sys.executable, "-m", "tests.support.windows_like"]


def run(*arguments: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run `dicom-send` without the features that Windows lacks."""
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_sends_with_windows_features_only(
    series: Path, storescp: StoreSCP, tmp_path: Path
) -> None:
    """All images arrive from a folder and from an archive, and each report is written."""
    reports = tmp_path / "reports"
    folder = series.rename(tmp_path / "a study")

    result = run(
        folder,
        *to(storescp),
        "--associations",
        2,
        "--report-folder",
        reports,
        cwd=tmp_path,
    )

    assert result.returncode == 0, result.stderr
    assert [row["Images Sent"] for row in rows_of(reports)] == ["4"]
    names = [path.name for path in reports.iterdir()]
    assert len(names) == 4
    assert all(map(is_name_for_windows, names))


@pytest.mark.parametrize("name", ["CON", "nul.txt", "a:b", "a.", "a ", "a?", "a\\b", "a\tb"])
def test_names_that_windows_rejects_are_detected(name: str) -> None:
    """The check for names knows the rules of Windows."""
    assert not is_name_for_windows(name)
    assert is_name_for_windows(f"x{name[:1]}.csv")
