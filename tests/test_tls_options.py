"""Options and inputs for TLS, and errors for invalid ones."""

from pathlib import Path
from typing import Any

import pytest

from fw_gear_dicom_send.config import parse
from fw_gear_dicom_send.errors import ConfigError
from fw_gear_dicom_send.network.types import ClientCertificate, TLSConfig
from tests.support import wording
from tests.support.engine_config import config_json, refusal


def given_files(folder: Path, *names: str) -> dict[str, Any]:
    """Return inputs whose files exist."""
    inputs = {}
    for name in names:
        path = folder / f"{name}.pem"
        path.write_bytes(b"")
        inputs[name] = {"base": "file", "location": {"path": str(path), "name": path.name}}
    return inputs


def with_tls(inputs: dict[str, Any], **options: Any) -> dict[str, Any]:
    given = config_json(tls_enabled=True, **options)
    given["inputs"] |= inputs
    return given


def test_tls_is_used_only_on_request(tmp_path: Path) -> None:
    """A key and a certificate alone do not turn it on."""
    given = config_json()
    given["inputs"] |= given_files(tmp_path, "key", "cert")
    assert parse(given).tls is None


def test_tls_by_default(tmp_path: Path) -> None:
    """By default, the server's certificate is verified, but not its name."""
    assert parse(with_tls(given_files(tmp_path, "key", "cert"))).tls == TLSConfig(
        certificate=ClientCertificate(tmp_path / "key.pem", tmp_path / "cert.pem"),
        add_cert_file=None,
        profile="BCP 195",
        require_peer_cert=True,
        check_hostname=False,
    )


def test_all_options_of_tls(tmp_path: Path) -> None:
    """TLS options are used as given."""
    inputs = given_files(tmp_path, "key", "cert", "add_cert_file")
    profile = "Modified BCP 195 RFC 8996, 9325"
    given = with_tls(inputs, tls_security_profile=profile, tls_check_hostname=True)
    config = parse(given).tls
    assert config is not None
    assert config.add_cert_file == tmp_path / "add_cert_file.pem"
    assert (config.profile, config.check_hostname) == (profile, True)
    lax = parse(with_tls(inputs, tls_require_peer_cert=False)).tls
    assert lax is not None
    assert lax.require_peer_cert is False


@pytest.mark.parametrize("missing", ["key", "cert"])
def test_key_and_certificate_go_together(tmp_path: Path, missing: str) -> None:
    """The error names the missing input; with both, there is no error."""
    inputs = given_files(tmp_path, "key", "cert")
    del inputs[missing]
    with pytest.raises(ConfigError) as caught:
        parse(with_tls(inputs))
    expected = (
        f"{missing}: None was given; allowed: a PEM file, because key and cert need each other"
    )
    assert str(caught.value) == expected
    config = parse(with_tls({})).tls
    assert config is not None
    assert config.certificate is None


@pytest.mark.parametrize("name", ["key", "cert", "add_cert_file"])
def test_a_missing_tls_file_is_rejected(tmp_path: Path, name: str) -> None:
    """The error names the missing file."""
    inputs = given_files(tmp_path, "key", "cert", "add_cert_file")
    (tmp_path / f"{name}.pem").unlink()
    with pytest.raises(ConfigError, match=rf"^{name}: '{name}\.pem' was given; allowed: a file"):
        parse(with_tls(inputs))


@pytest.mark.parametrize("profile", ["", "bcp 195", "TLS 1.0", None, 7])
def test_other_profiles_are_rejected(profile: object) -> None:
    """Only the manifest's profiles are valid, with or without TLS."""
    assert refusal(tls_security_profile=profile) == (
        f"tls_security_profile: {profile!r} {wording.ALLOWED}: one of BCP 195; BCP "
        "195 RFC 8996, 9325; Modified BCP 195 RFC 8996, 9325; Non-downgrading BCP 195; "
        "Extended BCP 195"
    )


def test_checking_the_name_requires_a_checked_certificate(tmp_path: Path) -> None:
    """A name check without certificate verification is rejected."""
    given = with_tls(
        given_files(tmp_path, "key", "cert"), tls_check_hostname=True, tls_require_peer_cert=False
    )
    with pytest.raises(ConfigError, match=r"^tls_check_hostname: True was given; allowed: false"):
        parse(given)


@pytest.mark.parametrize("name", ["key", "cert", "add_cert_file", "identity"])
def test_an_empty_input_is_not_a_missing_one(name: str) -> None:
    """Nothing is sent without the certificate or the identity that the user selected."""
    given = config_json(tls_enabled=True)
    given["inputs"][name] = {}
    with pytest.raises(ConfigError) as caught:
        parse(given)
    assert (caught.value.option, caught.value.given) == (name, {})
