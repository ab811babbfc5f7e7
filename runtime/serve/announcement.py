"""Announces the Wyoming server in the local network, so that Home Assistant finds it (zeroconf)."""

from __future__ import annotations

import importlib.util
import ipaddress

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.serve.addresses import Address

EVERYWHERE = ("0.0.0.0", "::")


def check_announcement(address: Address) -> None:
    """Raises InputError if the address cannot be announced, or zeroconf is not installed."""
    if importlib.util.find_spec("zeroconf") is None:
        raise InputError("--zeroconf needs zeroconf: pip install 'wyoming[zeroconf]'")
    if address.host == "localhost" or _is_loopback(address.host):
        raise InputError(
            f"--zeroconf: other machines cannot reach {address.host}: add --host 0.0.0.0"
        )


async def announce(name: str, address: Address) -> None:
    """Announces the address under `name` for as long as the process runs."""
    from wyoming.zeroconf import HomeAssistantZeroconf

    host = None if address.host in EVERYWHERE else address.host
    await HomeAssistantZeroconf(address.port, name, host).register_server()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return False
