"""Selection of files in the folders and lists given to `dicom-send`."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support import wording
from tests.support.command import CommandResult
from tests.support.pacs import PythonSCP
from tests.support.sample_files import ArchiveMember, encoded, made, zip_of
from tests.support.send_command import rows_of, send, to


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Folder of images, one of them in a subfolder, and a zip."""
    folder = tmp_path / "study"
    (folder / "below").mkdir(parents=True)
    for number, name in enumerate(("a.dcm", "b.DCM", "c.ima", "below/d.dcm")):
        (folder / name).write_bytes(encoded(made(number)))
    zip_of(folder / "e.zip", [ArchiveMember("e", encoded(made(9)))])
    return folder


def summary(result: CommandResult) -> dict[str, Any]:
    """Return the output of --json."""
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def sent(result: CommandResult) -> int:
    """Return the number of sent images."""
    return int(summary(result)["sent"])


@pytest.mark.parametrize(
    ("arguments", "number", "left_out"),
    [
        ([], 5, {}),
        (["--include", "*.dcm"], 3, {"not_included": 2}),
        (["--include", "*.dcm, *.ima"], 4, {"not_included": 1}),
        (["--include", "*.dcm", "--include", "*.ima"], 4, {"not_included": 1}),
        (["--exclude", "*.zip"], 4, {"excluded": 1}),
        (["--include", "?.d*", "--exclude", "[ab]*"], 1, {"not_included": 2, "excluded": 2}),
    ],
)
def test_files_in_folders_are_chosen_by_name(
    study: Path, python_scp: PythonSCP, arguments: list[str], number: int, left_out: dict[str, int]
) -> None:
    """Patterns apply to each folder and to archives; excluded files are counted."""
    result = send(study, "--json", *arguments, *to(python_scp), cwd=study.parent)
    assert result.exit_code == 0, result.stderr
    assert sent(result) == number
    assert len(python_scp.stored) == number
    assert summary(result)["not_selected"] == left_out


@pytest.mark.usefixtures("study")
def test_excluded_files_are_named(python_scp: PythonSCP, tmp_path: Path) -> None:
    """Their paths are the user's own."""
    result = send("study", "--include", "*.ima", *to(python_scp), cwd=tmp_path)
    text = f"4 files {wording.NO_INCLUDE} were not selected"
    assert f"{text}: study/a.dcm, study/b.DCM, study/e.zip, study/below/d.dcm" in result.stderr


