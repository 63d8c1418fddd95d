"""Address of the documentation in advice, from the package's metadata."""

from pathlib import Path

import pytest

from fw_gear_dicom_send import __version__
from fw_gear_dicom_send.documentation import documentation
from fw_gear_dicom_send.reasons import Kind, Program


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://git.example.com/x", f"https://git.example.com/x/blob/v{__version__}/docs"),
        ("https://git.example.org/x", "docs"),
    ],
)
def test_the_address_has_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, address: str
) -> None:
    """The placeholder in pyproject.toml is no address."""
    folder = tmp_path / f"fw_gear_dicom_send-{__version__}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: fw-gear-dicom-send\nVersion: {__version__}\n"
        f"Project-URL: Homepage, https://git.example.com\nProject-URL: Repository, {url}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert documentation.__wrapped__() == address


def test_advice_names_a_page() -> None:
    """No advice shows a key in braces."""
    for program in Program:
        for kind in Kind:
            assert "{" not in kind.advice_for(program)
        assert f"{documentation()}/tls.md" in Kind.TLS_FAILED.advice_for(program)
