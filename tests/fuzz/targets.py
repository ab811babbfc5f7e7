"""What the fuzzer feeds: for each kind of file, valid inputs and the code that reads them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import json
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
GOLDEN = ROOT / "tests" / "golden" / "mini.tflite"
INSIDE = ROOT / "tests" / "golden" / "vectors" / "inside.tflite"  # phrases, but no network
ARPA = (
    b"\\data\\\nngram 1=4\nngram 2=2\n\n"
    b"\\1-grams:\n-99\t<s>\t-0.3\n-0.5\t</s>\n-0.6\ta\t-0.2\n-0.7\tb\t-0.1\n\n"
    b"\\2-grams:\n-0.2\tb a\n-0.4\t<s> b\n\n\\end\\\n"
)
CLIP = (
    b'{"audio": "a.wav", "text": "On 3/4 at 5:30, $5.50 for 1,000 (2%)!", "duration": 1, '
    b'"split": "train"}\n'
)
TABLE = b'audio,text,split\na.wav,"one, two",train\nb.wav,x,dev\n'


PHRASES = b"""language: en
says:
  "C3PO": see three pea oh
lists:
  room:
    values: [kitchen, {in: "living room", out: lounge}]
  level: {range: {from: 0, to: 20, step: 5}}
  name: {wildcard: true}
  state: {values: ["on", "off"]}
expansion_rules:
  please: "[please]"
intents:
  Light:
    data:
      - sentences: ["<please> (turn|switch) [the] light {state} in the {room}"]
  Dim:
    data:
      - sentences: ["dim to {level} percent", "call {name}"]
"""


def sound_inputs(folder: Path) -> list[bytes]:
    """A short sound in many formats."""
    import numpy as np
    import soundfile

    rng = np.random.default_rng(0)
    sound = 0.1 * rng.standard_normal(2000)
    formats = (
        "WAV:PCM_16 WAV:GSM610 WAV:MS_ADPCM WAVEX:FLOAT FLAC:PCM_16 OGG:VORBIS OGG:OPUS "
        "MP3:MPEG_LAYER_III AIFF:PCM_24 AU:ULAW CAF:ALAC_16 W64:PCM_16 RF64:PCM_16 VOC:PCM_16 "
        "NIST:PCM_16 PAF:PCM_16 SVX:PCM_16 WVE:ALAW HTK:PCM_16 MAT5:PCM_16 XI:DPCM_16 "
        "AVR:PCM_16 IRCAM:PCM_16 PVF:PCM_16 MPC2K:PCM_16"
    )
    files = []
    for file_format, subtype in (name.split(":") for name in formats.split()):
        with contextlib.suppress(RuntimeError, ValueError):
            soundfile.write(folder / "a", sound, 8000, format=file_format, subtype=subtype)
            files.append((folder / "a").read_bytes())
    stereo = io.BytesIO()
    soundfile.write(stereo, np.stack([sound, -sound], 1), 48000, format="WAV")
    files.append(stereo.getvalue())
    files += [files[7] + files[7], files[5] + files[5]]  # concatenated
    with contextlib.suppress(ImportError):
        sys.path.insert(0, str(Path(__file__).parent.parent))
        from support import film

        for name, codec, rate in (
            ("a.m4a", "aac", 16000),
            ("a.webm", "libopus", 48000),
            ("a.wma", "wmav2", 44100),
        ):
            film(folder / name, codec, sound, rate)
            files.append((folder / name).read_bytes())
    return files


def read_sound(path: Path) -> None:
    from ds2edge.runtime.audio.reader import read_audio

    read_audio(path, 16000)


def read_sound_pipe(path: Path) -> None:
    from threading import Event

    from ds2edge.runtime.audio.wav_header import WavFormat
    from ds2edge.runtime.live.sources import read_pipe

    with path.open("rb") as file:
        for _ in read_pipe(file.fileno(), WavFormat(16000, 1, "S16_LE"), Event()):
            pass


def read_manifest_texts(path: Path) -> None:
    from ds2edge.train.data.manifest import read_manifest
    from ds2edge.train.data.text import normalise

    for clip in read_manifest(path):
        normalise(clip.text)


def import_table(path: Path) -> None:
    from ds2edge.train.corpora.folder import import_folder

    path.with_suffix(".csv").write_bytes(path.read_bytes())
    import_folder(path.with_suffix(".csv"), path.parent / "out", 0, 0, True, False)


def read_recipe_file(path: Path) -> None:
    from ds2edge.train.recipe import read_recipe

    read_recipe(path)


def read_arpa_file(path: Path) -> None:
    from ds2edge.train.language_model.arpa import read_arpa

    read_arpa(path)


def load_language_model(path: Path) -> None:
    from ds2edge.runtime.decoding.language_model import LanguageModel

    LanguageModel.load(path)


def parse_specification(path: Path) -> None:
    from ds2edge.runtime.specification import Specification

    Specification.from_json(path.read_bytes(), str(path))


def load_model(path: Path) -> None:
    from ds2edge.runtime.network import Network
    from ds2edge.runtime.phrases.embedded import phrases_inside

    phrases_inside(path)
    Network(path)


def specification_inputs(folder: Path) -> list[bytes]:
    from ds2edge.runtime.specification import read_specification

    return [read_specification(GOLDEN).to_json().encode()]


def ds2lm_inputs(folder: Path) -> list[bytes]:
    from ds2edge.train.language_model.arpa import read_arpa

    (folder / "a.arpa").write_bytes(ARPA)
    return [read_arpa(folder / "a.arpa").to_bytes()]


def _follow(phrases: Any) -> None:
    """Lets the decoder of some phrases follow random logits of the golden model's alphabet."""
    import numpy as np

    from ds2edge.runtime.specification import read_specification

    alphabet = read_specification(GOLDEN).alphabet
    decoder = phrases(alphabet, 0.04)
    decoder.accept(np.random.default_rng(0).normal(0, 3, (20, len(alphabet))).astype("f"))
    phrases.meaning(" ".join(word.text for word in decoder.final_words()))


