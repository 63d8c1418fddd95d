"""Address of the documentation of this version."""

from functools import cache

from . import __version__

_PLACEHOLDER = "example.org"
"""Domain in pyproject.toml until the address of a repository replaces it (RFC 2606)."""


@cache
def documentation() -> str:
    """Return the address of the folder docs, from the urls in pyproject.toml.

    Without an installed package, or without an address, return the name of the folder.
    """
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        urls = metadata("fw-gear-dicom-send").get_all("Project-URL") or []
    except PackageNotFoundError:
        urls = []
    repository = dict(url.split(", ", 1) for url in urls).get("Repository", _PLACEHOLDER)
    if _PLACEHOLDER in repository:
        return "docs"
    return f"{repository}/blob/v{__version__}/docs"
