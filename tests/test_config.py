"""Valid values of the gear's configuration, and errors for invalid ones."""

from pathlib import Path
from typing import Any

import pytest

from fw_gear_dicom_send.config import parse
from fw_gear_dicom_send.dicom.types import PrivateTag
from fw_gear_dicom_send.errors import ConfigError
from fw_gear_dicom_send.models import Container
from fw_gear_dicom_send.network.types import ClientCertificate, PeerAE, TLSConfig
from fw_gear_dicom_send.options import ConversionMode
from tests.support import wording

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


def test_defaults_are_the_manifests() -> None:
    """Missing options have the defaults of the manifest."""
    config = parse(config_json())
    assert config.peer == PeerAE("pacs.example.org", 104, "PACS", "flywheel")
    assert config.tag == PrivateTag(0x0021, "Flywheel", "DICOM send")
    assert config.container == Container("session", "5c0ffee")
    assert config.downloads == 4
    assert config.file_download_retry_time == 60
    assert config.send_retry_time == 300
    assert config.response_timeout == 300
    assert config.bandwidth_limit == 0
    assert config.conversion is ConversionMode.WHEN_NEEDED
    assert config.associations == 4
    assert config.report is True
    assert config.input_file is None


def test_given_options_are_used() -> None:
    """Given options are used unchanged."""
    config = parse(
        config_json(
            port=11112,
            calling_ae="SENDER",
            group="0029",
            identifier="ACME",
            tag_value="sent",
            downloads=16,
            file_download_retry_time=0,
            send_retry_time=3600,
            response_timeout=60,
            associations=16,
            report=False,
        ),
    )
    assert config.peer == PeerAE("pacs.example.org", 11112, "PACS", "SENDER")
    assert config.tag == PrivateTag(0x0029, "ACME", "sent")
    assert config.downloads == 16
    assert config.file_download_retry_time == 0
    assert config.send_retry_time == 3600
    assert config.response_timeout == 60
    assert config.associations == 16
    assert config.report is False


@pytest.mark.parametrize("port", [1, 104, 65535])
def test_valid_ports_are_accepted(port: int) -> None:
    """A port from 1 to 65535 is accepted."""
    assert parse(config_json(port=port)).peer.port == port


@pytest.mark.parametrize("port", [0, -1, 65536, "104", 104.0, True, None])
def test_other_ports_are_rejected(port: object) -> None:
    """Any other value is rejected."""
    message = refusal(port=port)
    assert message == f"port: {port!r} {wording.ALLOWED}: {wording.PORT_NUMBER}"


@pytest.mark.parametrize("associations", [0, -1, 17, "4", 4.0, True, None])
def test_other_numbers_of_associations_are_rejected(associations: object) -> None:
    """There can be 1 to 16 associations."""
    message = refusal(associations=associations)
    assert message == (
        f"associations: {associations!r} {wording.ALLOWED}: a whole number from 1 to 16"
    )


@pytest.mark.parametrize("number", [0, 1, 1_000_000])
def test_an_association_may_carry_any_number_of_images(number: int) -> None:
    """0 means no limit."""
    config = parse(config_json(max_images_per_association=number))
    assert config.max_images_per_association == number


@pytest.mark.parametrize("option", ["max_images_per_association", "query_port"])
@pytest.mark.parametrize("number", [-1, 1_000_001, "4", 4.0, True, None])
def test_other_whole_numbers_are_rejected(option: str, number: object) -> None:
    """The error has the valid range."""
    expected = f"{option}: {number!r} {wording.ALLOWED}: a whole number from 0 to "
    assert refusal(**{option: number}).startswith(expected)


@pytest.mark.parametrize(
    ("given", "queried"),
    [
        ({}, None),
        ({"query_ae": "PACS", "query_port": 104}, None),
        ({"query_ae": " QUERY "}, ("QUERY", 104)),
        ({"query_port": 105}, ("PACS", 105)),
    ],
)
def test_queries_go_to_the_given_ae(
    given: dict[str, object], queried: tuple[str, int] | None
) -> None:
    """Without an AE title or port for queries, those for images are used."""
    config = parse(config_json(called_ae="PACS", port=104, **given))
    found = config.query_peer
    assert (found and (found.called_ae, found.port)) == queried
    assert found is None or (found.host, found.calling_ae) == (
        config.peer.host,
        config.peer.calling_ae,
    )


@pytest.mark.parametrize("title", [" ", "A" * 17, "A\\B", None])
def test_bad_query_ae_titles_are_rejected(title: object) -> None:
    """An empty title means none."""
    assert refusal(query_ae=title).startswith(f"query_ae: {title!r} {wording.ALLOWED}: 1 to 16")


