"""The address of a DICOMweb server."""

import pytest

from fw_gear_dicom_send.server_url import ServerURL, without_secrets


@pytest.mark.parametrize(
    ("given", "normal", "place"),
    [
        ("https://pacs.example.org/dicom-web", None, ("pacs.example.org", 443, "/dicom-web")),
        ("http://192.0.2.7:8042/dicom-web", None, ("192.0.2.7", 8042, "/dicom-web")),
        (
            "HTTPS://PACS.example:443/Web/",
            "https://pacs.example/Web",
            ("pacs.example", 443, "/Web"),
        ),
        ("https://[2001:db8::7]:8443", None, ("2001:db8::7", 8443, "")),
        (" http://host:80/ ", "http://host", ("host", 80, "")),
    ],
)
def test_a_url_has_a_normal_form(
    given: str, normal: str | None, place: tuple[str, int, str]
) -> None:
    """Host and scheme lose their case, and a default port or a final slash goes away."""
    url = ServerURL.of(given)
    assert url
    assert str(url) == (normal or given)
    assert (url.host, url.port, url.path) == place


@pytest.mark.parametrize(
    "given",
    [
        "https://user:word@host/path",
        "https://host/path?key=1",
        "https://host/path#part",
        "https://host:port/",
        "https://host:0/",
        "https://host:70000/",
        "https://[host/",
        "https:///path",
        "ftp://host/",
        "https://host/a b",
        "https://höst/",
        "https://host/" + "a" * 2000,
        "host",
        "",
    ],
)
def test_another_text_is_no_address(given: str) -> None:
    """A user, a query, a fragment, or an invalid host or port is not accepted."""
    assert ServerURL.of(given) is None


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://me:word@host/path?key=1#2", "https://host/path"),
        ("https://me:w@rd@host", "https://host"),
        ("http://me:wo/rd@host/path", "http://host/path"),
        ("http://me:wo?rd@host/path", "http://..."),
        ("http:me:word@host", "http:host"),
        ("http:\\\\me:word@host", "http:\\\\host"),
        ("me:word@host/path", "me:host/path"),
        ("PACS@host:104", "PACS@host:104"),
        ("/path?key=1", "/path"),
        ("pacs", "pacs"),
    ],
)
def test_a_message_shows_no_secret_of_a_url(given: str, shown: str) -> None:
    """User, query and fragment are removed, of invalid URLs too."""
    assert without_secrets(given) == shown
