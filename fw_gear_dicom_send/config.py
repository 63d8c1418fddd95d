"""Configuration of a run: the checked options, and what they make up."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from .delivery.sender import ServerName
from .dicom.types import PrivateTag
from .errors import ConfigError
from .models import Container, InputFile, NameChoice
from .name_patterns import NamePatterns
from .network.types import ClientCertificate, PeerAE, TLSConfig, UserIdentity
from .option_types import FILE, Option, Place, check_all
from .options import OPTIONS, Options

_OF_GEAR = frozenset(option.name for option in OPTIONS if option.where & Place.GEAR)
_FILES = tuple(option.name for option in OPTIONS if option.type is FILE)


@dataclass(frozen=True, kw_only=True)
class SendConfig(Options):
    """Options for sending, independent of the source of the images.

    `user_identity` is read from the file `identity`.
    """

    place: ClassVar[Place] = Place.COMMAND
    user_identity: UserIdentity | None = field(default=None, repr=False)

    @cached_property
    def peer(self) -> PeerAE:
        """The server for images."""
        titles = self.called_ae, self.calling_ae
        return PeerAE(self.destination, self.port, *titles, self.user_identity)

    @property
    def server(self) -> ServerName:
        """The names of the server."""
        return self.peer.named(self.tls.profile if self.tls else "")

    @cached_property
    def query_peer(self) -> PeerAE | None:
        """The AE for queries, None if it is that for images."""
        title, port = self.query_ae or self.called_ae, self.query_port or self.port
        found = replace(self.peer, port=port, called_ae=title)
        return None if found == self.peer else found

    @cached_property
    def tls(self) -> TLSConfig | None:
        """The TLS configuration, None without TLS."""
        if not self.tls_enabled:
            return None
        return TLSConfig(
            ClientCertificate(self.key, self.cert) if self.key and self.cert else None,
            self.add_cert_file,
            self.tls_security_profile,
            self.tls_require_peer_cert,
            self.tls_check_hostname,
        )

    @cached_property
    def tag(self) -> PrivateTag | None:
        """The private element, None if datasets stay unchanged."""
        return PrivateTag(self.group, self.identifier, self.tag_value) if self.stamp else None

    @cached_property
    def names(self) -> NameChoice:
        """The selection of files by their names."""
        return NameChoice(NamePatterns(self.include), NamePatterns(self.exclude))

    def in_effect(self) -> Iterator[tuple[Option, Any]]:
        """Yield the options of the program that have an effect, with their values."""
        for option in OPTIONS:
            is_used = not option.needs or getattr(self, option.needs)
            if option.where & self.place and option.type.schema and is_used:
                yield option, getattr(self, option.name)


@dataclass(frozen=True, kw_only=True)
class GearConfig(SendConfig):
    """Valid configuration of a gear run on a `container`."""

    place: ClassVar[Place] = Place.GEAR
    container: Container
    input_file: InputFile | None
    api_key: str = field(repr=False)
    job_id: str = ""


def parse(config_json: Mapping[str, Any]) -> GearConfig:
    """Return the checked configuration of a gear run, from config.json.

    Raises ConfigError for the first invalid option or input.
    """
    given, inputs = config_json.get("config", {}), config_json.get("inputs", {})
    options = {name: value for name, value in given.items() if name in _OF_GEAR}
    given_files = {name: inputs[name] for name in _FILES if inputs.get(name) is not None}
    files = {name: _input_path(name, file) for name, file in given_files.items()}
    api_key = (inputs.get("api-key") or {}).get("key")
    if not api_key:
        raise ConfigError("api-key", None, "the API key that Flywheel gives to a job")
    return GearConfig(
        **checked({**options, **files}),
        container=_container("destination container", config_json.get("destination")),
        input_file=_input_file(inputs.get("file")),
        api_key=api_key,
        job_id=(config_json.get("job") or {}).get("id", ""),
    )


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by name from JSON; raise ConfigError if they are invalid, or contradict."""
    options = check_all(OPTIONS, given)
    if options["identity"] and not (options["tls_enabled"] or options["identity_without_tls"]):
        allowed = "with tls_enabled, or with identity_without_tls, which sends it unencrypted"
        raise ConfigError("identity", options["identity"].name, allowed)
    if options["tls_enabled"]:
        if options["tls_check_hostname"] and not options["tls_require_peer_cert"]:
            allowed = "false if tls_require_peer_cert is false"
            raise ConfigError("tls_check_hostname", True, allowed)
        for name, other in (("key", "cert"), ("cert", "key")):
            if options[other] and not options[name]:
                allowed = "a PEM file, because key and cert need each other"
                raise ConfigError(name, None, allowed)
    return options


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
