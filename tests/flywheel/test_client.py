"""Recipients and format of the API key, and the effect of environment variables."""

import ssl
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from fw_gear_dicom_send.batch.api import BatchAPI
from fw_gear_dicom_send.batch.models import StoredFile
from fw_gear_dicom_send.errors import ConfigError, SiteError
from fw_gear_dicom_send.flywheel.client import connect
from fw_gear_dicom_send.flywheel.download import Downloader
from fw_gear_dicom_send.flywheel.site import Site
from fw_gear_dicom_send.models import Container, FileEntry
from fw_gear_dicom_send.retry import ONCE, RetryPolicy
from tests.support.certificates import issue
from tests.support.flywheel_site import ENHANCED_KEY, OLD_KEY, FlywheelSite
from tests.support.site_clients import add_session, selected

NETRC = "default login someone password hunter2\n"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the machine's own network settings."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Create a ~/.netrc with a password for any host."""
    (tmp_path / "netrc").write_text(NETRC)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def ask_all(site: FlywheelSite, folder: Path) -> None:
    """Let a gear and a batch read from and write to a site."""
    session = add_session(site)
    acquisition = site.add_acquisition(session, "T1")
    site.add_file(acquisition, "a.dcm", b"image")
    site.add_file(session, "r.csv", b"report")
    selected(site, "session", session)
    client = connect(site.api_key)
    entry = FileEntry(Container("acquisition", acquisition), "a.dcm", "a.dcm", 5, key="a.dcm")
    outcome = Downloader(client, folder, RetryPolicy(max_time=0)).download(entry)
    assert isinstance(outcome, Path)
    Site(client).attach(Container("session", session), outcome)
    report = StoredFile(Container("session", session), "r.csv", datetime.now(UTC))
    assert BatchAPI(site.api_key).read(report) == b"report"


@pytest.mark.parametrize("key", ["", "justtext", ":secret"])
def test_key_without_a_host_is_refused(key: str) -> None:
    """A key without a site is an invalid input, and the error does not show it."""
    with pytest.raises(ConfigError) as caught:
        connect(key)
    assert caught.value.option == "api-key"
    shown = "".join(traceback.format_exception(caught.value))
    assert not key or key not in shown.replace("<host>:<key>", "")


@pytest.mark.parametrize(
    ("key", "scheme"),
    [
        (ENHANCED_KEY, "Bearer"),
        (ENHANCED_KEY[:-1], "scitran-user"),
        (f"{ENHANCED_KEY}0", "scitran-user"),
        (OLD_KEY, "scitran-user"),
    ],
)
def test_scheme_follows_from_the_length_of_the_key(tmp_path: Path, key: str, scheme: str) -> None:
    """Keys of 57 characters are sent as Bearer, as by Flywheel's clients, without the host."""
    with FlywheelSite(key=key) as site:
        ask_all(site, tmp_path)
    assert {request.headers["Authorization"] for request in site.requests} == {f"{scheme} {key}"}


@pytest.mark.parametrize("prefix", ["Bearer ", "bearer ", "scitran-user "])
def test_key_may_begin_with_a_scheme(site: FlywheelSite, prefix: str) -> None:
    """A scheme before the key is not part of it."""
    session = add_session(site)
    client = connect(f"{prefix}{site.api_key}")
    assert client.get(f"/api/sessions/{session}")["_id"] == session


@pytest.mark.usefixtures("netrc")
@pytest.mark.parametrize(
    ("signed_url", "host"), [(False, "127.0.0.1"), (True, "localhost"), (True, "127.0.0.1")]
)
def test_a_netrc_password_is_never_sent(
    site: FlywheelSite, tmp_path: Path, signed_url: bool, host: str
) -> None:
    """~/.netrc neither replaces the key nor is sent to a storage on any host."""
    site.signed_url = signed_url
    site.storage_url = site.url.replace("127.0.0.1", host)
    ask_all(site, tmp_path)
    for request in site.requests:
        is_api = request.path.startswith("/api/")
        assert request.headers.get("Authorization") == (
            site.credentials(site.api_key) if is_api else None
        )
    stored = [request for request in site.requests if request.path.startswith("/storage/")]
    assert [request.method for request in stored] == (["GET", "PUT", "GET"] if signed_url else [])


def test_each_request_lists_the_client_features(site: FlywheelSite, tmp_path: Path) -> None:
    """Each request also asks the site to omit large fields that the gear does not use."""
    ask_all(site, tmp_path)
    said = [request.headers["X-Accept-Feature"].split(",") for request in site.requests]
    assert all(one[:3] == ["Safe-Redirect", "Subject-Container", "Slim-Containers"] for one in said)
    assert {name for one in said for name in one[3:]} == {"Exclude-Files"}


def test_proxy_of_the_environment_is_used(
    site: FlywheelSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site behind a proxy is reached through it."""
    session = add_session(site)
    monkeypatch.setenv("HTTP_PROXY", site.url)
    monkeypatch.setenv("NO_PROXY", "other.invalid")
    client = connect(f"http://site.invalid:{ENHANCED_KEY}")
    assert client.get(f"/api/sessions/{session}")["_id"] == session


def test_host_without_proxy_is_reached_directly(
    site: FlywheelSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_PROXY is respected."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert selected(site, "session", add_session(site)) == []


@contextmanager
def closed_proxy() -> Iterator[tuple[str, list[str]]]:
    """Proxy that rejects every connection, and the hosts that were requested."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def test_proxy_for_https_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY is respected."""
    with closed_proxy() as (url, asked):
        monkeypatch.setenv("HTTPS_PROXY", url)
        monkeypatch.setenv("NO_PROXY", "other.invalid")
        with pytest.raises(SiteError, match="connection failed"):
            BatchAPI(f"site.invalid:{ENHANCED_KEY}", ONCE).get("1")
    assert set(asked) == {"site.invalid:443"}


@pytest.fixture
def secure_site(tmp_path: Path) -> Iterator[FlywheelSite]:
    """Site with HTTPS and a certificate of a private authority."""
    identity = issue(tmp_path / "tls")
    context = identity.configure(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    with FlywheelSite(tls=context) as site:
        yield site


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_of_the_environment_are_trusted(
    secure_site: FlywheelSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A site with a certificate of a private authority is used if that authority is trusted."""
    monkeypatch.setenv(name, str(tmp_path / "tls" / "ca.pem"))
    secure_site.signed_url = True
    ask_all(secure_site, tmp_path)
    assert "/storage/" in "".join(secure_site.requested("GET"))


def test_unknown_certificate_is_not_trusted(secure_site: FlywheelSite) -> None:
    """Without trust, nothing is sent."""
    with pytest.raises(SiteError, match="connection failed"):
        selected(secure_site, "session", add_session(secure_site))
    assert secure_site.requests == []
