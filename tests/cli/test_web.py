"""`dicom-send FOLDER URL` sends by DICOMweb as by C-STORE."""

import csv
import json
from pathlib import Path

import pytest

from fw_gear_dicom_send.text import sentence
from tests.support.certificates import issue
from tests.support.html_reading import parsed
from tests.support.pacs import DicomWebOrthanc
from tests.support.send_command import rows_of, send
from tests.support.tls_servers import server_context
from tests.support.web_server import WebPeer, WebServer, answering, serve, stored


def images_in(folder: Path) -> list[dict[str, str]]:
    """Return the rows of the per-image report."""
    (path,) = folder.glob("*_instances.csv")
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.mark.parametrize("verify", ["none", "find", "content"])
def test_a_folder_is_sent_to_a_url(
    series: Path, tmp_path: Path, web_orthanc: DicomWebOrthanc, verify: str
) -> None:
    """All images arrive, are verified if asked, and the reports name the URL."""
    folder = tmp_path / "reports"
    options = ["--report-folder", folder, "--verify", verify, "--json"]
    result = send(series, web_orthanc.url, *options, cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    assert len(web_orthanc.ids()) == 4
    (row,) = rows_of(folder)
    assert (row["Images"], row["Images Sent"], row["Status"]) == ("4", "4", "Complete")
    images = images_in(folder)
    assert {one["HTTP"] for one in images} == {"200"}
    assert {(one["Host"], one["Port"], one["Called AE"]) for one in images} == {
        (web_orthanc.url, "", "")
    }
    assert {one["Verified"] for one in images} == {"" if verify == "none" else "yes"}
    summary = json.loads(result.stdout)
    assert summary["server"]["protocol"] == "DICOMweb"
    assert summary["server"]["url"] == web_orthanc.url


def test_existing_images_are_skipped(
    series: Path, tmp_path: Path, web_orthanc: DicomWebOrthanc
) -> None:
    """With skip_existing a second run sends nothing, and so does one that resumes."""
    folder = tmp_path / "reports"
    assert send(series, web_orthanc.url, "--report-folder", folder, cwd=tmp_path).exit_code == 0
    (report,) = folder.glob("*_instances.csv")
    for options in (["--skip-existing"], ["--resume", report]):
        given = [*options, "--no-reports", "--json"]
        result = send(series, web_orthanc.url, *given, cwd=tmp_path)
        printed = json.loads(result.stdout)
        assert (printed["sent"], printed["already_there"]) == (0, 4)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--port", "80"], "--port"),
        (["--called-ae", "PACS"], "--called-ae"),
        (["-aet", "ME"], "--calling-ae"),
        (["--verify", "commit"], "--verify"),
        (["--query-ae", "PACS"], "--query-ae"),
        (["--association-per-study"], "--association-per-study"),
        (["--max-images-per-association", "5"], "--max-images-per-association"),
        (["--tls-enabled"], "https"),
    ],
)
def test_an_option_of_c_store_is_refused_by_name(
    series: Path, tmp_path: Path, options: list[str], named: str
) -> None:
    """An option without a meaning for DICOMweb is an error before any connection."""
    result = send(series, "http://127.0.0.1:9/dicom-web", *options, cwd=tmp_path)
    assert result.exit_code == 2
    assert named in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--verify", "content"],
        ["--authorization", "FILE"],
        ["--on-conflict", "replace"],
        ["--images-per-request", "2"],
    ],
)
def test_an_option_of_dicomweb_is_refused_by_name(
    series: Path, tmp_path: Path, options: list[str]
) -> None:
    """An option without a meaning for C-STORE is an error before any connection."""
    file = tmp_path / "authorization.json"
    file.write_text('{"token": "hidden"}')
    given = [str(file) if one == "FILE" else one for one in options]
    result = send(series, "PACS@127.0.0.1:9", *given, cwd=tmp_path)
    assert result.exit_code == 2
    assert options[0] in result.stderr


