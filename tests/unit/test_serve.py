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
from wyoming.audio import AudioChunk, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info
from wyoming.ping import Ping

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.serve.addresses import Address
from ds2edge.runtime.serve.announcement import TYPE
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


def test_a_reset_gives_the_result_and_the_recording_goes_on(server):
    async def talk():
        async with connect(f"ws://127.0.0.1:{server.websocket_port}") as websocket:
            await websocket.send(json.dumps({"config": {"sample_rate": RATE}}))
            finals = []
            for text, end in ((TEXTS[0], '{"reset" : 1}'), (TEXTS[1], '{"eof" : 1}')):
                await websocket.send(CLIPS[text].tobytes())
                assert "partial" in json.loads(await websocket.recv())
                await websocket.send(end)
                finals.append(json.loads(await websocket.recv()))
            return finals

    first, second = asyncio.run(talk())
    assert (first["text"], second["text"]) == (TEXTS[0], TEXTS[1])
    assert second["result"][0]["start"] > len(CLIPS[TEXTS[0]]) / RATE


def test_phrases_of_a_list_may_follow_each_other_without_a_pause(server):
    verb, thing = TEXTS[0][:9], TEXTS[0][10:]  # turn down, the radio
    port = server.websocket_port
    phrases = ["turn up", verb, "the light", thing]
    replies = asyncio.run(vosk_replies(port, CLIPS[TEXTS[0]], phrase_list=phrases))
    assert text_of(replies) == TEXTS[0]
    others = asyncio.run(vosk_replies(port, CLIPS[TEXTS[1]], phrase_list=phrases))
    assert text_of(others) == ""


@pytest.mark.parametrize(("options", "count"), [([], 1), (["--beam", 8], 3)])
def test_alternatives_have_the_form_of_vosk(options, count):
    async def talk(port):
        clip = CLIPS[TEXTS[0]]
        return (
            await vosk_replies(port, clip, max_alternatives=3),
            await vosk_replies(port, clip[:800], max_alternatives=3, words=False),
            await vosk_replies(port, clip, max_alternatives=3, words=False),
        )

    with serving(*options) as server:
        with_words, empty, plain = asyncio.run(talk(server.websocket_port))
    texts = with_words[-1]["alternatives"]
    assert len(texts) == count
    assert texts[0]["text"] == TEXTS[0]
    assert [text["confidence"] for text in texts] == sorted(
        (text["confidence"] for text in texts), reverse=True
    )
    for text in texts:
        assert set(text) == {"confidence", "result", "text"}
        assert " ".join(word["word"] for word in text["result"]) == text["text"]
        assert all(set(word) == {"end", "start", "word"} for word in text["result"])
    assert empty[-1] == {"alternatives": [{"confidence": 1.0, "text": ""}]}
    assert [set(text) for text in plain[-1]["alternatives"]] == count * [{"confidence", "text"}]


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


@pytest.mark.parametrize("language", ["en", "en-GB", "en_us", "EN"])
def test_a_region_does_not_matter_for_the_language(server, language):
    async def talk():
        async with AsyncTcpClient("127.0.0.1", server.port) as client:
            await send_sound(client, list(blocks(CLIPS[TEXTS[0]])), language=language)
            await client.write_event(AudioStop().event())
            return (await read_until(client, "transcript"))[-1].data

    assert asyncio.run(talk()) == {"text": TEXTS[0], "language": "en"}


def test_another_language_is_an_error_and_ends_the_connection(server):
    async def talk():
        async with AsyncTcpClient("127.0.0.1", server.port) as client:
            # The client goes on sending after what the server refuses.
            await send_sound(client, 5 * list(blocks(CLIPS[TEXTS[0]])), language="de")
            return await client.read_event(), await client.read_event()

    error, end = asyncio.run(talk())
    assert error.data["text"] == "language de: this server transcribes en"
    assert end is None


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


def test_the_phrases_change_while_it_runs(tmp_path):
    """Also for a client that stays connected, and not in the middle of its recording."""
    phrases = tmp_path / "phrases.txt"
    phrases.write_text(f"{TEXTS[0]}\n")

    async def wait_for(server, words):
        line = ""
        while not line.endswith(words):
            line = await asyncio.wait_for(asyncio.to_thread(server.read_line), 20)
        return line

    async def ask(client, text, after_half=None):
        sound = list(blocks(CLIPS[text]))
        await send_sound(client, sound[:10])
        if after_half:
            await read_until(client, "transcript-start")  # the recording has begun
            await after_half()
        for message in sound[10:]:
            await client.write_event(AudioChunk(RATE, 2, 1, message).event())
        await client.write_event(AudioStop().event())
        return (await read_until(client, "transcript"))[-1].data["text"]

    async def talk(server):
        async def change():
            other = tmp_path / "new.txt"
            other.write_text(f"{TEXTS[1]}\n")
            other.replace(phrases)
            await wait_for(server, "phrases.txt: read again")

        async with AsyncTcpClient("127.0.0.1", server.port) as client:
            texts = [await ask(client, TEXTS[0], after_half=change)]
            texts += [await ask(client, text) for text in TEXTS[:2]]
            phrases.write_text("\u4e2d\n")
            line = await wait_for(server, "the old phrases stay")
            texts.append(await ask(client, TEXTS[1]))
            phrases.unlink()
            await asyncio.sleep(1.5)
            return [*texts, await ask(client, TEXTS[1])], line

    with serving("--phrases", phrases) as server:
        texts, line = asyncio.run(talk(server))
    assert texts == [TEXTS[0], "", TEXTS[1], TEXTS[1], TEXTS[1]]
    assert line.startswith(f"warning: {phrases}:1: the model has no symbol for '\u4e2d'")


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
    pytest.importorskip("zeroconf", reason="zeroconf is not installed (the extra `zeroconf`)")
    done = ds2edge("serve", "-m", "tests/golden/mini.tflite", "--zeroconf", "kitchen")
    assert done.returncode == 2
    assert "add --host 0.0.0.0" in done.stderr


def test_a_zeroconf_browser_finds_it_as_long_as_it_runs():
    zeroconf = pytest.importorskip("zeroconf", reason="zeroconf is not installed")
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

    async def browse():
        changes = asyncio.Queue()

        def note(zeroconf, service_type, name, state_change):
            changes.put_nowait((name, state_change.name))

        browser = AsyncZeroconf()
        listener = AsyncServiceBrowser(browser.zeroconf, TYPE, handlers=[note])
        try:
            with serving("--host", "0.0.0.0", "--zeroconf", "test kitchen") as server:
                added = await asyncio.wait_for(changes.get(), 15)
                info = AsyncServiceInfo(TYPE, f"test kitchen.{TYPE}")
                assert await info.async_request(browser.zeroconf, 5000)
                text = await wyoming_text(info.port, CLIPS[TEXTS[0]], info.parsed_addresses()[0])
                code, _ = await asyncio.to_thread(server.stop)
            return added, text, code, await asyncio.wait_for(changes.get(), 15)
        finally:
            await listener.async_cancel()
            await browser.async_close()

    try:
        added, text, code, removed = asyncio.run(browse())
    except (OSError, zeroconf.Error) as error:
        pytest.skip(f"this machine has no network with multicast ({error})")
    assert added == (f"test kitchen.{TYPE}", "Added")
    assert (text, code) == (TEXTS[0], 0)
    assert removed == (f"test kitchen.{TYPE}", "Removed")
