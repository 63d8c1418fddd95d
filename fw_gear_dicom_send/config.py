"""Configuration of a run: the checked options, and what they make up."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from .delivery.sender import Facts, Parallel, ServerName
from .dicom.image_choice import ImageChoice
from .dicom.types import PrivateTag
from .errors import ConfigError
from .models import Container, InputFile, NameChoice
from .name_patterns import NamePatterns
from .network.types import ClientCertificate, PeerAE, TLSConfig, UserIdentity
from .option_types import Group, Option, Place, check_all
from .option_values import FILE
from .options import OPTIONS, Options
from .project_settings import merged, server_name_in
from .server_url import ServerURL
from .text import printable
from .values import field, frozen, replace

log = logging.getLogger(__name__)

_OF_GEAR = frozenset(option.name for option in OPTIONS if option.where & Place.GEAR)
URL_HAS_NONE = ("port", "called_ae", "calling_ae")
"""Options of C-STORE that a gear always gets from the Run dialog."""
_REFUSED_BY_WEB = (
    "query_ae",
    "query_port",
    "max_images_per_association",
    "association_per_study",
    "identity",
)
_DIMSE_ONLY = URL_HAS_NONE + _REFUSED_BY_WEB
_VERIFY_DIMSE = {"find": "C-FIND", "commit": "storage commitment"}
_VERIFY_WEB = {"find": "QIDO-RS", "content": "WADO-RS"}
"""Service for each value of the option `verify`."""
_WEB_ONLY = ("authorization", "on_conflict", "images_per_request")
_FILES = tuple(option.name for option in OPTIONS if option.type is FILE)
_FORMER = ("report", "instance_report", "html_report", "summary_report")
"""Options of earlier versions that `report_files` replaces."""
_MAX_NAMES = 300
"""Maximum number of characters of ignored names in the log."""
FindServer = Callable[[str, Container, str], tuple[Mapping[str, Any], str]]
"""Returns the options of a server, and where they are, from API key, container and server."""


@frozen(kw_only=True)
class SendConfig(Options):
    """Options for sending, independent of the source of the images.

    `user_identity` is read from the file `identity`.
    """

    place: ClassVar[Place] = Place.COMMAND
    user_identity: UserIdentity | None = field(default=None, repr=False)

    @cached_property
    def address(self) -> PeerAE | ServerURL:
        """The server for images: its AE for C-STORE, or its URL for DICOMweb."""
        titles = self.called_ae, self.calling_ae
        ae = PeerAE(self.destination, self.port, *titles, self.user_identity)
        return ServerURL.of(self.destination) or ae

    @property
    def parallel(self) -> Parallel:
        """The numbers of parallel connections."""
        return Parallel.of(self.associations, by_study=self.association_per_study)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The risks of the configuration, in words."""
        is_open = self.tls and not self.tls.require_peer_cert
        return ("the server's certificate was not verified",) if is_open else ()

    @property
    def server(self) -> ServerName:
        """The names of the server."""
        return server_name(self.address, self.tls.profile if self.tls else "")

    @cached_property
    def query_peer(self) -> PeerAE | None:
        """The AE for queries, None if it is that for images, or the server has a URL."""
        if isinstance(self.address, ServerURL):
            return None
        title, port = self.query_ae or self.called_ae, self.query_port or self.port
        found = replace(self.address, port=port, called_ae=title)
        return None if found == self.address else found

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

    @cached_property
    def images(self) -> ImageChoice:
        """The selection of images by their datasets. Gears select files instead."""
        if self.place is Place.GEAR:
            return ImageChoice()
        return ImageChoice(*map(NamePatterns, (self.modality, self.study, self.series)))

    def in_effect(self) -> Iterator[tuple[Option, Any]]:
        """Yield the options of the program that have an effect, with their values."""
        unused = _DIMSE_ONLY if isinstance(self.address, ServerURL) else _WEB_ONLY
        for option in OPTIONS:
            is_used = not option.needs or getattr(self, option.needs)
            is_shown = option.where & self.place and option.type.schema
            if is_shown and is_used and option.name not in unused:
                yield option, getattr(self, option.name)


@frozen(kw_only=True)
class GearConfig(SendConfig):
    """Valid configuration of a gear run on a `container`."""

    place: ClassVar[Place] = Place.GEAR
    container: Container
    input_file: InputFile | None
    api_key: str = field(repr=False)
    job_id: str = ""
    server_origin: str = ""

    @property
    def server(self) -> ServerName:
        """The names of the server, and the file that it is from."""
        server, origin = super().server, self.server_origin
        return replace(
            server, details=(*server.details, *[("Server is from", origin)] * bool(origin))
        )

    @property
    def selection(self) -> Mapping[str, str]:
        """The options that choose files and differ from their defaults, as in a job's config.

        A run on an input file chooses nothing.
        """
        if self.input_file:
            return {}
        return {
            row.name: row.type.show(value)
            for row, value in self.in_effect()
            if row.group is Group.FILES and value != row.check(row.default)
        }