def test_credentials_stay_out_of_every_output(series: Path, tmp_path: Path) -> None:
    """A token goes over TLS only, unless asked; neither a log nor a report shows it."""
    file = tmp_path / "authorization.json"
    file.write_text('{"token": "hidden-token-1234"}')
    file.chmod(0o600)
    folder = tmp_path / "reports"
    given = ["--authorization", file, "--report-folder", folder, "--debug"]
    page = b"<title>no hidden-token-1234</title>"
    with WebServer(answering((200, b""), (400, page))) as server:
        refused = send(series, server.url, *given, cwd=tmp_path)
        assert refused.exit_code == 2
        assert server.requests == []
        result = send(series, server.url, *given, "--identity-without-tls", cwd=tmp_path)
    assert result.exit_code == 1
    sent = {one.headers["authorization"] for one in server.requests}
    assert sent == {"Bearer hidden-token-1234"}
    written = "".join(path.read_text() for path in folder.iterdir())
    assert "hidden-token" not in result.stdout + result.stderr + refused.stderr + written


@pytest.mark.parametrize(
    ("url", "hidden"), [("http://me:word@127.0.0.1:9/", "word"), ("http://h/?key=abc", "abc")]
)
def test_a_url_with_a_secret_is_refused(
    series: Path, tmp_path: Path, url: str, hidden: str
) -> None:
    """A URL with a user or a query is an error that does not repeat them."""
    result = send(series, url, cwd=tmp_path)
    assert result.exit_code == 2
    assert hidden not in result.stderr


@pytest.mark.parametrize(
    ("status", "headers", "named"),
    [
        (404, {}, "path of the URL"),
        (405, {}, "path of the URL"),
        (401, {}, "credentials"),
        (403, {}, "credentials"),
        (301, {"Location": "https://elsewhere.example/studies"}, "https://elsewhere.example"),
        (500, {}, "HTTP 500"),
    ],
)
def test_the_check_ends_the_run(
    series: Path, tmp_path: Path, status: int, headers: dict[str, str], named: str
) -> None:
    """A server that stores nothing ends the run with 3 before any image, and says what to check."""

    def script(peer: WebPeer) -> None:
        while True:
            peer.read()
            peer.reply(status, b"", **headers)

    with WebServer(script) as server:
        result = send(series, server.url, cwd=tmp_path)
    assert result.exit_code == 3
    assert named in result.stderr
    assert server.stored == []


def test_the_url_of_store_requests_is_not_the_base(series: Path, tmp_path: Path) -> None:
    """Orthanc answers 200 below /studies, as if it were a study, but stores nothing."""
    with WebServer() as server:
        result = send(series, f"{server.url}/studies", cwd=tmp_path)
    assert result.exit_code == 3
    assert "path of the URL" in result.stderr
    assert server.stored == []


def test_a_server_that_queries_only_may_have_another_path(series: Path, tmp_path: Path) -> None:
    """Orthanc's own API answers the query too, and refuses the store request."""

    def script(peer: WebPeer) -> None:
        while True:
            peer.reply(200 if peer.read().method == "GET" else 405)

    with WebServer(script) as server:
        result = send(series, server.url, cwd=tmp_path)
    assert result.exit_code == 3
    assert "path of the URL" in result.stderr


def test_refused_credentials_during_the_run_end_it(series: Path, tmp_path: Path) -> None:
    """A token that expires in the middle of a run ends it with 3, and each image has the reason."""

    def script(peer: WebPeer) -> None:
        while True:
            request = peer.read()
            peer.reply(401 if request.uids else 204)

    with WebServer(script) as server:
        result = send(series, server.url, "--json", cwd=tmp_path)
    assert result.exit_code == 3
    assert json.loads(result.stdout)["failed"] == {"not-authorized": 4}


def test_a_server_without_queries_stores(series: Path, tmp_path: Path) -> None:
    """A server that only stores is accepted; for queries, the reason says that it has none."""

    def script(peer: WebPeer) -> None:
        while True:
            request = peer.read()
            if request.method == "GET":
                peer.reply(404)
            else:
                peer.reply(200, stored(request.uids))

    with WebServer(script) as server:
        assert send(series, server.url, cwd=tmp_path).exit_code == 0
        result = send(series, server.url, "--verify", "find", "--json", cwd=tmp_path)
    assert result.exit_code == 4
    causes = json.loads(result.stdout)["not_verified"]["causes"]
    assert [one["code"] for one in causes] == ["verification-not-offered"]


