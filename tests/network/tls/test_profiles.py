"""Each profile offers its TLS versions and cipher suites, and nothing older than TLS 1.2."""

import json
import ssl

import pytest

from fw_gear_dicom_send.network.tls import PROFILES, make_context
from fw_gear_dicom_send.network.types import TLSConfig
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.certificates import Identity
from tests.support.client_hello import client_hello
from tests.support.fault_scp import FaultSCP
from tests.support.preloaded import REPOSITORY
from tests.support.tls_servers import (
    NOTHING_IN_COMMON,
    scu_of,
    secured,
    send,
    server_context,
    tls_failure,
)

pytestmark = pytest.mark.slow

TLS_1_2, TLS_1_3 = 0x0303, 0x0304
SUITES_OF_TLS_1_3 = {0x1301, 0x1302, 0x1303}
ECDHE_AES_GCM = {0xC02B, 0xC02C, 0xC02F, 0xC030}
DHE_AES_GCM = {0x009E, 0x009F}
CHACHA20_AND_CCM = {0xCCA8, 0xCCA9, 0xC0AC, 0xC0AD}
RENEGOTIATION_SCSV = 0x00FF
SECP256R1, X25519 = 23, 29
STRONG_GROUPS = {23, 24, 25, 29, 30, *range(0x0100, 0x0105), 0x11EB, 0x11EC, 0x11ED}
EXTENDED = "Extended BCP 195"
NO_VERSION = f"{wording.NO_TLS_VERSION}: {wording.ENABLE_A_VERSION}"


def test_the_manifest_offers_each_profile() -> None:
    """The manifest's choices are the profiles of the code, and include the default."""
    option = json.loads((REPOSITORY / "manifest.json").read_text())["config"][
        "tls_security_profile"
    ]
    assert option["enum"] == list(PROFILES)
    assert option["default"] == "BCP 195"


@pytest.mark.parametrize(
    ("profile", "suites"),
    [
        ("BCP 195", ECDHE_AES_GCM | DHE_AES_GCM | SUITES_OF_TLS_1_3),
        ("BCP 195 RFC 8996, 9325", ECDHE_AES_GCM | SUITES_OF_TLS_1_3),
        ("Modified BCP 195 RFC 8996, 9325", ECDHE_AES_GCM | CHACHA20_AND_CCM | SUITES_OF_TLS_1_3),
        ("Non-downgrading BCP 195", ECDHE_AES_GCM | DHE_AES_GCM | SUITES_OF_TLS_1_3),
        (EXTENDED, ECDHE_AES_GCM | DHE_AES_GCM),
    ],
)
def test_the_offers_of_a_profile(config: TLSConfig, profile: str, suites: set[int]) -> None:
    """The first message has the profile's suites, strong groups, and TLS 1.2 or 1.3 only."""
    hello = client_hello(make_context(replace(config, profile=profile)).contexts[0])
    assert hello.ciphers - {RENEGOTIATION_SCSV} == suites
    assert hello.versions == ({TLS_1_2} if profile == EXTENDED else {TLS_1_2, TLS_1_3})
    assert {SECP256R1, X25519} <= hello.groups <= STRONG_GROUPS


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_versions_below_tls_1_2_are_not_used(
    config: TLSConfig, server: Identity, profile: str
) -> None:
    """A server with old versions only gets no association, and the error says why."""
    old = server_context(server, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
    message = tls_failure(replace(config, profile=profile), secured(old))
    assert message in (NO_VERSION, NOTHING_IN_COMMON)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_current_versions_are_accepted(
    config: TLSConfig, server: Identity, profile: str, version: ssl.TLSVersion
) -> None:
    """Each profile works with TLS 1.2, and with TLS 1.3 if it includes it."""
    context = make_context(replace(config, profile=profile))
    with FaultSCP(secured(server_context(server, version, version))) as scp:
        (result,) = send(scu_of(scp, context), 1)
    assert result.is_sent == (version == ssl.TLSVersion.TLSv1_2 or profile != EXTENDED)
