"""What vosk-server answers: one reply to each message of sound, and one to the end."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from ds2edge.runtime.decoding.beam import Alternative
from ds2edge.runtime.decoding.ctc import Word
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.serve.limits import MAX_ALTERNATIVES, RATES
from ds2edge.runtime.serve.sessions import Session, Sessions
from ds2edge.runtime.utterances import Utterance

log = logging.getLogger("ds2edge")

DEFAULT_RATE = 8000  # Hz; the default of vosk-server
OTHER_SPEECH = "[unk]"  # how a client of Vosk allows other speech, which is rejected here anyway
SAMPLE_BYTES = 2

Reply = dict[str, Any]


class VoskConversation:
    """One recording of a client, with its settings."""

    def __init__(self, sessions: Sessions, peer: str) -> None:
        self.ended = False
        self._sessions = sessions
        self._peer = peer
        self._rate = DEFAULT_RATE
        self._words = True
        self._alternatives = 0  # how many texts of a result; 0: the form without alternatives
        self._phrases: Phrases | None = None
        self._session: Session | None = None
        self._ended_utterances: list[Utterance] = []  # not yet told
        self._offset = 0.0  # seconds of sound before the session
        self._rest = b""  # half a sample

    async def handle(self, message: str | bytes) -> Reply | None:
        """Takes a message. Returns the reply, if there is one to it. InputError for nonsense."""
        if isinstance(message, bytes):
            return await self._accept(message)
        command = _json_object(message)
        if "config" in command:
            await self._configure(command["config"])
            return None
        if not command.get("eof") and not command.get("reset"):
            raise InputError(
                'unknown message: send sound, {"config": {...}}, {"reset": 1} or {"eof": 1}'
            )
        self.ended = bool(command.get("eof"))
        await self._end_session()
        return self._result(self._take())

    async def _configure(self, config: Any) -> None:
        """Applies settings to the sound from now on. Those of Vosk that have no use are ignored."""
        if not isinstance(config, dict):
            raise InputError("config must be an object")
        if "sample_rate" in config:
            self._rate = _rate(config["sample_rate"])
        if "words" in config:
            self._words = bool(config["words"])
        if "max_alternatives" in config:
            self._alternatives = _max_alternatives(config["max_alternatives"])
        if "phrase_list" in config:
            texts = _phrase_list(config["phrase_list"])
            await self._end_session()
            self._phrases = await self._sessions.phrases(texts) if texts else None

    async def _accept(self, sound: bytes) -> Reply:
        if self._session is None:
            self._session = await self._sessions.begin(self._phrases, self._alternatives)
        sound = self._rest + sound
        whole = len(sound) - len(sound) % SAMPLE_BYTES
        self._rest = sound[whole:]
        samples = np.frombuffer(sound[:whole], "<i2")
        self._keep(await self._session.accept(samples, self._rate))
        if utterances := self._take():
            return self._result(utterances)
        return {"partial": await self._session.partial()}

    async def _end_session(self) -> None:
        if self._session is not None:
            self._keep(await self._session.finish())
            self._offset += self._session.duration
            self._session = None

    def _keep(self, utterances: list[Utterance]) -> None:
        """Keeps utterances for the next reply, with times from the start of the connection."""
        for utterance in utterances:
            log.info("websocket %s: %r", self._peer, utterance.text)
            later = dataclasses.replace(
                utterance,
                words=_later(utterance.words, self._offset),
                alternatives=[
                    other._replace(words=_later(other.words, self._offset))
                    for other in utterance.alternatives
                ],
            )
            self._ended_utterances.append(later)

    def _take(self) -> list[Utterance]:
        utterances = self._ended_utterances
        self._ended_utterances = []
        return utterances

    def _result(self, utterances: Sequence[Utterance]) -> Reply:
        """One reply for all utterances that ended, since the client expects one."""
        meanings = [utterance.meaning for utterance in utterances if utterance.meaning]
        meaning = dataclasses.asdict(meanings[-1]) if meanings else {}
        if self._alternatives:
            return {"alternatives": self._texts(utterances), **meaning}
        words = [word for utterance in utterances for word in utterance.words]
        result = [{"conf": word.confidence, **_times(word)} for word in words]
        text = {"text": _text(words), **meaning}
        return {"result": result, **text} if self._words and words else text

    def _texts(self, utterances: Sequence[Utterance]) -> list[Reply]:
        """The best texts. They differ in the last utterance."""
        if not utterances:
            return [{"confidence": 1.0, "text": ""}]
        *before, last = utterances
        words = [word for utterance in before for word in utterance.words]
        others = last.alternatives or [Alternative(last.words, last.confidence)]
        return [
            {
                "confidence": other.score,
                **({"result": list(map(_times, words + other.words))} if self._words else {}),
                "text": _text(words + other.words),
            }
            for other in others
        ]


def _later(words: Sequence[Word], seconds: float) -> list[Word]:
    return [
        dataclasses.replace(
            word, start=round(word.start + seconds, 3), end=round(word.end + seconds, 3)
        )
        for word in words
    ]


def _times(word: Word) -> Reply:
    return {"end": word.end, "start": word.start, "word": word.text}


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


def _json_object(message: str) -> dict[str, Any]:
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        raise InputError("a text message must be JSON; send sound as binary messages") from None
    if not isinstance(value, dict):
        raise InputError("a text message must be a JSON object")
    return value


def _rate(value: Any) -> int:
    """The sample rate in Hz: some clients write 16000.0. InputError for others."""
    if isinstance(value, (int, float)) and value in RATES:
        return int(value)
    raise InputError(f"sample_rate {value!r}: give {RATES[0]} to {RATES[-1]} Hz")


def _max_alternatives(value: Any) -> int:
    """InputError for others than 0 to MAX_ALTERNATIVES."""
    if isinstance(value, int) and 0 <= value <= MAX_ALTERNATIVES:
        return value
    raise InputError(f"max_alternatives {value!r}: give 0 to {MAX_ALTERNATIVES}")


def _phrase_list(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(phrase, str) for phrase in value):
        raise InputError("phrase_list must be a list of texts")
    return [phrase for phrase in value if phrase != OTHER_SPEECH]
