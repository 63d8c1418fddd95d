"""`dicom-send servers add` and `remove` change servers.toml, and nothing else in it."""

import tomllib
from pathlib import Path

import pytest

from tests.support.command import CommandResult, run

pytestmark = pytest.mark.slow

TEXT = """\
# Ours
[old]  # the first
host = "h"
called_ae = "A"

[ "spaced name" ]
host = "https://h/dicom-web"
"""


def servers(*words: object, cwd: Path) -> CommandResult:
    """Run `dicom-send servers` with the file of `cwd`."""
    variables = {"XDG_CONFIG_HOME": str(cwd)}
    return run("dicom-send", "servers", *words, cwd=cwd, variables=variables)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with two servers and comments."""
    path = tmp_path / "dicom-send" / "servers.toml"
    path.parent.mkdir()
    path.write_text(TEXT)
    return path


def test_add_creates_the_file(tmp_path: Path) -> None:
    """The first server needs neither the folder nor the file."""
    result = servers("add", "archive", "ARCHIVE@[2001:db8::7]:11112", cwd=tmp_path)
    assert (result.exit_code, result.stderr) == (0, "")
    text = (tmp_path / "dicom-send" / "servers.toml").read_text()
    assert text == '[archive]\nhost = "2001:db8::7"\nport = 11112\ncalled_ae = "ARCHIVE"\n'


def test_add_keeps_the_options(file: Path, tmp_path: Path) -> None:
    """Values keep their types, relative paths become absolute, and variables do not count."""
    (tmp_path / "ca.pem").write_text("")
    options = ("-j", 8, "--tls-enabled", "--add-cert-file", "ca.pem", "--bandwidth-limit")
    result = servers("add", "new one", "N@h:1", *options, "08:00 2, 18:00 off", cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    assert file.read_text().startswith(TEXT)
    assert tomllib.loads(file.read_text())["new one"] == {
        "host": "h",
        "port": 1,
        "called_ae": "N",
        "associations": 8,
        "tls_enabled": True,
        "add_cert_file": str(tmp_path / "ca.pem"),
        "bandwidth_limit": "08:00 2, 18:00 off",
    }
    shown = servers("new one", cwd=tmp_path)
    assert (shown.stdout, shown.exit_code) == ("new one  N@h:1  TLS\n", 0)


@pytest.mark.parametrize(
    "words",
    [
        ["x"],
        ["x", "A@h:99999"],
        ["x", "A@h:1", "--associations", "17"],
        ["x", "A@h:1", "--key", "none.pem"],
        ["x", "https://h/x", "-aet", "ME"],
        ["A@h:1", "A@h:1"],
        ["old", "A@h:1"],
        ["x", "old"],
        ["", "A@h:1"],
        ["a\nb", "A@h:1"],
        ["\udcff", "A@h:1"],
        ["x", "A@h:1", "--key", "\udcff.pem", "--cert", "\udcff.pem"],
    ],
)
def test_add_refuses_what_sending_would(file: Path, tmp_path: Path, words: list[str]) -> None:
    """The file stays as it was."""
    (tmp_path / "\udcff.pem").touch(mode=0o600)
    result = servers("add", *words, cwd=tmp_path)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert file.read_text() == TEXT


def test_remove_keeps_all_other_lines(file: Path, tmp_path: Path) -> None:
    """Comments and the order of other servers stay."""
    assert servers("remove", "old", cwd=tmp_path).exit_code == 0
    assert file.read_text() == TEXT[:7] + TEXT[TEXT.index('[ "spaced') :]
    assert servers("remove", "spaced name", cwd=tmp_path).exit_code == 0
    assert file.read_text() == "# Ours\n"
    assert servers(cwd=tmp_path).stdout == ""


def test_remove_keeps_the_comments_of_the_next_server(file: Path, tmp_path: Path) -> None:
    """Comments after the last key are not those of the removed server."""
    comments = "# two lines\n\n# about the next\n"
    lines = f'[old]\n# inside\nhost = "h"\ncalled_ae = "A"\n\n{comments}'
    file.write_text(f'{lines}[next]\nhost = "h"\ncalled_ae = "B"\n')
    assert servers("remove", "old", cwd=tmp_path).exit_code == 0
    assert file.read_text() == f'{comments}[next]\nhost = "h"\ncalled_ae = "B"\n'


def test_a_change_keeps_a_link_and_its_mode(file: Path, tmp_path: Path) -> None:
    """The file is replaced as a whole, in its own place."""
    target = tmp_path / "mine.toml"
    file.rename(target)
    file.symlink_to(target)
    target.chmod(0o640)
    assert servers("add", "x", "A@h:1", cwd=tmp_path).exit_code == 0
    assert (file.is_symlink(), target.stat().st_mode & 0o777) == (True, 0o640)
    assert target.read_text().startswith(TEXT)
    assert {path.name for path in tmp_path.iterdir()} == {"mine.toml", "dicom-send"}


def test_a_change_that_cannot_be_written_loses_nothing(file: Path, tmp_path: Path) -> None:
    """The file stays as it was if the new one is not complete."""
    new = file.with_name(".servers.toml.new")
    new.symlink_to("/dev/full")
    result = servers("add", "x", "A@h:1", cwd=tmp_path)
    assert (result.exit_code, file.read_text()) == (2, TEXT)
    assert len(result.stderr.splitlines()) == 1


def test_remove_refuses_a_file_that_it_cannot_change(file: Path, tmp_path: Path) -> None:
    """A server without a table of its own is left to the user's editor."""
    file.write_text('old = { host = "h", called_ae = "A" }\n')
    result = servers("remove", "old", cwd=tmp_path)
    assert f"edit {file}" in result.stderr
    assert result.exit_code == 2
    assert file.read_text().startswith("old = ")
