"""Named servers in the file of a project: which names, which keys, and whose value counts."""

from typing import Any

import pytest

from fw_gear_dicom_send.errors import ConfigError
from fw_gear_dicom_send.project_settings import (
    MAX_BYTES,
    MAX_DOTS,
    merged,
    server_name_in,
    server_options,
)
from tests.support.preloaded import REPOSITORY

ARCHIVE = b'[archive]\nhost = "pacs.example.org"\nport = 11112\ncalled_ae = "ARCHIVE"\n'
PLACE = "dicom-send.toml of project lab/Study"


def refused(content: bytes) -> ConfigError:
    """Return the error for a file."""
    with pytest.raises(ConfigError) as caught:
        server_options(content, "archive", PLACE)
    assert str(caught.value).startswith(PLACE)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("name", ["archive", " archive ", "PACS-2", "pacs_2", "12"])
def test_a_plain_name_may_be_a_server(name: str) -> None:
    """It has letters, digits, dashes and underscores, like a bare key of TOML."""
    assert server_name_in({"destination": name}) == name.strip()
    assert server_name_in({"destination": name, "project_settings": True})


@pytest.mark.parametrize(
    "host",
    ["pacs.example.org", "10.0.0.1", "::1", "[::1]", "https://pacs", "http:", "a b", "ärchiv", ""],
)
def test_another_destination_is_no_name(host: str) -> None:
    """The file is not read for it."""
    assert server_name_in({"destination": host}) == ""


@pytest.mark.parametrize("options", [{}, {"destination": None, "project_settings": False}])
def test_a_missing_destination_is_no_name(options: dict[str, Any]) -> None:
    """It is reported when the options are checked."""
    assert server_name_in(options) == ""


def test_project_settings_can_be_turned_off() -> None:
    """Then each destination is a host name."""
    assert server_name_in({"destination": "archive", "project_settings": False}) == ""


def test_a_table_has_the_options_of_a_server() -> None:
    """The key `host` is the destination; the file may start with a byte order mark."""
    expected = {"destination": "pacs.example.org", "port": 11112, "called_ae": "ARCHIVE"}
    assert server_options(ARCHIVE, "archive", PLACE) == expected
    assert server_options(b"\xef\xbb\xbf" + ARCHIVE, "archive", PLACE) == expected


@pytest.mark.parametrize("name", ["Archive", "arch", "host", "archive-2"])
def test_other_names_have_no_options(name: str) -> None:
    """A name has to be equal to that of the table."""
    assert server_options(ARCHIVE, name, PLACE) == {}


def test_the_example_of_the_documentation_is_valid() -> None:
    """It has a server for C-STORE, and one for DICOMweb."""
    text = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")
    example = text.split("```toml\n")[1].split("```")[0].encode()
    assert server_options(example, "archive", PLACE)["called_ae"] == "ARCHIVE"
    assert server_options(example, "research", PLACE)["destination"].startswith("https://")


def test_other_tables_do_not_matter() -> None:
    """A mistake in one costs only the runs that use it."""
    assert server_options(ARCHIVE + b'[bad]\npassword = "x"\n', "archive", PLACE)


@pytest.mark.parametrize(
    "key",
    [
        "key",
        "cert",
        "add_cert_file",
        "identity",
        "authorization",
        "identity_without_tls",
        "project_settings",
        "destination",
        "include",
        "file_types",
        "show_member_names",
        "debug",
        "stamp",
        "server",
        "password",
        "command",
    ],
)
def test_secrets_paths_and_unknown_keys_are_refused(key: str) -> None:
    """The error has the key, but not its value, which may be a secret."""
    error = refused(ARCHIVE + f'{key} = "hush"\n'.encode())
    assert error.option == f"{PLACE}: [archive]"
    assert error.given == key
    assert "hush" not in str(error)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('host = "a/b"', "host"),
        ('host = "https://user:hush@pacs/"', "host"),
        ("port = 70000", "port"),
        ('port = "104"', "port"),
        ("tls_enabled = 1", "tls_enabled"),
        ("bandwidth_limit = nan", "bandwidth_limit"),
        ("send_retry_time = inf", "send_retry_time"),
        ("called_ae = 2020-01-01", "called_ae"),
        ("port.a = 1", "port"),
        ('host.password = "hush"', "host"),
        ('called_ae = ["hush"]', "called_ae"),
    ],
)
def test_an_invalid_value_is_named_with_its_key(line: str, key: str) -> None:
    """The error is that of the option, in the place of the file."""
    lines = ["[archive]", *['host = "pacs"'] * (key != "host"), line]
    error = refused("\n".join(lines).encode())
    assert error.option == f"{PLACE}: [archive] {key}"
    assert "hush" not in str(error)


def test_a_long_value_is_cut_off() -> None:
    """An error is one line that people can read."""
    error = refused(ARCHIVE + b'calling_ae = "%s"\n' % (b"A" * 60_000))
    assert len(str(error)) < 600
    assert len(str(error.given)) == 60_000


def test_a_table_needs_a_host() -> None:
    """The name of a table is not a host."""
    error = refused(b'[archive]\ncalled_ae = "A"\n')
    assert error.option == f"{PLACE}: [archive] host"


@pytest.mark.parametrize("content", [b"archive = 1\n", b'archive = "pacs"\n', b"[[archive]]\n"])
def test_a_name_that_is_no_table_is_refused(content: bytes) -> None:
    """It does not become a host name."""
    assert refused(content).option == f"{PLACE}: [archive]"


@pytest.mark.parametrize(
    "content",
    [
        b"[archive",
        b"[archive]\n[archive]\n",
        b"\xff\xfe",
        b"a = " + b"[" * 30_000,
        b"a = " + b"{b=" * 15_000,
        b"a = " + b"1" * 60_000,
        b"a = 2020-99-99",
        b"\0" * 1000,
    ],
    ids=lambda content: repr(content[:12]),
)
def test_hostile_text_costs_only_an_error(content: bytes) -> None:
    """Invalid, nested and long text is one line."""
    assert refused(content).option == PLACE


def test_a_large_file_is_refused() -> None:
    """The limit is inclusive."""
    padding = b"#" * (MAX_BYTES - len(ARCHIVE))
    assert server_options(ARCHIVE + padding, "archive", PLACE)
    assert refused(ARCHIVE + padding + b"#").option == PLACE


def test_a_key_of_many_parts_is_refused() -> None:
    """The parser takes a minute for the largest one."""
    assert server_options(b"a%s = 1\n" % (b".a" * MAX_DOTS) + ARCHIVE, "archive", PLACE)
    for dots in (MAX_DOTS + 1, 30_000):
        assert refused(b"a%s = 1\n" % (b".a" * dots) + ARCHIVE).option == PLACE


def test_the_servers_value_counts_where_the_job_has_the_default() -> None:
    """Flywheel writes defaults to the configuration of a job, so these cannot be told apart."""
    server = {"destination": "pacs.example.org", "port": 11112, "called_ae": "A", "verify": "find"}
    given = {"destination": "archive", "port": 104, "called_ae": "", "verify": "commit"}
    assert merged({**given, "debug": True}, server) == {
        "destination": "pacs.example.org",
        "port": 11112,
        "called_ae": "A",
        "verify": "commit",
        "debug": True,
    }


def test_a_job_without_defaults_gets_the_servers_values() -> None:
    """A rule has only some options."""
    assert merged({"destination": "a"}, {"destination": "b", "port": 1}) == {
        "destination": "b",
        "port": 1,
    }
    assert merged({"destination": "a"}, {}) == {"destination": "a"}