def test_an_explicit_file_is_always_sent(
    study: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """Patterns apply to files found in folders, not to given paths."""
    arguments = ("--exclude", "*", "--json", *to(python_scp))
    result = send(study / "a.dcm", study / "e.zip", *arguments, cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    assert sent(result) == 2


def test_patterns_without_a_match_are_an_error(
    study: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """The exit code is 1 with a reason, and the server is not contacted."""
    result = send(study, "--include", "*.nii", "--json", *to(python_scp), cwd=tmp_path)
    assert result.exit_code == 2
    message = wording.NONE_SELECTED.format(5)
    assert message in result.stderr
    assert summary(result)["error"] == message
    assert python_scp.associations == ()


def test_paths_come_from_a_list(study: Path, python_scp: PythonSCP, tmp_path: Path) -> None:
    """Relative paths start at the current folder, and a byte order mark is skipped."""
    lines = ["\ufeffstudy/a.dcm", "", f"{study / 'c.ima'}\r", "study/below"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    result = send("--files-from", "list.txt", "--json", *to(python_scp), cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    paths = ["study/a.dcm", str(study / "c.ima"), "study/below"]
    assert [row["Path"] for row in rows_of(tmp_path)] == paths
    assert sent(result) == 3


@pytest.mark.usefixtures("study")
def test_a_list_is_read_from_standard_input(python_scp: PythonSCP, tmp_path: Path) -> None:
    """Its paths are added to the given paths."""
    arguments = ("study/e.zip", "--files-from", "-", "--json", *to(python_scp))
    result = send(*arguments, cwd=tmp_path, given="study/a.dcm\nstudy/b.DCM\n")
    assert result.exit_code == 0, result.stderr
    assert sent(result) == 3


@pytest.mark.usefixtures("study")
def test_a_list_may_have_the_name_of_standard_input(python_scp: PythonSCP, tmp_path: Path) -> None:
    """./- is a file, as for other programs."""
    (tmp_path / "-").write_text("study/a.dcm")
    result = send("--files-from", "./-", "--json", *to(python_scp), cwd=tmp_path, given="")
    assert result.exit_code == 0, result.stderr
    assert sent(result) == 1


def test_any_name_is_read_from_a_nul_separated_list(
    study: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """Names with line breaks or invalid UTF-8 are read, and shown escaped."""
    names = [b"study/line\nbreak.dcm", b"study/M\xfcller.dcm"]
    for name, old in zip(names, ("a.dcm", "b.DCM"), strict=True):
        os.rename(study / old, os.path.join(os.fsencode(tmp_path), name))
    (tmp_path / "list").write_bytes(b"".join(name + b"\0" for name in names))
    arguments = ("--files-from", "list", "--from0", "--json", *to(python_scp))
    result = send(*arguments, cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    assert [row["Path"] for row in rows_of(tmp_path)] == [
        r"study/line\nbreak.dcm",
        r"study/M\xfcller.dcm",
    ]


def test_a_missing_listed_file_costs_only_itself(
    study: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """The other files are sent, its row gives the reason, and the exit code is 1."""
    lines = (str(study / "gone.dcm"), "n" * 5000, "\x1b[2J", str(study / "a.dcm"))
    (tmp_path / "list").write_text("".join(f"{line}\n" for line in lines))
    result = send("--files-from", "list", *to(python_scp), cwd=tmp_path)
    assert result.exit_code == 1
    assert f"gone.dcm: {wording.FILE_UNOPENED}: No such file or directory" in result.stderr
    assert "\x1b" not in result.stderr
    assert [row["Status"] for row in rows_of(tmp_path)] == ["Failed"] * 3 + ["Complete"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "--files-from: cannot read list: No such file or directory"),
        (b"a\0b", "--files-from: the list contains a NUL; add --from0"),
        (b"\n\n", f"{wording.NOTHING_TO_SEND}: {wording.NO_FILE}"),
    ],
)
def test_a_list_without_paths_is_an_error(
    python_scp: PythonSCP, tmp_path: Path, content: bytes | None, message: str
) -> None:
    """If the list is missing, of another kind or empty, the exit code is 1."""
    if content is not None:
        (tmp_path / "list").write_bytes(content)
    result = send("--files-from", "list", *to(python_scp), cwd=tmp_path)
    assert result.exit_code == 2
    assert message in result.stderr
    assert python_scp.associations == ()


@pytest.mark.parametrize(
    ("options", "uids"),
    [
        (["--modality", "mr"], [2]),
        (["--modality", "MR,CT"], [1, 2]),
        (["--study", "*head*"], [1, 3]),
        (["--study", "1.2.3.2"], [2]),
        (["--series", "t1*", "--modality", "CT"], [1]),
        (["--association-per-study", "--modality", "MR"], [2]),
    ],
)
def test_images_are_selected_by_their_datasets(
    tmp_path: Path, python_scp: PythonSCP, options: list[str], uids: list[int]
) -> None:
    """In folders and archives; the others are counted as not selected."""
    properties = [(1, "CT", "CT head"), (2, "MR", "Knee"), (3, "US", "Head and neck")]
    members = []
    for number, modality, description in properties:
        dataset = made(number, Modality=modality, StudyDescription=description)
        dataset.StudyInstanceUID, dataset.SeriesDescription = f"1.2.3.{number}", "t1"
        members.append(ArchiveMember(f"{number}.dcm", encoded(dataset)))
    zip_of(tmp_path / "study.zip", members)

    result = send("study.zip", *to(python_scp), "--no-reports", *options, cwd=tmp_path)

    assert result.exit_code == 0, result.stderr
    stored = [one.sop_instance_uid.rpartition(".")[2] for one in python_scp.stored]
    assert sorted(map(int, stored)) == uids
    assert f"not selected ({3 - len(uids)})" in result.stderr
