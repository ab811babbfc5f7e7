"""`ds2edge serve` with the real `wyoming` client, and websocket clients in the style of Vosk's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import socket

import pytest
from support import RATE, SPOKEN, int16, speech

pytest.importorskip("wyoming", reason="wyoming is not installed (the extra `serve`)")
pytest.importorskip("websockets", reason="websockets is not installed (the extra `serve`)")

from serving import (
    blocks,
    read_until,
    send_sound,
    serving,
    text_of,
    vosk_replies,
    wyoming_text,
)
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from wyoming.audio import AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info
from wyoming.ping import Ping

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.serve.addresses import Address
from ds2edge.runtime.serve.limits import Clients, Limits
from ds2edge.runtime.serve.wyoming import WyomingServer

TEXTS = list(SPOKEN)
CLIPS = {text: int16(read_audio(path, RATE)) for text, path in SPOKEN.items()}


@pytest.fixture(scope="module")
def server():
    with serving("--max-clients", 8) as running:
        yield running


def transcribed(server) -> list[str]:
    """What the server makes of all clips, by Wyoming, at the same time."""

    async def all_clips():
        return await asyncio.gather(*(wyoming_text(server.port, c) for c in CLIPS.values()))

    return asyncio.run(all_clips())


def test_wyoming_gives_the_text_of_transcribe(server, ds2edge):
    for text, path in SPOKEN.items():
        done = ds2edge("transcribe", "-m", "tests/golden/mini.tflite", path)
        assert done.stdout.strip() == text == asyncio.run(wyoming_text(server.port, CLIPS[text]))


def test_vosk_clients_get_one_reply_to_each_message_and_the_same_text(server):
    replies = asyncio.run(vosk_replies(server.websocket_port, CLIPS[TEXTS[0]]))
    assert len(replies) == len(list(blocks(CLIPS[TEXTS[0]], 0.2))) + 1
    assert all(list(reply) == ["partial"] for reply in replies[:-1])
    assert replies[-1]["text"] == TEXTS[0]
    words = replies[-1]["result"]
    assert [word["word"] for word in words] == TEXTS[0].split()
    assert all(set(word) == {"conf", "start", "end", "word"} for word in words)


def test_pauses_end_the_results_of_a_websocket(server):
    replies = asyncio.run(vosk_replies(server.websocket_port, int16(speech()), words=False))
    assert [r["text"] for r in replies if r.get("text")] == TEXTS
    assert not any("result" in reply for reply in replies)


def test_a_config_in_the_middle_changes_the_phrases_and_the_times_go_on(server):
    async def talk():
        async with connect(f"ws://127.0.0.1:{server.websocket_port}") as websocket:
            replies = []
            for text, phrases in ((TEXTS[0], []), (TEXTS[1], [TEXTS[0]]), (TEXTS[1], [TEXTS[1]])):
                config = {"sample_rate": RATE, "phrase_list": [*phrases, "[unk]"]}
                await websocket.send(json.dumps({"config": config}))
                await websocket.send(CLIPS[text].tobytes())
                replies.append(json.loads(await websocket.recv()))
            await websocket.send('{"eof": 1}')
            return [*replies, json.loads(await websocket.recv())]

    replies = asyncio.run(talk())
    finals = [reply for reply in replies if "text" in reply]
    # Phrases are compared with the sound, so that other speech gives no text.
    assert text_of(finals) == f"{TEXTS[0]} {TEXTS[1]}"
    assert finals[-1]["result"][0]["start"] > (len(CLIPS[TEXTS[0]]) + len(CLIPS[TEXTS[1]])) / RATE


def test_wyoming_describes_the_model(server):
    async def describe():
        async with AsyncTcpClient("127.0.0.1", server.port) as client:
            await client.write_event(Describe().event())
            info = Info.from_event((await read_until(client, "info"))[-1])
            await client.write_event(Ping("hello").event())
            return info, await client.read_event()

    info, pong = asyncio.run(describe())
    (program,) = info.asr
    (model,) = program.models
    assert (model.name, model.languages, model.installed) == ("mini", ["en"], True)
    assert program.version
    assert program.supports_transcript_streaming
    assert (pong.type, pong.data["text"]) == ("pong", "hello")


def test_wyoming_streams_each_utterance_before_the_sound_ends(server):
    async def stream():
        async with AsyncTcpClient("127.0.0.1", server.port) as client:
            await send_sound(client, list(blocks(int16(speech()))))
            early = [await client.read_event() for _ in range(4)]
            await client.write_event(AudioStop().event())
            return early, await read_until(client, "transcript-stop")

    early, late = asyncio.run(stream())
    assert [event.type for event in early] == ["transcript-start", *3 * ["transcript-chunk"]]
    assert "".join(event.data["text"] for event in early[1:]) == " ".join(TEXTS)
    assert [event.type for event in late] == ["transcript", "transcript-stop"]
    assert late[0].data["text"] == " ".join(TEXTS)


def test_eight_clients_at_once_half_of_which_vanish():
    async def vanish(port, websocket):
        """Leaves without a word in the middle of a sentence."""
        client = AsyncTcpClient("127.0.0.1", port)
        await client.connect()
        await send_sound(client, list(blocks(CLIPS[TEXTS[0]]))[:8])
        client._writer.transport.abort()
        other = await connect(f"ws://127.0.0.1:{websocket}")
        await other.send(json.dumps({"config": {"sample_rate": RATE}}))
        await other.send(CLIPS[TEXTS[0]][:9000].tobytes())
        other.transport.abort()

    async def stay():
        clip = CLIPS[TEXTS[1]]
        text = await wyoming_text(server.port, clip)
        return text, text_of(await vosk_replies(server.websocket_port, clip))

    async def together():
        leaving = [vanish(server.port, server.websocket_port) for _ in range(4)]
        stayed = await asyncio.gather(*(stay() for _ in range(4)), *leaving)
        return stayed[:4]

    # A place is free again only when the server has noticed that its client left.
    with serving("--max-clients", 24) as server:
        assert asyncio.run(together()) == 4 * [(TEXTS[1], TEXTS[1])]
        assert transcribed(server) == TEXTS


def test_too_many_clients_are_refused_until_one_leaves(server):
    async def crowd():
        clients = [AsyncTcpClient("127.0.0.1", server.port) for _ in range(8)]
        for client in clients:
            await client.connect()
            await client.write_event(Ping().event())
            await client.read_event()
        async with AsyncTcpClient("127.0.0.1", server.port) as refused:
            error = await refused.read_event()
            assert await refused.read_event() is None
        with pytest.raises(ConnectionClosed) as closed:
            async with connect(f"ws://127.0.0.1:{server.websocket_port}") as websocket:
                await websocket.recv()
        for client in clients:
            await client.disconnect()
        return error, closed.value.rcvd

    error, frame = asyncio.run(crowd())
    assert error.data["text"] == frame.reason == "there are 8 clients already: try again later"
    assert frame.code == 1013
    assert transcribed(server) == TEXTS


NONSENSE = [
    b"\x00\xff\xfe garbage\n",
    b"[]\n",
    b'"text"\n',
    b"{}\n",
    b'{"type": "audio-chunk"}\n',
    b'{"type": "audio-chunk", "data": 7}\n',
    b'{"type": "audio-start", "data_length": "x"}\n',
    b'{"type": "audio-chunk", "payload_length": 99999999999}\n',
    b'{"type": "audio-chunk", "data": {"rate": 1e99, "width": 2, "channels": 1}}\n',
    b'{"type": "audio-chunk", "data": {"rate": 16000, "width": [], "channels": 1}}\n',
    b'{"type": "audio-chunk", "data": {"rate": 16000, "width": 2, "channels": 0}}\n',
    b'{"type": "audio-chunk", "data": {"rate": 16000, "width": 2, "channels": 99}}\n',
    b"{" * 100_000 + b"\n",
    b"[" * 60_000 + b"\n",
    b'{"type": "audio-chunk", "data": {"rate": 16000, "width": 2, "channels": 2}, '
    b'"payload_length": 6}\nabcdef',
    b"GET / HTTP/1.1\r\n\r\n",
    *(random.Random(seed).randbytes(3000) for seed in range(5)),
]
WEBSOCKET_NONSENSE = [
    "hello",
    "[1]",
    "{}",
    "[" * 60_000,
    '{"config": 3}',
    '{"config": {"sample_rate": "fast"}}',
    '{"config": {"sample_rate": NaN}}',
    '{"config": {"phrase_list": "light"}}',
    '{"config": {"phrase_list": ["\u4e2d"]}}',
    json.dumps({"config": {"phrase_list": ["light"] * 5000}}),
    bytes(2_000_000),
]


def test_nonsense_is_one_line_in_the_log_and_hurts_nobody():
    async def bother(port):
        for message in WEBSOCKET_NONSENSE:
            async with connect(f"ws://127.0.0.1:{port}") as websocket:
                with contextlib.suppress(ConnectionClosed):  # while it sends
                    await websocket.send(message)
                with pytest.raises(ConnectionClosed):
                    await websocket.recv()

    with serving() as server:
        for port in (server.port, server.websocket_port):
            for data in NONSENSE:
                with socket.create_connection(("127.0.0.1", port)) as client:
                    client.sendall(data)
        asyncio.run(bother(server.websocket_port))
        assert transcribed(server) == TEXTS
        code, log = server.stop()
    assert code == 0
    assert not any("Traceback" in line or line.startswith(" ") for line in log), log
    assert len(log) <= len(NONSENSE) + len(WEBSOCKET_NONSENSE) + len(TEXTS) + 1


def test_sound_beyond_the_limit_is_ignored_and_silent_clients_are_disconnected():
    async def wait(port):
        async with AsyncTcpClient("127.0.0.1", port) as client:
            assert await client.read_event() is None

    with serving("--max-seconds", 3, "--max-idle", 1) as server:
        assert asyncio.run(wyoming_text(server.port, int16(speech()))) == TEXTS[0]
        asyncio.run(wait(server.port))
        log = server.stop()[1]
    assert "more than 3 s: the rest is ignored" in " ".join(log)
    assert "silent for 1 s: closed" in " ".join(log)


def test_phrases_of_the_command_line_reject_other_speech(tmp_path):
    phrases = tmp_path / "phrases.txt"
    phrases.write_text(f"{TEXTS[0]}\n{TEXTS[2]}\n")
    with serving("--phrases", phrases) as server:
        assert transcribed(server) == [TEXTS[0], "", TEXTS[2]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_with_clients_connected(number):
    async def stop_while_talking(server):
        async with (
            AsyncTcpClient("127.0.0.1", server.port) as client,
            connect(f"ws://127.0.0.1:{server.websocket_port}") as websocket,
        ):
            await send_sound(client, list(blocks(CLIPS[TEXTS[0]])))
            await websocket.send(CLIPS[TEXTS[0]].tobytes())
            return await asyncio.to_thread(server.stop, number)

    with serving() as server:
        code, log = asyncio.run(stop_while_talking(server))
    assert (code, log[-1]) == (0, "stopping")


@pytest.mark.parametrize("ticks", range(5))
def test_it_stops_while_a_message_arrives(monkeypatch, ticks):
    """`ticks`: turns of the event loop from the message to the stop."""

    async def stop_and_count():
        message = asyncio.Event()

        async def converse(*_):
            while True:
                await asyncio.wait_for(message.wait(), 60)
                message.clear()

        wyoming = WyomingServer(None, Clients(1), Limits(), "en")
        monkeypatch.setattr(wyoming, "_converse", converse)
        async with wyoming.listen(Address("127.0.0.1", 0)) as address:
            _, writer = await asyncio.open_connection(address.host, address.port)
            while not wyoming._tasks:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.01)
            message.set()
            for _ in range(ticks):
                await asyncio.sleep(0)
        writer.close()
        return len(wyoming._tasks)

    assert asyncio.run(asyncio.wait_for(stop_and_count(), 5)) == 0


def test_a_port_in_use_is_one_line(ds2edge, server):
    done = ds2edge("serve", "-m", "tests/golden/mini.tflite", "--port", server.port)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: 127.0.0.1:{server.port}: cannot listen here")
    assert len(done.stderr.splitlines()) == 1


def test_zeroconf_needs_an_address_that_others_can_reach(ds2edge):
    done = ds2edge("serve", "-m", "tests/golden/mini.tflite", "--zeroconf", "kitchen")
    assert done.returncode == 2
    assert "wyoming[zeroconf]" in done.stderr or "add --host 0.0.0.0" in done.stderr
