"""`ds2edge serve` under load: many clients, those that vanish, and those that do not read."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time

import numpy as np
import pytest
from support import RATE, SPOKEN, int16

pytest.importorskip("wyoming", reason="wyoming is not installed (the extra `serve`)")
pytest.importorskip("websockets", reason="websockets is not installed (the extra `serve`)")

from serving import Server, blocks, read_until, send_sound, serving, vosk_replies, wyoming_text
from websockets.asyncio.client import connect
from wyoming.audio import AudioChunk, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.ping import Ping

from ds2edge.runtime.audio.reader import read_audio

TEXTS = list(SPOKEN)
CLIPS = {text: int16(read_audio(path, RATE)) for text, path in SPOKEN.items()}
BLOCK_SECONDS = 0.1


def blocks_in_real_time(sound: np.ndarray, speed: float):
    """Messages of sound, with the time at which each has been spoken, from now on."""
    begun = time.monotonic()
    for number, message in enumerate(blocks(sound, BLOCK_SECONDS), 1):
        yield message, begun + number * BLOCK_SECONDS / speed


async def wait_until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))


class Speaker:
    """A client that says sentences, one after the other, and counts the answers."""

    def __init__(self, server: Server, seed: int, speed: float = 1.0) -> None:
        """`speed`: how much faster than real time."""
        self.delays: list[float] = []  # seconds from the end of the sound to its text
        self.wrong: list[tuple[str, str]] = []  # what was said, and the answer
        self._server = server
        self._speed = speed
        self._rng = random.Random(seed)
        self._say = self._say_by_wyoming if seed % 2 else self._say_by_websocket

    async def talk(self, seconds: float) -> None:
        """Says sentences with pauses until the time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(self._rng.uniform(0, 2) / self._speed)
            text = self._rng.choice(TEXTS)
            answer = await self._say(CLIPS[text])
            if answer != text:
                self.wrong.append((text, answer))

    async def _say_by_wyoming(self, sound: np.ndarray) -> str:
        async with AsyncTcpClient("127.0.0.1", self._server.port) as client:
            await send_sound(client, [])
            for message, moment in blocks_in_real_time(sound, self._speed):
                await wait_until(moment)
                await client.write_event(AudioChunk(RATE, 2, 1, message).event())
            await client.write_event(AudioStop().event())
            ended = time.monotonic()
            answer = (await read_until(client, "transcript"))[-1]
            self.delays.append(time.monotonic() - ended)
            return answer.data["text"]

    async def _say_by_websocket(self, sound: np.ndarray) -> str:
        async with connect(f"ws://127.0.0.1:{self._server.websocket_port}") as websocket:
            await websocket.send(json.dumps({"config": {"sample_rate": RATE}}))
            texts = []
            for message, moment in blocks_in_real_time(sound, self._speed):
                await wait_until(moment)
                await websocket.send(message)
                texts.append(json.loads(await websocket.recv()).get("text", ""))
            await websocket.send('{"eof" : 1}')
            ended = time.monotonic()
            texts.append(json.loads(await websocket.recv())["text"])
            self.delays.append(time.monotonic() - ended)
            return " ".join(filter(None, texts))


async def vanish(server: Server, seed: int, until: float) -> None:
    """Leaves in the middle of a sentence, without a word, again and again."""
    rng = random.Random(seed)
    while time.monotonic() < until:
        sound = CLIPS[rng.choice(TEXTS)]
        messages = list(blocks(sound))[: rng.randrange(1, 12)]
        if seed % 2:
            client = AsyncTcpClient("127.0.0.1", server.port)
            await client.connect()
            await send_sound(client, messages)
            client._writer.transport.abort()
        else:
            websocket = await connect(f"ws://127.0.0.1:{server.websocket_port}")
            await websocket.send(json.dumps({"config": {"sample_rate": RATE}}))
            for message in messages:
                await websocket.send(message)
            websocket.transport.abort()
        await asyncio.sleep(rng.uniform(0.05, 0.3))


def assert_clean_stop(server: Server) -> None:
    code, log = server.stop()
    assert code == 0
    assert "stopping" in log
    assert not any("Traceback" in line or line.startswith(" ") for line in log), log


