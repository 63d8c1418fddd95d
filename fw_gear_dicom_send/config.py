"""Reads and checks the gear's configuration. Only this module reads manifest keys."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv6Address
from pathlib import Path
from typing import Any

from .dicom.types import PrivateTag
from .errors import ConfigError
from .models import Container, GearConfig, InputFile, NameChoice, SendConfig
from .name_patterns import NamePatterns
from .network.types import ClientCertificate, ConversionMode, PeerAE, TLSConfig

MAX_ASSOCIATIONS = 16
MAX_DOWNLOADS = 16
MAX_PORT = 65535

_MAX_AE_TITLE = 16
_MAX_LO = 64
_MAX_HOST_NAME = 253
_MAX_RETRY_TIME = 86400
_MIN_RATE, _MAX_RATE = 0.1, 10_000
_MAX_FLYWHEEL_TAG = 32
_RESERVED_GROUPS = (0x0001, 0x0003, 0x0005, 0x0007, 0xFFFF)
_MAX_GROUP = 0xFFFF
_MAX_IMAGES = 1_000_000


@dataclass(frozen=True)
class Option:
    """Option of the manifest. `default` is None if a value is required."""

    name: str
    type: str
    default: str | int | bool | None
    description: str
    choices: tuple[str, ...] = ()


def manifest() -> Mapping[str, Any]:
    """Return the gear's manifest, which is beside the package or, if installed, inside it."""
    package = Path(__file__).parent
    paths = (folder / "manifest.json" for folder in (package, package.parent))
    text = next(filter(Path.is_file, paths)).read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def options(manifest: Mapping[str, Any]) -> tuple[Option, ...]:
    """Return the options of a manifest."""
    return tuple(
        Option(
            name,
            option["type"],
            option.get("default"),
            option["description"],
            tuple(option.get("enum", ())),
        )
        for name, option in manifest["config"].items()
    )


def parse(config_json: Mapping[str, Any], manifest: Mapping[str, Any]) -> GearConfig:
    """Return the checked configuration of a gear run.

    Options that config.json lacks get the manifest's defaults. Raises ConfigError for the first
    invalid option or input.
    """
    options = with_defaults(config_json.get("config", {}), manifest)
    inputs = config_json.get("inputs", {})
    downloads = _whole_number(options, "downloads", MAX_DOWNLOADS)
    retry_time = _seconds(options, "file_download_retry_time")
    return GearConfig(
        **vars(parse_sending(options, inputs, manifest)),
        destination=_container("destination container", config_json.get("destination")),
        input_file=_input_file(inputs.get("file")),
        api_key=_api_key(inputs.get("api-key")),
        downloads=downloads,
        file_download_retry_time=retry_time,
        sent_tag=_flywheel_tag(options, "sent_tag"),
        file_types=_choice(options, "file_types", manifest),
        modalities=_several(options, "modality", manifest),
        file_tags=_several(options, "file_tags", manifest),
        resume=_boolean(options, "resume"),
        job_id=_job_id(config_json.get("job")),
    )


def parse_sending(
    options: Mapping[str, Any], inputs: Mapping[str, Any], manifest: Mapping[str, Any]
) -> SendConfig:
    """Return the configuration for sending, from all options and the inputs for TLS.

    Raises ConfigError for the first invalid option or input.
    """
    _boolean(options, "debug")
    return SendConfig(
        peer=peer(options),
        tls=tls(options, inputs, manifest),
        identity_file=identity_file(options, inputs),
        tag=PrivateTag(
            group=_group(options, "group"),
            creator=_text(options, "identifier", _MAX_LO),
            value=_text(options, "tag_value", _MAX_LO),
        ),
        send_retry_time=_seconds(options, "send_retry_time"),
        response_timeout=_seconds(options, "response_timeout", minimum=1),
        associations=_whole_number(options, "associations", MAX_ASSOCIATIONS),
        bandwidth_limit=_megabytes(options, "bandwidth_limit"),
        conversion=ConversionMode(_choice(options, "conversion", manifest)),
        report=_boolean(options, "report"),
        instance_report=_boolean(options, "instance_report"),
        html_report=_boolean(options, "html_report"),
        summary_report=_boolean(options, "summary_report"),
        show_member_names=_boolean(options, "show_member_names"),
        verify=_choice(options, "verify", manifest),
        skip_existing=_boolean(options, "skip_existing"),
        dry_run=_boolean(options, "dry_run"),
        max_images_per_association=_whole_number(
            options, "max_images_per_association", _MAX_IMAGES, minimum=0
        ),
        query_peer=_query_peer(options),
        names=NameChoice(
            include=NamePatterns(_several(options, "include", manifest)),
            exclude=NamePatterns(_several(options, "exclude", manifest)),
        ),
    )


