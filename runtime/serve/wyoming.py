"""A server of the Wyoming protocol, which Home Assistant speaks: speech to text for one model."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from importlib.metadata import version

from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info
from wyoming.ping import Ping, Pong

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.serve.addresses import Address
from ds2edge.runtime.serve.events import BoundedReader, Events, chunk_samples
from ds2edge.runtime.serve.limits import LINGER_SECONDS, Clients, Limits, TooManyClients
from ds2edge.runtime.serve.sessions import Session, Sessions
from ds2edge.runtime.utterances import Utterance

log = logging.getLogger("ds2edge")


class WyomingServer:
    """Serves all clients of this protocol.

    The server class of the package has no limits, and prints a traceback when a client sends
    nonsense. So the package only reads and writes the events here.
    """

    def __init__(self, sessions: Sessions, clients: Clients, limits: Limits, language: str) -> None:
        """`language`: code of the language that the model transcribes, such as en."""
        self._sessions = sessions
        self._clients = clients
        self._limits = limits
        self._language = language
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def listen(self, address: Address) -> AsyncIterator[Address]:
        """Accepts clients until the context ends. Yields the address with the port in use.

        InputError if the address cannot be used.
        """
        loop = asyncio.get_running_loop()
        with address.errors():
            server = await loop.create_server(self._protocol, address.host, address.port)
        try:
            yield address.bound(server.sockets)
        finally:
            server.close()
            await self._end_conversations()

    async def _end_conversations(self) -> None:
        """Cancels each conversation until it has ended.

        Once is not enough: before Python 3.12, `asyncio.wait_for` ignores a cancellation if what it
        waits for has just been done (python/cpython#86296).
        """
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=0.1)

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        return asyncio.StreamReaderProtocol(BoundedReader(), self._connected)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        events = Events(reader, writer, self._limits.max_idle)
        peer = Address.of_peer(writer.get_extra_info("peername"))
        try:
            with self._clients.admit():
                await self._converse(events, peer)
        except (InputError, TooManyClients) as error:
            log.warning("wyoming %s: %s", peer, error)
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                await events.write(Error(str(error)))
                writer.write_eof()
                await asyncio.wait_for(_discard(reader), LINGER_SECONDS)
        except asyncio.TimeoutError:
            log.warning("wyoming %s: silent for %g s: closed", peer, self._limits.max_idle)
        except (OSError, asyncio.IncompleteReadError):
            log.info("wyoming %s: left in the middle of a message", peer)
        finally:
            writer.close()
            # `close` waits for a client that does not read the last answer.
            asyncio.get_running_loop().call_later(LINGER_SECONDS, writer.transport.abort)

    async def _converse(self, events: Events, peer: str) -> None:
        conversation = _Conversation(self._sessions, self._limits, self._language, peer)
        while event := await events.read():
            if Describe.is_type(event.type):
                await events.write(self._info())
            elif Ping.is_type(event.type):
                await events.write(Pong.from_event(event))
            else:
                await conversation.handle(event, events)

    def _info(self) -> Info:
        model = self._sessions.model
        ours = Attribution("ds2edge", "")
        entry = AsrModel(
            name=model.name,
            attribution=ours,
            installed=True,
            description=f"DeepSpeech2, {model.graph.mode if model.graph else 'float32'}",
            version=version("deepspeech2-edge"),
            languages=[self._language],
        )
        program = AsrProgram(
            name="ds2edge",
            attribution=ours,
            installed=True,
            description="Speech recognition for small devices",
            version=version("deepspeech2-edge"),
            models=[entry],
            supports_transcript_streaming=True,
        )
        return Info(asr=[program])


class _Conversation:
    """The requests of one client, one after the other."""

    def __init__(self, sessions: Sessions, limits: Limits, language: str, peer: str) -> None:
        self._sessions = sessions
        self._limits = limits
        self._language = language
        self._peer = peer
        self._session: Session | None = None
        self._texts: list[str] = []
        self._cut = False  # whether the sound of this request is longer than it may be

    async def handle(self, event: Event, events: Events) -> None:
        """Answers an event of a request. Others are ignored, as the protocol asks for.

        InputError for a language that is not the server's.
        """
        if Transcribe.is_type(event.type):
            self._check_language(event)
        if AudioStart.is_type(event.type):
            self._session = None
        if AudioStart.is_type(event.type) or AudioChunk.is_type(event.type):
            session = await self._open_session(events)
        if AudioChunk.is_type(event.type):
            await self._accept(event, session, events)
        elif AudioStop.is_type(event.type):
            await self._finish(events)

    def _check_language(self, event: Event) -> None:
        """Compares languages without their regions: en-GB is en."""
        wanted = event.data.get("language")
        if wanted and _language(str(wanted)) != _language(self._language):
            raise InputError(f"language {wanted}: this server transcribes {self._language}")

    async def _open_session(self, events: Events) -> Session:
        if self._session is None:
            self._session = await self._sessions.begin()
            self._texts = []
            self._cut = False
            await events.write(TranscriptStart(language=self._language))
        return self._session

    async def _accept(self, event: Event, session: Session, events: Events) -> None:
        samples, rate = chunk_samples(event)
        if session.duration + len(samples) / rate <= self._limits.max_seconds:
            await self._write_texts(await session.accept(samples, rate), events)
        elif not self._cut:
            self._cut = True
            seconds = self._limits.max_seconds
            log.warning("wyoming %s: more than %g s: the rest is ignored", self._peer, seconds)

    async def _finish(self, events: Events) -> None:
        session = await self._open_session(events)
        self._session = None
        await self._write_texts(await session.finish(), events)
        text = " ".join(self._texts)
        await events.write(Transcript(text, language=self._language))
        await events.write(TranscriptStop())
        log.info("wyoming %s: %.1f s: %r", self._peer, session.duration, text)

    async def _write_texts(self, utterances: list[Utterance], events: Events) -> None:
        """Sends each utterance as a part of the transcript: it will not change any more."""
        for utterance in utterances:
            space = " " if self._texts else ""
            self._texts.append(utterance.text)
            await events.write(TranscriptChunk(space + utterance.text))


async def _discard(reader: asyncio.StreamReader) -> None:
    """Reads up to the end: an error would not arrive if a client still sends when we close."""
    while await reader.read(1 << 16):
        pass


def _language(code: str) -> str:
    return code.replace("_", "-").partition("-")[0].lower()
