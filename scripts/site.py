"""Collects the documents in one folder, as mkdocs.yml expects them.

usage: python scripts/site.py FOLDER
"""

import re
import shutil
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
ASSETS = REPOSITORY / "scripts" / "site_assets"
NAMES = {"README.md": "index.md", "docs/README.md": "pages.md"}
"""Pages with another name on the site, as one folder can have only one index."""
FIRST = "faq.md"
"""Page that the search prefers, as its headings are what users ask."""
BOOST = "---\nsearch:\n  boost: 2\n---\n\n"
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")


def collect(folder: Path) -> None:
    """Write the documents to a new folder, and adapt the links between them."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, folder)
    shutil.copytree(ASSETS, folder / "assets")
    (folder / "README.md").unlink()
    shutil.copy(REPOSITORY / "LICENSE", folder)
    for page in (*REPOSITORY.glob("*.md"), *DOCS.glob("*.md")):
        text = LINK.sub(lambda link, page=page: f"]({_on_site(page, link[1])}", page.read_text())
        head = BOOST if page.name == FIRST else ""
        (folder / _on_site(page, page.name)).write_text(head + text)


def _on_site(page: Path, link: str) -> str:
    """Return the path on the site of the target of a page's link."""
    target = (page.parent / link).resolve().relative_to(REPOSITORY).as_posix()
    return NAMES.get(target, target.removeprefix("docs/"))


if __name__ == "__main__":
    collect(Path(sys.argv[1]))
