"""Writer of the lines with `git clone` in README.md and docs/, from the urls in pyproject.toml."""

import re
import tomllib

from scripts.conformance import REPOSITORY

TARGETS = (REPOSITORY / "README.md", REPOSITORY / "docs" / "cli.md")
_LINE = re.compile(r"^    git clone \S+", re.MULTILINE)


def document(text: str) -> str:
    """Return a page with the address of the repository."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return _LINE.sub(f"    git clone {project['urls']['Repository']}", text)


if __name__ == "__main__":
    for target in TARGETS:
        target.write_text(document(target.read_text()), encoding="utf-8")
