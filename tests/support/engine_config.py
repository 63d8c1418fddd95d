"""The engine's config.json of a gear run, and the errors for invalid options in it."""

from typing import Any

import pytest

from fw_gear_dicom_send.config import parse
from fw_gear_dicom_send.errors import ConfigError

REQUIRED = {"destination": "pacs.example.org", "called_ae": "PACS"}


def config_json(**options: Any) -> dict[str, Any]:
    """Return the engine's config.json, with `options` in addition to the required ones."""
    return {
        "config": REQUIRED | options,
        "inputs": {"api-key": {"base": "api-key", "key": "site.example.org:secret"}},
        "destination": {"type": "session", "id": "5c0ffee"},
    }


def refusal(**options: Any) -> str:
    """Return the error for `options`."""
    with pytest.raises(ConfigError) as caught:
        parse(config_json(**options))
    return str(caught.value)
