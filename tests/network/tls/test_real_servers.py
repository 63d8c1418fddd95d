"""DCMTK and Orthanc accept images over TLS."""

import pytest

from fw_gear_dicom_send.errors import ServerError
from fw_gear_dicom_send.network import preflight
from fw_gear_dicom_send.network.tls import PROFILES, make_context
from fw_gear_dicom_send.network.types import TLSConfig
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.certificates import Identity
from tests.support.instances import dataset_of, instance
from tests.support.pacs import Orthanc, StoreSCP
from tests.support.peers import peer_of
from tests.support.results import SENT, outcome
from tests.support.sample_files import shipped
from tests.support.tls_servers import orthanc_with_tls, scu_of, send
from tests.support.waiting import LONG_TIMEOUTS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("of_storescp", ["+px", "+py", "+pz"])
def test_storescp_accepts_each_profile(
    config: TLSConfig, server: Identity, client: Identity, profile: str, of_storescp: str
) -> None:
    """This includes DCMTK's own profiles, and a client certificate that it verifies."""
    options = ("+tls", str(server.key), str(server.cert), "+cf", str(client.ca), of_storescp)
    context = make_context(replace(config, profile=profile))
    path = shipped("CT_small.dcm")
    with StoreSCP(*options, "-rc", "+xa", "+B") as scp:
        scu = scu_of(scp, context)
        assert outcome(scu.send(instance(path))) == SENT
        scu.close()
        assert [dataset_of(one) for one in scp.received()] == [dataset_of(path)]


def test_storescp_rejects_an_unknown_certificate(config: TLSConfig, server: Identity) -> None:
    """The error names the certificate as the cause."""
    options = ("+tls", str(server.key), str(server.cert), "+cf", str(server.ca))
    with StoreSCP(*options, "-rc", "+xa") as scp, pytest.raises(ServerError) as caught:
        preflight.check(peer_of(scp), make_context(config))
    assert f"{wording.CLIENT_REJECTED} (unknown ca)" in str(caught.value)


@pytest.mark.parametrize("asks", [False, True])
def test_storescp_without_a_certificate_of_the_gear(
    config: TLSConfig, server: Identity, client: Identity, asks: bool
) -> None:
    """A server that requests no certificate needs none; one that requires it is reported."""
    options = ("+tls", str(server.key), str(server.cert), "+cf", str(client.ca))
    context = make_context(replace(config, certificate=None))
    with StoreSCP(*options, "-rc" if asks else "-ic", "+xa", "+B") as scp:
        if not asks:
            assert send(scu_of(scp, context)) == [SENT] * 3
            return
        with pytest.raises(ServerError, match=wording.CLIENT_REQUIRED):
            preflight.check(peer_of(scp), context)


@pytest.mark.parametrize("verifies", [False, True])
@pytest.mark.parametrize("profile", PROFILES)
def test_orthanc_accepts_each_profile(
    config: TLSConfig, server: Identity, client: Identity, profile: str, verifies: bool
) -> None:
    """This is true whether Orthanc requests the gear's certificate or not."""
    with orthanc_with_tls(server, client, verifies=verifies) as orthanc:
        context = make_context(replace(config, profile=profile))
        preflight.check(peer_of(orthanc), context)
        assert send(scu_of(orthanc, context)) == [SENT] * 3
        assert len(orthanc.ids()) == 3


def test_an_unencrypted_check_detects_tls_of_orthanc(server: Identity, client: Identity) -> None:
    """The response of a real server to an unencrypted association request is understood."""
    with orthanc_with_tls(server, client, verifies=False) as orthanc:
        with pytest.raises(ServerError) as caught:
            preflight.check(peer_of(orthanc))
        assert "TLS" in str(caught.value)


def test_a_check_over_tls_detects_an_unencrypted_orthanc(
    config: TLSConfig, orthanc: Orthanc
) -> None:
    """The response of a real server to a handshake is understood."""
    timeouts = replace(LONG_TIMEOUTS, connect=2)
    with pytest.raises(ServerError) as caught:
        preflight.check(peer_of(orthanc), make_context(config), timeouts=timeouts)
    assert "TLS" in str(caught.value)
    assert "2762" in str(caught.value)