@pytest.mark.parametrize("option", ["called_ae", "calling_ae"])
@pytest.mark.parametrize(
    "title", ["", "   ", "A" * 17, "A\\B", "A\nB", "A\tB", "\x7f", "É", None, 7]
)
def test_bad_ae_titles_are_rejected(option: str, title: object) -> None:
    """An AE title has 1 to 16 characters, no backslash and no control character."""
    message = refusal(**{option: title})
    assert message.startswith(f"{option}: {title!r} {wording.ALLOWED}: {wording.AE_TITLE}")
    assert "\n" not in message


@pytest.mark.parametrize(("given", "title"), [("A" * 16, "A" * 16), (" MY PACS ", "MY PACS")])
def test_good_ae_titles_are_accepted(given: str, title: str) -> None:
    """Sixteen characters are valid; leading and trailing spaces are not part of the title."""
    assert parse(config_json(called_ae=given)).peer.called_ae == title


@pytest.mark.parametrize(
    ("given", "group"),
    [("0x0021", 0x21), ("0021", 0x21), ("21", 0x21), (33, 0x21), ("0x0009", 9), ("FFFD", 0xFFFD)],
)
def test_groups_are_hexadecimal_text_or_numbers(given: object, group: int) -> None:
    """A group may be written with or without 0x, or as a number."""
    assert parse(config_json(group=given)).tag.group == group


@pytest.mark.parametrize(
    "group",
    ["0x0020", "0x0001", "0x0003", "0x0005", "0x0007", "0xFFFF", "0x10021", "-21", "", "zz"],
)
def test_group_texts_that_are_not_private_are_rejected(group: str) -> None:
    """A group is odd and not reserved by the standard (PS3.5 7.8)."""
    assert refusal(group=group).startswith(
        f"group: {group!r} {wording.ALLOWED}: {wording.ODD_GROUP}"
    )


@pytest.mark.parametrize("group", [0, 32, 7, 65535, -33, 33.0, True, None])
def test_group_numbers_that_are_not_private_are_rejected(group: object) -> None:
    """The same rule applies to a group given as a number."""
    message = refusal(group=group)
    assert message.startswith(
        f"group: {group!r} {wording.ALLOWED}: {wording.ODD_GROUP} from 0x0009"
    )


@pytest.mark.parametrize("option", ["identifier", "tag_value"])
@pytest.mark.parametrize("text", ["", "x" * 65, "a\\b", "a\x00b", "Zürich", None, 1])
def test_invalid_lo_texts_are_rejected(option: str, text: object) -> None:
    """Creator and value are of VR LO: 1 to 64 characters, no backslash, no control character."""
    message = refusal(**{option: text})
    assert message.startswith(f"{option}: {text!r} {wording.ALLOWED}: 1 to 64 ASCII characters")


def test_a_lo_of_maximum_length_is_accepted() -> None:
    """Sixty-four characters are valid."""
    assert parse(config_json(identifier="x" * 64)).tag.creator == "x" * 64


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("10.1.2.3", "10.1.2.3"),
        (" pacs ", "pacs"),
        ("::1", "::1"),
        ("[fe80::1]", "fe80::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
    ],
)
def test_hosts_are_names_and_addresses(given: str, host: str) -> None:
    """A host is a name or an address of either IP version, with or without brackets."""
    assert parse(config_json(destination=given)).peer.host == host


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        "dicom://pacs",
        "pacs:104",
        "[::1]:104",
        "two words",
        "user@pacs",
        "x" * 254,
        None,
        5,
        "a\x00b",
    ],
)
def test_invalid_hosts_are_rejected(host: object) -> None:
    """A URL, a host with a port, an empty text and a text with inner spaces are not hosts."""
    message = refusal(destination=host)
    assert message.startswith(f"destination: {host!r} {wording.ALLOWED}: {wording.HOST_NAME}, or")


def test_options_of_the_command_have_no_effect_on_the_gear() -> None:
    """The gear always adds the private element, and its files are inputs."""
    config = parse(config_json(stamp=False, key="k.pem", tls_enabled=True))
    assert config.tag == PrivateTag(0x0021, "Flywheel", "DICOM send")
    assert config.key is None


def test_required_options_are_required() -> None:
    """Server and AE title have no default."""
    for option in REQUIRED:
        incomplete = config_json()
        del incomplete["config"][option]
        with pytest.raises(ConfigError, match=f"^{option}: None was given"):
            parse(incomplete)


@pytest.mark.parametrize("seconds", [-1, 86401, "60", None, True, float("nan")])
def test_invalid_retry_times_are_rejected(seconds: object) -> None:
    """A retry time is a number of seconds, at most a day."""
    for option in ("file_download_retry_time", "send_retry_time", "response_timeout"):
        assert refusal(**{option: seconds}).startswith(f"{option}: ")


def test_the_response_timeout_is_positive() -> None:
    """A timeout of 0 would fail each image."""
    allowed = "a number of seconds from 1 to 86400"
    assert refusal(response_timeout=0) == f"response_timeout: 0 {wording.ALLOWED}: {allowed}"