def parse(
    config_json: Mapping[str, Any], find_server: FindServer = lambda *_: ({}, "")
) -> GearConfig:
    """Return the checked configuration of a gear run, from config.json.

    `find_server` gets a destination that may be the name of a server. Raises ConfigError for the
    first invalid option or input, and the errors of `find_server`.
    """
    given, inputs = config_json.get("config", {}), config_json.get("inputs", {})
    options = {name: value for name, value in given.items() if name in _OF_GEAR}
    _log_ignored(sorted(given.keys() - _OF_GEAR))
    given_files = {name: inputs[name] for name in _FILES if inputs.get(name) is not None}
    files = {name: _input_path(name, file) for name, file in given_files.items()}
    api_key = (inputs.get("api-key") or {}).get("key")
    if not api_key:
        raise ConfigError("api-key", None, "the API key that Flywheel gives to a job")
    container = _container("destination container", config_json.get("destination"))
    input_file = _input_file(inputs.get("file"))
    origin = ""
    if name := server_name_in(options):
        start = input_file.parent if input_file else container
        server, origin = find_server(api_key, start, name)
        options = merged(options, server)
    config = GearConfig(
        **checked({**options, **files}, Place.GEAR),
        container=container,
        input_file=input_file,
        api_key=api_key,
        job_id=(config_json.get("job") or {}).get("id", ""),
        server_origin=origin,
    )
    if origin:
        log.info("Destination %s: %s, from %s", name, config.server.label, origin)
    if isinstance(config.address, ServerURL):
        log.info("No effect with a URL as destination: %s", ", ".join(URL_HAS_NONE))
    return config


def checked(given: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Return options by name from JSON; raise ConfigError if they are invalid, or contradict."""
    options = check_all([option.of(place) for option in OPTIONS], given)
    if url := ServerURL.of(options["destination"]):
        if options["tls_enabled"] and not url.is_secure:
            raise ConfigError("destination", str(url), "a URL with https if tls_enabled is true")
        options["tls_enabled"] = url.is_secure
    elif not options["called_ae"]:
        row = next(row for row in OPTIONS if row.name == "called_ae")
        raise ConfigError("called_ae", given.get("called_ae"), row.type.allowed)
    _check_protocol(options, is_web=bool(url))
    secure = "https" if url else "tls_enabled"
    for name in ("identity", "authorization"):
        if options[name] and not (options["tls_enabled"] or options["identity_without_tls"]):
            allowed = f"with {secure}, or with identity_without_tls, which sends it unencrypted"
            raise ConfigError(name, options[name].name, allowed)
    if options["tls_enabled"]:
        if options["tls_check_hostname"] and not options["tls_require_peer_cert"]:
            allowed = "false if tls_require_peer_cert is false"
            raise ConfigError("tls_check_hostname", True, allowed)
        for name, other in (("key", "cert"), ("cert", "key")):
            if options[other] and not options[name]:
                allowed = "a PEM file, because key and cert need each other"
                raise ConfigError(name, None, allowed)
    return options


def _log_ignored(names: Sequence[str]) -> None:
    """Log the options that this version does not have. A saved configuration may have them."""
    if names:
        former = ", ".join(name for name in names if name in _FORMER)
        hint = f"; use report_files instead of {former}" if former else ""
        log.warning("Ignored unknown options: %s%s", printable(", ".join(names))[:_MAX_NAMES], hint)


def server_name(address: PeerAE | ServerURL, profile: str) -> ServerName:
    """Return the names of a server; `profile` names its TLS profile, empty without TLS."""
    security = f"TLS ({profile})" if profile else "no TLS"
    facts: Facts = {"host": address.host, "port": address.port, "tls": bool(profile)}
    if isinstance(address, ServerURL):
        url = str(address)
        facts = {"protocol": "DICOMweb", "url": url, **facts}
        return ServerName((url, "", ""), url, security, "STOW-RS", _VERIFY_WEB, facts=facts)
    host, port, called, calling = address.host, address.port, address.called_ae, address.calling_ae
    return ServerName(
        (host, str(port), called),
        f"AE {called} at {host}, port {port}",
        security,
        "C-STORE",
        _VERIFY_DIMSE,
        (("Calling AE", calling),),
        {"protocol": "DIMSE", "called_ae": called, "calling_ae": calling, **facts},
    )


def _check_protocol(options: Mapping[str, Any], *, is_web: bool) -> None:
    """Raise ConfigError for an option that the protocol of the server does not have."""
    place = "a URL as destination" if is_web else "a host as destination"
    for row in OPTIONS:
        is_refused = row.name in (_REFUSED_BY_WEB if is_web else _WEB_ONLY)
        if is_refused and options[row.name] != (default := row.check(row.default)):
            is_file = row.type is FILE
            given = options[row.name].name if is_file else row.show(options[row.name])
            only = "no file" if is_file else row.show(default)
            raise ConfigError(row.name, given, f"{only} with {place}")
    methods = ("none", *(_VERIFY_WEB if is_web else _VERIFY_DIMSE))
    if options["verify"] not in methods:
        raise ConfigError("verify", options["verify"], f"{', '.join(methods)} with {place}")


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
            version = record.get("file_id") or "", record.get("version") or 0
            return InputFile(path, name, parent, *version)
    raise ConfigError("file", given, "an input with its hierarchy and location")


def _input_path(name: str, given: Any) -> Path:
    match given:
        case {"location": {"path": str(path)}}:
            if not os.path.isfile(path):
                raise ConfigError(name, Path(path).name, "a file in the input folder")
            return Path(path)
    raise ConfigError(name, given, "an input with its location")
