"""Conditions for a user identity, and errors if they are not met."""

from pathlib import Path
from typing import Any

import pytest

from fw_gear_dicom_send.config import parse
from fw_gear_dicom_send.errors import ConfigError
from tests.support import wording
from tests.support.engine_config import config_json


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """File with an identity."""
    made = tmp_path / "identity.json"
    made.write_text('{"username": "alice", "password": "hunter2"}')
    return made


def with_identity(path: Path, **options: Any) -> dict[str, Any]:
    """Return the engine's config.json with the input."""
    given = config_json(**options)
    given["inputs"]["identity"] = {"location": {"path": str(path)}}
    return given


@pytest.mark.parametrize("option", ["tls_enabled", "identity_without_tls"])
def test_an_identity_requires_tls_or_the_unencrypted_option(path: Path, option: str) -> None:
    """Either of them is sufficient."""
    assert parse(with_identity(path, **{option: True})).identity == path


def test_an_unencrypted_identity_is_rejected(path: Path) -> None:
    """Anyone on the network could read a password."""
    with pytest.raises(ConfigError) as caught:
        parse(with_identity(path))
    assert str(caught.value) == (
        f"identity: 'identity.json' {wording.ALLOWED}: {wording.WITH_TLS} with "
        "identity_without_tls, which sends it unencrypted"
    )


def test_an_identity_is_optional(path: Path) -> None:
    """A missing file is reported, and no identity at all is valid."""
    assert parse(config_json(identity_without_tls=True)).identity is None
    path.unlink()
    with pytest.raises(
        ConfigError, match=rf"^identity: 'identity\.json' {wording.ALLOWED}: a file"
    ):
        parse(with_identity(path, tls_enabled=True))