@pytest.mark.parametrize(
    "option", ["report", "debug", "tls_enabled", "tls_require_peer_cert", "tls_check_hostname"]
)
@pytest.mark.parametrize("given", ["true", 1, None])
def test_switches_are_true_or_false(option: str, given: object) -> None:
    """A switch accepts only a boolean."""
    assert refusal(**{option: given}) == f"{option}: {given!r} {wording.ALLOWED}: true or false"


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("", ()),
        (" , ,", ()),
        ("*.dcm", ("*.dcm",)),
        (" *.dcm ,t1 w*.zip,[a-c]? ", ("*.dcm", "t1 w*.zip", "[a-c]?")),
        ("a\nb", ("a\nb",)),
    ],
)
def test_commas_separate_several_values(given: str, parts: tuple[str, ...]) -> None:
    """Spaces around a value and empty values are ignored."""
    several = ("include", "exclude", "modality", "file_tags")
    config = parse(config_json(**dict.fromkeys(several, given)))
    assert config.names.include.patterns == parts
    assert config.names.exclude.patterns == parts
    assert (config.modality, config.file_tags) == (parts, parts)


@pytest.mark.parametrize("file_types", ["archive", "DICOM", "", None, ["dicom"]])
def test_other_file_types_are_rejected(file_types: object) -> None:
    """There are two choices, and both include DICOM files."""
    assert "dicom; dicom and archive" in refusal(file_types=file_types)


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


@pytest.mark.parametrize("given", [None, {}, {"base": "api-key"}, {"base": "api-key", "key": ""}])
def test_an_api_key_is_required(given: object) -> None:
    """Flywheel cannot be used without an API key."""
    without = config_json()
    without["inputs"]["api-key"] = given
    with pytest.raises(ConfigError, match=r"^api-key: None was given"):
        parse(without)


def test_the_api_key_is_not_shown() -> None:
    """The printed configuration does not contain the key."""
    assert "secret" not in repr(parse(config_json()))


def test_an_input_file_has_a_path_a_name_and_a_container(tmp_path: Path) -> None:
    """The file input has its Flywheel name and its container."""
    path = tmp_path / "a b.zip"
    path.write_bytes(b"")
    given = config_json()
    given["inputs"]["file"] = {
        "base": "file",
        "hierarchy": {"type": "acquisition", "id": "acq"},
        "location": {"path": str(path), "name": "a b.zip"},
    }
    chosen = parse(given).input_file
    assert chosen is not None
    assert (chosen.path, chosen.name) == (path, "a b.zip")
    assert chosen.parent == Container("acquisition", "acq")


@pytest.mark.parametrize("name", ["key", "cert", "add_cert_file", "identity"])
def test_an_empty_input_is_not_a_missing_one(name: str) -> None:
    """Nothing is sent without the certificate or the identity that the user selected."""
    given = config_json(tls_enabled=True)
    given["inputs"][name] = {}
    with pytest.raises(ConfigError) as caught:
        parse(given)
    assert (caught.value.option, caught.value.given) == (name, {})


def test_a_missing_input_file_is_rejected(tmp_path: Path) -> None:
    """A missing input file is reported before anything is sent."""
    given = config_json()
    given["inputs"]["file"] = {
        "hierarchy": {"type": "acquisition", "id": "acq"},
        "location": {"path": str(tmp_path / "gone.dcm"), "name": "gone.dcm"},
    }
    with pytest.raises(ConfigError, match=r"^file: 'gone\.dcm' was given"):
        parse(given)


@pytest.mark.parametrize("given", [None, {}, {"type": "session"}, {"type": "", "id": "x"}])
def test_a_destination_container_is_required(given: object) -> None:
    """A run without a container is rejected."""
    without = config_json()
    without["destination"] = given
    with pytest.raises(ConfigError, match=r"^destination container: "):
        parse(without)


@pytest.mark.parametrize("rate", [0, 0.1, 2.5, 10_000])
def test_a_rate_is_a_number(rate: float) -> None:
    """0 means no limit."""
    assert parse(config_json(bandwidth_limit=rate)).bandwidth_limit == rate


@pytest.mark.parametrize("rate", [-1, 0.05, 10_001, True, "2", None, float("nan")])
def test_an_invalid_rate_is_rejected(rate: object) -> None:
    """The error has the valid range."""
    expected = "0 for no limit, or 0.1 to 10000 MB/s"
    assert (
        refusal(bandwidth_limit=rate) == f"bandwidth_limit: {rate!r} {wording.ALLOWED}: {expected}"
    )


@pytest.mark.parametrize("mode", list(ConversionMode))
def test_each_conversion_mode_is_accepted(mode: ConversionMode) -> None:
    """The manifest's choices are known to the program."""
    assert parse(config_json(conversion=mode.value)).conversion is mode


def test_another_conversion_mode_is_rejected() -> None:
    """The error lists the modes."""
    ways = "; ".join(ConversionMode)
    expected = f"conversion: 'always' {wording.ALLOWED}: one of {ways}"
    assert refusal(conversion="always") == expected
