"""Configuration of a gear run: its defaults, its required values, its file and its container."""

from pathlib import Path

import pytest

from fw_gear_dicom_send.config import SendConfig, parse
from fw_gear_dicom_send.dicom.types import PrivateTag
from fw_gear_dicom_send.errors import ConfigError
from fw_gear_dicom_send.models import Container
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.option_values import ConversionMode
from fw_gear_dicom_send.report_names import Report
from tests.support.engine_config import REQUIRED, config_json


def test_defaults_are_the_manifests() -> None:
    """Missing options have the defaults of the manifest."""
    config = parse(config_json())
    assert config.address == PeerAE("pacs.example.org", 104, "PACS", "flywheel")
    assert config.tag == PrivateTag(0x0021, "Flywheel", "DICOM send")
    assert config.container == Container("session", "5c0ffee")
    assert config.downloads == 0
    assert config.file_download_retry_time == 60
    assert config.send_retry_time == 300
    assert config.response_timeout == 300
    assert config.bandwidth_limit == 0
    assert config.conversion is ConversionMode.WHEN_NEEDED
    assert config.associations == 0
    assert config.report_files == (Report.FILES, Report.IMAGES, Report.PAGE, Report.SUMMARY)
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
            report_files="Page",
        ),
    )
    assert config.address == PeerAE("pacs.example.org", 11112, "PACS", "SENDER")
    assert config.tag == PrivateTag(0x0029, "ACME", "sent")
    assert config.downloads == 16
    assert config.file_download_retry_time == 0
    assert config.send_retry_time == 3600
    assert config.response_timeout == 60
    assert config.associations == 16
    assert config.report_files == (Report.PAGE,)


def test_options_of_the_command_have_no_effect_on_the_gear() -> None:
    """The gear always adds the private element, and its files are inputs."""
    config = parse(config_json(stamp=False, key="k.pem", tls_enabled=True))
    assert config.tag == PrivateTag(0x0021, "Flywheel", "DICOM send")
    assert config.key is None


def test_options_of_other_versions_are_ignored(caplog: pytest.LogCaptureFixture) -> None:
    """One line names them, without values, and the option that replaces those for reports."""
    former = {"report": False, "html_report": "a secret"}
    config = parse(config_json(**former, **{"a\nb": 1}, port=11112))
    assert (config.port, len(config.report_files)) == (11112, 4)
    assert caplog.messages == [
        "Ignored unknown options: a\\nb, html_report, report; use report_files instead of "
        "html_report, report"
    ]
    caplog.clear()
    parse(config_json(**{f"{number}" * 20: number for number in range(100)}))
    assert len(caplog.messages) == 1
    assert len(caplog.text) < 500
    assert "report_files" not in caplog.text


def test_required_options_are_required() -> None:
    """Server and AE title have no default."""
    for option in REQUIRED:
        incomplete = config_json()
        del incomplete["config"][option]
        with pytest.raises(ConfigError, match=f"^{option}: None was given"):
            parse(incomplete)


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


def test_the_gear_selects_files_only() -> None:
    """Its option modality is that of Flywheel's files; the command's is that of the images."""
    assert not parse(config_json(modality="MR")).images
    command = SendConfig(destination="h", called_ae="A", modality=("MR",))
    assert command.images.modality.match("mr")


def test_each_kind_of_server_has_its_services() -> None:
    """The names of the services that verify images depend on the destination."""
    server = parse(config_json()).server
    assert server.proofs == {"find": "C-FIND", "commit": "storage commitment"}
    web = parse(config_json(destination="https://host/web")).server
    assert (web.proofs, web.label) == (
        {"find": "QIDO-RS", "content": "WADO-RS"},
        "https://host/web",
    )
