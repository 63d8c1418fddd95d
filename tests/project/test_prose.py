"""Plain English: documents and help contain no banned phrases and no long sentences."""

import json
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fw_gear_dicom_send.batch import command_line as batch
from fw_gear_dicom_send.cli import command_line, echo, servers
from fw_gear_dicom_send.cli.parser import Parser
from fw_gear_dicom_send.reasons import Kind, Program
from tests.project.test_readme import PAGES, prose
from tests.support.preloaded import REPOSITORY

MAX_WORDS = 25
"""Maximum number of words in a sentence of the README or of an option's description."""
SUBCOMMANDS = ("start", "follow", "stop", "retry", "gather", "list")

INSTEAD = {
    r"amiss": "wrong",
    r"anew": "again, restart, re-encode",
    r"as far as it goes": "nothing",
    r"(ask|asks|asked|tries|tried) (it )?again": "retry",
    r"bears?|borne": "tolerate, handle",
    r"became of": "result, outcome",
    r"but for": "except",
    r"by TLS": "over TLS",
    r"comes of (it|this|that)": "result, outcome",
    r"for (its|their) part": "nothing",
    r"for how many|over how many": "number, maximum",
    r"(has|have) not(?! \w+(ed|en|t)\b)": "does not have",
    r"in clear": "unencrypted",
    r"in mid-\w+": "during",
    r"in one go": "together",
    r"(is|are|was|were) told": "is logged, is shown",
    r"leaves it be": "does not change",
    r"no way to": "cannot",
    r"nobody": "no user, no other",
    r"of which": "a second sentence",
    r"passed over": "skipped",
    r"reckons?": "calculate",
    r"reports? on images": "per-image report",
    r"takes no harm": "is not affected",
    r"tells?": "say, show, list",
    r"took it not": "did not accept it",
    r"what (is|it is|there is) (there|said)": "existing files, statements",
    r"where it may be": "nothing",
    r"whereof|wherein|thereof|hereby": "nothing",
    r"who(so)?ever": "anyone who",
}
"""Plain English for each banned phrase."""
BANNED = re.compile(rf"\b(?:{'|'.join(INSTEAD)})\b", re.IGNORECASE)


def without_code(text: str) -> str:
    """Return prose without its literals: code, links, quotations of other programs."""
    text = re.sub(r"^ {4,}.*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`]*`|\]\([^)]*\)", "", text)


def found_in(text: str) -> list[str]:
    """Return the banned phrases in a text."""
    return [match[0] for match in BANNED.finditer(" ".join(text.split()))]


def options() -> Iterator[tuple[str, str]]:
    """Yield each option and input with its description."""
    manifest = json.loads((REPOSITORY / "manifest.json").read_text())
    for name, item in (manifest["config"] | manifest["inputs"]).items():
        if "description" in item:
            yield name, item["description"]


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text; list items, cells and headings count as sentences."""
    blocks = re.split(r"\n\s*\n|^(?:- |#+ )|\|", without_code(text), flags=re.MULTILINE)
    for block in blocks:
        yield from re.split(r"(?<=[.:?!;])(?:\*\*)?\s+", " ".join(block.split()))


def too_long(text: str) -> list[str]:
    """Return the sentences with too many words."""
    return [one for one in sentences(text) if len(re.findall(r"[A-Za-z]\S*", one)) > MAX_WORDS]


PACKAGE = REPOSITORY / "fw_gear_dicom_send"
DOCUMENTS = [page for page in PAGES if page.name != "CHANGELOG.md"]


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_documents_are_plain(page: Path) -> None:
    """No document has a banned phrase."""
    assert found_in(without_code(prose(page))) == []


@pytest.mark.parametrize(
    ("parser", "words"),
    [
        (command_line.parser, ["--help"]),
        (command_line.parser, ["--help-all"]),
        (echo.parser, ["--help"]),
        (servers.parser, ["--help"]),
        (batch.parser, ["--help"]),
        *((batch.parser, [word, "--help"]) for word in SUBCOMMANDS),
    ],
)
def test_help_is_plain(
    parser: Callable[[], Parser], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """No --help has a banned phrase."""
    with pytest.raises(SystemExit):
        parser().parse_args(words)
    text = capsys.readouterr().out
    assert "usage:" in text
    assert found_in(text) == []


@pytest.mark.parametrize(("name", "text"), options())
def test_descriptions_of_options_are_plain_and_short(name: str, text: str) -> None:
    """No description has a banned phrase or a long sentence."""
    assert found_in(text) == [], name
    assert too_long(text) == [], name


def texts_of(module: Path) -> Iterator[str]:
    """Yield each comment and each string of a module: docstrings, logs, errors, parts of pages."""
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", None)}
    with module.open("rb") as file:
        yield from (one.string for one in tokenize.tokenize(file.readline) if one.type in kinds)


def test_modules_are_plain() -> None:
    """No message, docstring or comment has a banned phrase."""
    found = {
        str(module.relative_to(PACKAGE)): phrases
        for module in PACKAGE.rglob("*.py")
        if (phrases := [one for text in texts_of(module) for one in found_in(text)])
    }
    assert found == {}


def test_reasons_are_plain() -> None:
    """Neither the text of a reason nor its advice has a banned phrase."""
    found = {}
    for kind in Kind:
        texts = (kind.template, *(kind.advice_for(program) for program in Program))
        if phrases := found_in(" ".join(texts)):
            found[kind] = phrases
    assert found == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_sentences_are_short(page: Path) -> None:
    """No document has a long sentence."""
    assert too_long(prose(page)) == []