def test_a_named_server_may_be_a_url(series: Path, tmp_path: Path) -> None:
    """A table of servers.toml has a URL as its host, without an AE title."""
    config = tmp_path / "config" / "dicom-send"
    config.mkdir(parents=True)
    variables = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    with WebServer(serve) as server:
        (config / "servers.toml").write_text(f'[web]\nhost = "{server.url}"\n')
        result = send(series, "web", cwd=tmp_path, variables=variables)
        assert result.exit_code == 0, result.stderr
        (config / "servers.toml").write_text(f'[web]\nhost = "{server.url}"\nport = 80\n')
        result = send(series, "web", cwd=tmp_path, variables=variables)
    assert result.exit_code == 2
    assert "[web] port" in result.stderr


def test_requests_may_have_several_images(
    many_images: Path, tmp_path: Path, web_orthanc: DicomWebOrthanc
) -> None:
    """All images arrive in shared requests, and are verified."""
    options = ["--images-per-request", "8", "-j", "2", "--verify", "find", "--no-reports", "--json"]
    result = send(many_images, web_orthanc.url, *options, cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    assert (printed["sent"], printed["verified"]) == (100, 100)
    assert len(web_orthanc.ids()) == 100


def test_https_needs_no_other_option(series: Path, tmp_path: Path) -> None:
    """TLS is on for a URL with https: the certificate is checked, and the log names the session."""
    identity = issue(tmp_path / "server")
    with WebServer(serve, tls=server_context(identity)) as server:
        assert send(series, server.url, cwd=tmp_path).exit_code == 3
        result = send(series, server.url, "--add-cert-file", identity.ca, cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    assert "TLSv1.3 with" in result.stderr
    assert len(server.stored) == 4


def test_a_certificate_that_is_not_verified_is_a_warning(series: Path, tmp_path: Path) -> None:
    """It is in the log, in the last line, on the page and in the summary."""
    identity = issue(tmp_path / "server")
    options = ("--json", "--no-tls-require-peer-cert")
    with WebServer(serve, tls=server_context(identity)) as server:
        result = send(series, server.url, *options, cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    words = "the server's certificate was not verified"
    assert f"WARNING {sentence(words)}" in result.stderr
    assert f"; {words}; see " in result.stderr.splitlines()[-1]
    assert json.loads(result.stdout)["warnings"] == [words]
    page = parsed(next(tmp_path.glob("*.html")).read_text())
    assert page.texts("p")[1] == f"Warning: {sentence(words)}"


def test_echo_tests_a_url(tmp_path: Path, web_orthanc: DicomWebOrthanc) -> None:
    """Echo says what the server offers, and stores nothing."""
    result = send("echo", web_orthanc.url, cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    assert "STOW-RS: HTTP 200 OK without an image" in result.stdout
    assert "verify find, skip_existing: possible" in result.stdout
    printed = json.loads(send("echo", web_orthanc.url, "--json", cwd=tmp_path).stdout)
    assert (printed["query_status"], printed["store_status"]) == (200, 200)
    assert printed["can"] == {"verify_find": True, "skip_existing": True}
    assert web_orthanc.ids() == {}


def test_a_named_url_is_tested(tmp_path: Path) -> None:
    """`servers --test` tests a URL by a store request without an image."""
    config = tmp_path / "config" / "dicom-send"
    config.mkdir(parents=True)
    with WebServer(serve) as server:
        (config / "servers.toml").write_text(f'[web]\nhost = "{server.url}"\n')
        variables = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
        listed = send("servers", cwd=tmp_path, variables=variables)
        result = send("servers", "--test", cwd=tmp_path, variables=variables)
    assert server.url in listed.stdout
    assert result.exit_code == 0, result.stdout
    assert "STOW-RS: HTTP 200" in result.stdout
    assert server.stored == []
