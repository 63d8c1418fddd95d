"""Valid values of options, and errors for invalid ones."""

import pytest

from fw_gear_dicom_send.config import parse
from fw_gear_dicom_send.option_values import ConversionMode
from fw_gear_dicom_send.report_names import Report
from tests.support import wording
from tests.support.engine_config import config_json, refusal


@pytest.mark.parametrize("port", [1, 104, 65535])
def test_valid_ports_are_accepted(port: int) -> None:
    """A port from 1 to 65535 is accepted."""
    assert parse(config_json(port=port)).port == port


@pytest.mark.parametrize("port", [0, -1, 65536, "104", 104.0, True, None])
def test_other_ports_are_rejected(port: object) -> None:
    """Any other value is rejected."""
    message = refusal(port=port)
    assert message == f"port: {port!r} {wording.ALLOWED}: {wording.PORT_NUMBER}"


@pytest.mark.parametrize("given", [0, 101, -1, True, 1.0, "1.5", "Auto", "", None])
def test_other_numbers_of_images_in_a_request_are_rejected(given: object) -> None:
    """There can be 1 to 100 images in a request, or `auto`."""
    assert "auto, or a whole number from 1 to 100" in refusal(
        images_per_request=given, destination="http://host"
    )


@pytest.mark.parametrize(("given", "value"), [("auto", "auto"), ("1", 1), (100, 100), ("20", 20)])
def test_a_number_of_images_may_be_text(given: object, value: object) -> None:
    """A manifest has one type for both: text."""
    config = parse(config_json(images_per_request=given, destination="http://host"))
    assert config.images_per_request == value


@pytest.mark.parametrize(("given", "value"), [("auto", 0), (0, 0), (1, 1), (16, 16)])
def test_a_number_of_associations_may_be_automatic(given: object, value: int) -> None:
    """0 and `auto` are the same."""
    config = parse(config_json(associations=given))
    assert config.associations == value


@pytest.mark.parametrize("associations", [-1, 17, "4", 4.0, True, None])
def test_other_numbers_of_associations_are_rejected(associations: object) -> None:
    """There can be 1 to 16 associations."""
    message = refusal(associations=associations)
    allowed = "auto, or a whole number from 1 to 16; 0 is auto"
    assert message == f"associations: {associations!r} {wording.ALLOWED}: {allowed}"


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
        config.destination,
        config.calling_ae,
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
    assert parse(config_json(called_ae=given)).called_ae == title


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
    assert parse(config_json(destination=given)).address.host == host


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
    "option", ["debug", "tls_enabled", "tls_require_peer_cert", "tls_check_hostname"]
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


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ("", ()),
        (" None ", ()),
        (" , ", ()),
        ("SUMMARY,files, summary,", (Report.FILES, Report.SUMMARY)),
    ],
)
def test_reports_are_chosen_by_name(given: str, chosen: tuple[Report, ...]) -> None:
    """Order, case and repetition do not matter."""
    assert parse(config_json(report_files=given)).report_files == chosen


@pytest.mark.parametrize("given", ["file", "none, files", "files images", True, None, ["files"]])
def test_other_reports_are_rejected(given: object) -> None:
    """The error lists the reports."""
    allowed = "none, or some of files, images, page, summary, separated by commas"
    assert refusal(report_files=given) == f"report_files: {given!r} {wording.ALLOWED}: {allowed}"


@pytest.mark.parametrize("file_types", ["archive", "DICOM", "", None, ["dicom"]])
def test_other_file_types_are_rejected(file_types: object) -> None:
    """There are two choices, and both include DICOM files."""
    assert "dicom; dicom and archive" in refusal(file_types=file_types)


@pytest.mark.parametrize("rate", [0, 0.1, 2.5, 10_000])
def test_a_rate_is_a_number(rate: float) -> None:
    """0 means no limit."""
    assert parse(config_json(bandwidth_limit=rate)).bandwidth_limit == rate


@pytest.mark.parametrize("rate", [-1, 0.05, 10_001, True, "2", "08:00 2", None, float("nan")])
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