def read_phrases(path: Path) -> None:
    from ds2edge.runtime.phrases.phrases import Phrases

    path.with_suffix(".yaml").write_bytes(path.read_bytes())
    _follow(Phrases.load(path.with_suffix(".yaml")))


def read_compiled_phrases(path: Path) -> None:
    """Reads a whole file, or one of its two members beside the other one undamaged."""
    from ds2edge.runtime.phrases.phrases import Phrases

    compiled = path.with_suffix(".ds2ph")
    _, content, arrays = _compiled_phrases(path.parent)
    data = path.read_bytes()
    if data[:1] == b"{" or b"phrases.json" not in data[:100]:
        is_json = b"grammar" in data
        with zipfile.ZipFile(compiled, "w") as archive:
            archive.writestr("phrases.json", data if is_json else content)
            archive.writestr("letters.npz", arrays if is_json else data)
    else:
        compiled.write_bytes(data)
    _follow(Phrases.load(compiled))


@functools.cache
def _compiled_phrases(folder: Path) -> tuple[bytes, bytes, bytes]:
    """A compiled file and its members, the arrays without compression and checksums of bytes."""
    from ds2edge.runtime.phrases.phrases import Phrases

    (folder / "a.yaml").write_bytes(PHRASES)
    Phrases.load(folder / "a.yaml").save(folder / "a.ds2ph")
    with zipfile.ZipFile(folder / "a.ds2ph") as archive:
        content = archive.read("phrases.json")
        arrays = archive.read("letters.npz")
    return (folder / "a.ds2ph").read_bytes(), content, arrays


def wyoming_inputs(folder: Path) -> list[bytes]:
    """A conversation: what Home Assistant sends for one command."""
    from wyoming.asr import Transcribe
    from wyoming.audio import AudioChunk, AudioStart, AudioStop
    from wyoming.event import write_event
    from wyoming.info import Describe

    file = io.BytesIO()
    sound = bytes(1600)
    for event in (
        Describe(),
        Transcribe(language="en"),
        AudioStart(16000, 2, 1),
        AudioChunk(16000, 2, 1, sound),
        AudioChunk(48000, 4, 2, sound),
        AudioStop(),
    ):
        write_event(event.event(), file)
    return [file.getvalue()]


