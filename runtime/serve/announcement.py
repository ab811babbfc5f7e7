"""Announces the Wyoming server in the local network, so that Home Assistant finds it (zeroconf)."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import ipaddress
import logging
import socket
from collections.abc import AsyncIterator

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.serve.addresses import Address

log = logging.getLogger("ds2edge")

TYPE = "_wyoming._tcp.local."
EVERYWHERE = ("0.0.0.0", "::")
MULTICAST_DNS = ("224.0.0.251", 5353)
RETRY_SECONDS = 10.0
MAX_NAME_BYTES = 63  # of a label in DNS


def check_announcement(name: str, address: Address) -> None:
    """Raises InputError if this cannot be announced, or zeroconf is not installed."""
    if importlib.util.find_spec("zeroconf") is None:
        raise InputError("--zeroconf: install it in the checkout: pip install '.[zeroconf]'")
    if not 0 < len(name.encode()) <= MAX_NAME_BYTES or not name.isprintable():
        raise InputError(f"--zeroconf: a name has 1 to {MAX_NAME_BYTES} bytes that can be printed")
    if address.host == "localhost" or _is_loopback(address.host):
        raise InputError(
            f"--zeroconf: other machines cannot reach {address.host}: add --host 0.0.0.0"
        )


@contextlib.asynccontextmanager
async def announced(name: str, address: Address) -> AsyncIterator[None]:
    """Announces the address under `name` until the context ends.

    Without a network, as at the start of a machine, it tries again until there is one.
    """
    task = asyncio.create_task(_announce(name, address))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _announce(name: str, address: Address) -> None:
    from zeroconf import NonUniqueNameException
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

    host = await _network_address(address)
    server = f"{socket.gethostname()}-{address.port}.local."
    service = AsyncServiceInfo(
        TYPE, f"{name}.{TYPE}", address.port, server=server, parsed_addresses=[host]
    )
    zeroconf = AsyncZeroconf()
    try:
        await zeroconf.async_register_service(service)
        log.info("announced as %s at %s", name, Address(host, address.port))
        await asyncio.Event().wait()
    except NonUniqueNameException:
        log.warning("not announced: the network already has a server of the name %s", name)
    finally:
        await zeroconf.async_unregister_all_services()
        await zeroconf.async_close()


async def _network_address(address: Address) -> str:
    """The number of the address, or that of this machine if it listens everywhere."""
    waiting = False
    while True:
        try:
            if address.host not in EVERYWHERE:
                return socket.gethostbyname(address.host)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect(MULTICAST_DNS)  # chooses an interface; sends nothing
                return str(probe.getsockname()[0])
        except OSError as error:
            if not waiting:
                log.warning("not announced yet: no network (%s)", error.strerror or error)
            waiting = True
            await asyncio.sleep(RETRY_SECONDS)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return False