@pytest.mark.slow
def test_twenty_clients_half_of_which_vanish_in_the_middle_of_a_sentence():
    async def together(server, seconds):
        speakers = [Speaker(server, seed, speed=4) for seed in range(10)]
        until = time.monotonic() + seconds
        await asyncio.gather(
            *(speaker.talk(seconds) for speaker in speakers),
            *(vanish(server, seed, until) for seed in range(10)),
        )
        return speakers

    # A place is free again only when the server has noticed that its client left.
    with serving("--max-clients", 40) as server:
        asyncio.run(together(server, 2))
        before = server.memory
        speakers = asyncio.run(together(server, 8))
        assert [speaker.wrong for speaker in speakers] == [[] for _ in speakers]
        assert all(len(speaker.delays) >= 2 for speaker in speakers)
        assert server.memory - before < 20e6
        assert_clean_stop(server)


@pytest.mark.slow
def test_a_client_that_does_not_read_costs_no_memory_and_is_disconnected():
    async def send_without_reading(server):
        """Asks for answers of 32 kB until the server has cut the connection. Returns how many."""
        client = AsyncTcpClient("127.0.0.1", server.port)
        await client.connect()
        for sent in itertools.count():
            try:
                await client.write_event(Ping("x" * 32_000).event())
            except OSError:
                return sent

    async def both(server):
        speaker = Speaker(server, 1)
        until = time.monotonic() + 60
        slow = asyncio.create_task(send_without_reading(server))
        while not slow.done():
            assert time.monotonic() < until, "a client that does not read stays connected"
            await speaker.talk(1)
        return speaker, await slow

    with serving("--max-idle", 2) as server:
        asyncio.run(Speaker(server, 1).talk(1))
        before = server.memory
        speaker, sent = asyncio.run(both(server))
        assert sent > 10
        assert speaker.wrong == []
        assert server.memory - before < 20e6
        assert_clean_stop(server)


@pytest.mark.slow
def test_the_limits_hold_for_all_protocols_together():
    async def crowd(server):
        first = AsyncTcpClient("127.0.0.1", server.port)
        await first.connect()
        await send_sound(first, [])
        await first.read_event()
        async with connect(f"ws://127.0.0.1:{server.websocket_port}") as second:
            await second.send(CLIPS[TEXTS[0]][:800].tobytes())
            await second.recv()
            async with AsyncTcpClient("127.0.0.1", server.port) as third:
                refused = await third.read_event()
        await first.disconnect()
        return refused.data["text"]

    with serving("--max-clients", 2) as server:
        assert asyncio.run(crowd(server)) == "there are 2 clients already: try again later"
        assert asyncio.run(wyoming_text(server.port, CLIPS[TEXTS[0]])) == TEXTS[0]
        replies = asyncio.run(vosk_replies(server.websocket_port, CLIPS[TEXTS[1]]))
        assert replies[-1]["text"] == TEXTS[1]
        assert_clean_stop(server)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("clients", "seconds"), [(50, 600)])
def test_fifty_clients_for_ten_minutes(clients, seconds, capsys):
    async def together(server):
        speakers = [Speaker(server, seed) for seed in range(clients)]
        await asyncio.gather(*(speaker.talk(seconds) for speaker in speakers))
        return speakers

    # A place is free again only when the server has noticed that its client left.
    with serving("--max-clients", 2 * clients) as server:
        asyncio.run(Speaker(server, 1).talk(1))
        before = server.memory
        cpu = server.cpu_seconds
        speakers = asyncio.run(together(server))
        cpu = server.cpu_seconds - cpu
        delays = np.array([delay for speaker in speakers for delay in speaker.delays])
        wrong = [pair for speaker in speakers for pair in speaker.wrong]
        middle, late, last = np.quantile(delays, [0.5, 0.99, 1])
        with capsys.disabled():
            print(f"\n{len(delays)} sentences, {len(wrong)} of them wrong")
            print(f"answer after {middle:.3f} s (median), {late:.3f} (99 %), {last:.3f} (last)")
            used = server.memory - before
            print(f"CPU {cpu / seconds:.2f}, {used / 1e6:.0f} MB of memory more than before")
        assert wrong == []
        assert len(delays) > clients * seconds / 10
        assert used < 30e6
        assert_clean_stop(server)
