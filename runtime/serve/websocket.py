"""A server of vosk-server's protocol: sound and JSON over a websocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.serve.addresses import Address
from ds2edge.runtime.serve.limits import MESSAGE_BYTES, Clients, Limits, TooManyClients
from ds2edge.runtime.serve.sessions import Sessions
from ds2edge.runtime.serve.vosk import VoskConversation

log = logging.getLogger("ds2edge")

REASON_BYTES = 120  # a close frame holds no more
# The package logs a traceback when what connects is no websocket.
SILENT = logging.getLogger("ds2edge.websockets")
SILENT.disabled = True


class WebsocketServer:
    """Serves all clients of this protocol."""

    def __init__(self, sessions: Sessions, clients: Clients, limits: Limits) -> None:
        self._sessions = sessions
        self._clients = clients
        self._limits = limits

    @contextlib.asynccontextmanager
    async def listen(self, address: Address) -> AsyncIterator[Address]:
        """Accepts clients until the context ends. Yields the address with the port in use.

        InputError if the address cannot be used.
        """
        with address.errors():
            server = await serve(
                self._serve,
                address.host,
                address.port,
                max_size=MESSAGE_BYTES,
                max_queue=4,
                compression=None,  # sound does not compress, and small boards have better to do
                close_timeout=2,
                logger=SILENT,
            )
        async with server:
            yield address.bound(server.sockets)

    async def _serve(self, connection: ServerConnection) -> None:
        peer = Address.of_peer(connection.remote_address)
        idle = self._limits.max_idle
        try:
            with self._clients.admit():
                await self._converse(connection, VoskConversation(self._sessions, peer))
        except TooManyClients as error:
            await _refuse(connection, peer, CloseCode.TRY_AGAIN_LATER, error)
        except InputError as error:
            await _refuse(connection, peer, CloseCode.POLICY_VIOLATION, error)
        except asyncio.TimeoutError:
            await _refuse(connection, peer, CloseCode.POLICY_VIOLATION, f"silent for {idle:g} s")
        except ConnectionClosed as error:
            if error.rcvd is None:
                log.info("websocket %s: left in the middle of a message", peer)

    async def _converse(self, connection: ServerConnection, client: VoskConversation) -> None:
        while not client.ended:
            message = await asyncio.wait_for(connection.recv(), self._limits.max_idle)
            reply = await client.handle(message)
            if reply is not None:
                text = json.dumps(reply, ensure_ascii=False)
                await asyncio.wait_for(connection.send(text), self._limits.max_idle)


async def _refuse(connection: ServerConnection, peer: str, code: CloseCode, reason: object) -> None:
    log.warning("websocket %s: %s", peer, reason)
    # Cut at a whole letter.
    text = str(reason).encode()[:REASON_BYTES].decode(errors="ignore")
    await connection.close(code, text)