class _Loop:
    """An event loop in a thread, with a Wyoming server, and the sessions of the golden model."""

    def __init__(self) -> None:
        from ds2edge.runtime.endpoint import EndpointRules
        from ds2edge.runtime.recognizer import Recognizer
        from ds2edge.runtime.serve.sessions import Sessions

        self.failures: list[BaseException] = []
        self.sessions = Sessions(Recognizer(GOLDEN), EndpointRules())
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._note)
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.port = self.run(self._listen())

    def _note(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.failures.append(context.get("exception") or RuntimeError(context["message"]))

    def run(self, coroutine: Any) -> Any:
        """Runs a coroutine to its end. Raises its errors and those of the server's tasks."""
        result = asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
        if self.failures:
            raise self.failures.pop()
        return result

    async def _listen(self) -> int:
        from ds2edge.runtime.serve.addresses import Address
        from ds2edge.runtime.serve.limits import Clients, Limits
        from ds2edge.runtime.serve.wyoming import WyomingServer

        server = WyomingServer(self.sessions, Clients(16), Limits(max_idle=2), "en")
        listening = server.listen(Address("127.0.0.1", 0))
        self._open = listening  # as long as the process runs
        address = await listening.__aenter__()
        return address.port


@functools.cache
def _loop() -> _Loop:
    return _Loop()


def talk_to_wyoming_server(path: Path) -> None:
    """Sends the bytes and reads all answers; then another client must still be answered."""
    loop = _loop()

    async def send(data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", loop.port)
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            writer.write_eof()
        answers = b""
        with contextlib.suppress(ConnectionError):
            answers = await reader.read()
        writer.close()
        return answers

    loop.run(send(path.read_bytes()))
    if b'"info"' not in loop.run(send(b'{"type": "describe"}\n')):
        raise AssertionError("the server no longer answers")


def vosk_inputs(folder: Path) -> list[bytes]:
    """Messages of a client of vosk-server, one on each line; those that are not JSON are sound."""
    config = {"sample_rate": 16000, "words": True, "max_alternatives": 2, "phrase_list": ["on"]}
    messages = [{"config": config}, {"config": {"sample_rate": 8000.0}}, {"reset": 1}, {"eof": 1}]
    text = [json.dumps(message).encode() for message in messages]
    return [b"\n".join([text[0], bytes(800), text[1], bytes(801), text[2], bytes(800), text[3]])]


def talk_to_vosk_server(path: Path) -> None:
    from ds2edge.runtime.serve.vosk import VoskConversation

    loop = _loop()
    conversation = VoskConversation(loop.sessions, "fuzz")
    for message in path.read_bytes().split(b"\n"):
        text = message.decode("utf-8", "replace") if message[:1] in (b"{", b"[") else None
        reply = loop.run(conversation.handle(message if text is None else text))
        json.dumps(reply, allow_nan=False)


TARGETS: dict[str, tuple[Callable[[Path], None], Callable[[Path], list[bytes]]]] = {
    "audio": (read_sound, sound_inputs),
    "pipe": (read_sound_pipe, sound_inputs),
    "manifest": (read_manifest_texts, lambda folder: [3 * CLIP]),
    "table": (import_table, lambda folder: [TABLE, b"a|one\nb|two|three\n"]),
    "recipe": (
        read_recipe_file,
        lambda folder: [path.read_bytes() for path in (ROOT / "train" / "recipes").glob("*.toml")],
    ),
    "arpa": (read_arpa_file, lambda folder: [ARPA]),
    "language-model": (load_language_model, ds2lm_inputs),
    "specification": (parse_specification, specification_inputs),
    "model": (load_model, lambda folder: [GOLDEN.read_bytes(), INSIDE.read_bytes()]),
    "phrases": (read_phrases, lambda folder: [PHRASES]),
    "compiled-phrases": (
        read_compiled_phrases,
        lambda folder: list(_compiled_phrases(folder)),
    ),
    "wyoming": (talk_to_wyoming_server, wyoming_inputs),
    "vosk": (talk_to_vosk_server, vosk_inputs),
}