def peer(options: Mapping[str, Any]) -> PeerAE:
    """Return the DICOM server and the AE titles. Raises ConfigError as `parse_sending` does."""
    return PeerAE(
        host=_host(options, "destination"),
        port=_whole_number(options, "port", MAX_PORT),
        called_ae=_text(options, "called_ae", _MAX_AE_TITLE),
        calling_ae=_text(options, "calling_ae", _MAX_AE_TITLE),
    )


def _query_peer(options: Mapping[str, Any]) -> PeerAE | None:
    """Return the AE for queries, None if it is the same as for storage."""
    storing = peer(options)
    port = _whole_number(options, "query_port", MAX_PORT, minimum=0) or storing.port
    given = options.get("query_ae")
    title = storing.called_ae if given == "" else _text(options, "query_ae", _MAX_AE_TITLE)
    querying = replace(storing, port=port, called_ae=title)
    return None if querying == storing else querying


def with_defaults(given: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options: the given ones, and the manifest's defaults for the others."""
    return {option.name: option.default for option in options(manifest)} | dict(given)


def tls(
    options: Mapping[str, Any], inputs: Mapping[str, Any], manifest: Mapping[str, Any]
) -> TLSConfig | None:
    """Return the TLS configuration, None without TLS.

    The options are checked in any case, so that no invalid value goes unnoticed. Raises
    ConfigError as `parse_sending` does.
    """
    profile = _choice(options, "tls_security_profile", manifest)
    requires_peer_cert = _boolean(options, "tls_require_peer_cert")
    checks_hostname = _boolean(options, "tls_check_hostname")
    if not _boolean(options, "tls_enabled"):
        return None
    if checks_hostname and not requires_peer_cert:
        raise ConfigError("tls_check_hostname", True, "false if tls_require_peer_cert is false")
    added = inputs.get("add_cert_file")
    return TLSConfig(
        certificate=_client_certificate(inputs),
        add_cert_file=_input_path("add_cert_file", added) if added else None,
        profile=profile,
        require_peer_cert=requires_peer_cert,
        check_hostname=checks_hostname,
    )


def identity_file(options: Mapping[str, Any], inputs: Mapping[str, Any]) -> Path | None:
    """Return the file with the user identity, None if none is given.

    Raises ConfigError as `parse_sending` does, and if the identity would be sent unencrypted
    without permission.
    """
    may_be_unencrypted = _boolean(options, "identity_without_tls")
    given = inputs.get("identity")
    if given is None:
        return None
    path = _input_path("identity", given)
    if not (_boolean(options, "tls_enabled") or may_be_unencrypted):
        allowed = "with tls_enabled, or with identity_without_tls, which sends it unencrypted"
        raise ConfigError("identity", path.name, allowed)
    return path


def _client_certificate(inputs: Mapping[str, Any]) -> ClientCertificate | None:
    key, cert = inputs.get("key"), inputs.get("cert")
    if key is None and cert is None:
        return None
    for name, given in (("key", key), ("cert", cert)):
        if given is None:
            raise ConfigError(name, None, "a PEM file, because key and cert need each other")
    return ClientCertificate(_input_path("key", key), _input_path("cert", cert))


def _text(options: Mapping[str, Any], name: str, max_length: int) -> str:
    """Return a value of VR AE or LO in the default repertoire, stripped (PS3.5 6.1, 6.2)."""
    given = options.get(name)
    value = given.strip(" ") if isinstance(given, str) else ""
    is_plain = value.isascii() and value.isprintable() and "\\" not in value
    if not (is_plain and 0 < len(value) <= max_length):
        allowed = f"1 to {max_length} ASCII characters, no backslash and no control character"
        raise ConfigError(name, given, allowed)
    return value


def _flywheel_tag(options: Mapping[str, Any], name: str) -> str:
    """Return a Flywheel tag, empty for none."""
    given = options.get(name)
    value = given.strip() if isinstance(given, str) else None
    if value is None or not value.isprintable() or len(value) > _MAX_FLYWHEEL_TAG:
        raise ConfigError(name, given, f"a tag of at most {_MAX_FLYWHEEL_TAG} characters, or none")
    return value


def _several(options: Mapping[str, Any], name: str, manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the comma-separated values of an option, stripped."""
    max_length: int = manifest["config"][name]["maxLength"]
    given = options.get(name)
    if not isinstance(given, str) or len(given) > max_length:
        allowed = f"text of at most {max_length} characters, several values separated by commas"
        raise ConfigError(name, given, allowed)
    return tuple(part for one in given.split(",") if (part := one.strip()))


def _host(options: Mapping[str, Any], name: str) -> str:
    given = options.get(name)
    value = given.strip() if isinstance(given, str) else ""
    if value.startswith("[") and value.endswith("]"):
        value = value[1:-1]
    is_plain = value.isprintable() and not set(value) & set(" /\\@?#[]")
    is_plain = is_plain and (":" not in value or _is_ipv6(value))
    if not (is_plain and 0 < len(value) <= _MAX_HOST_NAME):
        allowed = "a host name, or an IPv4 or IPv6 address, without port or scheme"
        raise ConfigError(name, given, allowed)
    return value


def _is_ipv6(value: str) -> bool:
    try:
        IPv6Address(value)
    except AddressValueError:
        return False
    return True


def _whole_number(options: Mapping[str, Any], name: str, maximum: int, minimum: int = 1) -> int:
    given = options.get(name)
    if isinstance(given, bool) or not isinstance(given, int) or not minimum <= given <= maximum:
        raise ConfigError(name, given, f"a whole number from {minimum} to {maximum}")
    return given


def _group(options: Mapping[str, Any], name: str) -> int:
    """Return a group for private elements (PS3.5 7.8)."""
    given = options.get(name)
    try:
        value = int(given, 16) if isinstance(given, str) else given
    except ValueError:
        value = None
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not 0 < value <= _MAX_GROUP
        or value % 2 == 0
        or value in _RESERVED_GROUPS
    ):
        allowed = "an odd group from 0x0009 to 0xFFFD, as hexadecimal text or a number"
        raise ConfigError(name, given, allowed)
    return value


def _seconds(options: Mapping[str, Any], name: str, minimum: int = 0) -> float:
    given = options.get(name)
    if (
        isinstance(given, bool)
        or not isinstance(given, int | float)
        or not minimum <= given <= _MAX_RETRY_TIME
    ):
        raise ConfigError(name, given, f"a number of seconds from {minimum} to {_MAX_RETRY_TIME}")
    return float(given)


def _megabytes(options: Mapping[str, Any], name: str) -> float:
    """Return a rate in MB/s, 0 for none."""
    given = options.get(name)
    if (
        isinstance(given, bool)
        or not isinstance(given, int | float)
        or not (given == 0 or _MIN_RATE <= given <= _MAX_RATE)
    ):
        allowed = f"0 for no limit, or {_MIN_RATE:g} to {_MAX_RATE} MB/s"
        raise ConfigError(name, given, allowed)
    return float(given)


def _boolean(options: Mapping[str, Any], name: str) -> bool:
    given = options.get(name)
    if not isinstance(given, bool):
        raise ConfigError(name, given, "true or false")
    return given


def _choice(options: Mapping[str, Any], name: str, manifest: Mapping[str, Any]) -> str:
    """Return one of the values that the manifest allows for an option."""
    choices: list[str] = manifest["config"][name]["enum"]
    given = options.get(name)
    if not isinstance(given, str) or given not in choices:
        raise ConfigError(name, given, f"one of {'; '.join(choices)}")
    return given


def _container(name: str, given: Any) -> Container:
    match given:
        case {"type": str(container_type), "id": str(container_id)} if container_type:
            return Container(container_type, container_id)
    raise ConfigError(name, given, "a container with its type and id")


def _input_file(given: Any) -> InputFile | None:
    if given is None:
        return None
    match given:
        case {"hierarchy": hierarchy, "location": {"name": str(name)}}:
            path = _input_path("file", given)
            parent = _container("container of the input file", hierarchy)
            record = given.get("object") or {}
            tags, info = tuple(record.get("tags") or ()), record.get("info") or {}
            return InputFile(path, name, parent, tags, info)
    raise ConfigError("file", given, "an input with its hierarchy and location")


def _input_path(name: str, given: Any) -> Path:
    match given:
        case {"location": {"path": str(path)}}:
            if not os.path.isfile(path):
                raise ConfigError(name, Path(path).name, "a file in the input folder")
            return Path(path)
    raise ConfigError(name, given, "an input with its location")


def _job_id(given: Any) -> str:
    match given:
        case {"id": str(job_id)}:
            return job_id
    return ""


def _api_key(given: Any) -> str:
    match given:
        case {"key": str(key)} if key:
            return key
    raise ConfigError("api-key", None, "the API key that Flywheel gives to a job")
