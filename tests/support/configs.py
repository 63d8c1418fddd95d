"""Configurations of runs, without config.json."""

from typing import Any

from fw_gear_dicom_send.config import GearConfig, SendConfig
from fw_gear_dicom_send.network.types import PeerAE


def send_config(peer: PeerAE, **options: Any) -> SendConfig:
    """Return the configuration for sending to a peer, by default without the private element."""
    return SendConfig(**_options(peer, {"stamp": False, **options}))


def gear_config(peer: PeerAE, **values: Any) -> GearConfig:
    """Return the configuration of the gear for a peer."""
    return GearConfig(**_options(peer, {"input_file": None, "api_key": "", **values}))


def _options(peer: PeerAE, others: dict[str, Any]) -> dict[str, Any]:
    titles = {"called_ae": peer.called_ae, "calling_ae": peer.calling_ae}
    return {"destination": peer.host, "port": peer.port, **titles, **others}
