"""Serves the clients of all protocols until a signal stops it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from dataclasses import dataclass

from ds2edge.runtime.serve.addresses import Address
from ds2edge.runtime.serve.announcement import announced
from ds2edge.runtime.serve.limits import Clients, Limits
from ds2edge.runtime.serve.phrases_file import PhrasesFile
from ds2edge.runtime.serve.sessions import Sessions
from ds2edge.runtime.serve.websocket import WebsocketServer
from ds2edge.runtime.serve.wyoming import WyomingServer

log = logging.getLogger("ds2edge")


@dataclass(frozen=True)
class Service:
    """What is served where."""

    wyoming: Address
    websocket: Address | None  # None: no websocket
    language: str
    announced_as: str | None  # name in the local network
    phrases: PhrasesFile | None  # None: free text


async def serve(sessions: Sessions, service: Service, limits: Limits) -> None:
    """Serves until SIGINT or SIGTERM. InputError if an address cannot be used."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clients = Clients(limits.max_clients)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(sessions.close)
        if service.phrases is not None:
            watching = asyncio.create_task(service.phrases.watch(sessions))
            stack.callback(watching.cancel)
        wyoming = WyomingServer(sessions, clients, limits, service.language)
        address = await stack.enter_async_context(wyoming.listen(service.wyoming))
        log.info("Wyoming: tcp://%s", address)
        if service.websocket is not None:
            websocket = WebsocketServer(sessions, clients, limits)
            websocket_address = await stack.enter_async_context(websocket.listen(service.websocket))
            log.info("websocket: ws://%s", websocket_address)
        if service.announced_as is not None:
            await stack.enter_async_context(announced(service.announced_as, address))
        await stop.wait()
        log.info("stopping")
