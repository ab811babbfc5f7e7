"""Compares the kit with Vosk and PocketSphinx on recorded commands, in one run.

    pip install vosk pocketsphinx
    python benchmarks/peers.py MANIFEST --phrases FILE --vosk FOLDER --pocketsphinx \\
        [--noise FOLDER --noise-snr 12] [--other-speech FOLDER]

All recognisers hear the same sound, one clip after the other, in one process with one thread, and
the same grammar interprets the text of each. FOLDER of --vosk is an unpacked Vosk model. Ctrl-C
ends the run early and prints what was measured so far.

- Vosk cannot take a grammar. It gets a list of sentences drawn from it, and "[unk]", as its
  documentation advises. It may say their words in other orders too.
- PocketSphinx gets the grammar in JSGF. It has no rejection: it finds the best sentence.

A text that is no sentence of the grammar is rejected: a program could do nothing with it.
"""

from __future__ import annotations

import contextlib
import json
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
from commands import OUTCOMES, outcome_of, read_commands

from ds2edge.runtime import Phrases, Recognizer
from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.commands.options import model_option
from ds2edge.runtime.decoding.ctc import Meaning
from ds2edge.runtime.features import Samples
from ds2edge.runtime.phrases.grammar import Choice, Expression, Grammar, Slot, Text
from ds2edge.train.augmentation.noise import at_ratios
from ds2edge.train.augmentation.sound_files import sound_files
from ds2edge.train.progress import track

RATE = 16000
VOSK_SENTENCES = 2000
PAGE = 4096  # bytes


class Peer(ABC):
    """A recogniser that listens for the sentences of a grammar."""

    def __init__(self, phrases: Phrases) -> None:
        self._phrases = phrases

    def meaning(self, samples: Samples) -> Meaning | None:
        """What a recording means; None if its text is no sentence of the grammar."""
        return self._phrases.meaning(self.hear(samples))

    @abstractmethod
    def hear(self, samples: Samples) -> str:
        """The text of a recording, float32 at RATE."""


class Kit(Peer):
    """ds2edge."""

    def __init__(self, model: Path, phrases: Phrases) -> None:
        super().__init__(phrases)
        self._recognizer = Recognizer(model, phrases=phrases)

    def hear(self, samples: Samples) -> str:
        return self._recognizer.transcribe(samples, RATE).text


class Vosk(Peer):
    """Vosk, with sentences of the grammar."""

    def __init__(self, model: Path, phrases: Phrases) -> None:
        import vosk

        super().__init__(phrases)
        rng = np.random.default_rng(0)
        sentences = {draw_sentence(phrases.grammar, rng) for _ in range(VOSK_SENTENCES)}
        vosk.SetLogLevel(-1)
        self._vosk = vosk
        self._model = vosk.Model(str(model))
        known = [text for text in sorted(sentences) if all(map(self._knows, text.split()))]
        self._grammar = json.dumps([*known, "[unk]"])

    def _knows(self, word: str) -> bool:
        return self._model.vosk_model_find_word(word) >= 0

    def hear(self, samples: Samples) -> str:
        recognizer = self._vosk.KaldiRecognizer(self._model, RATE, self._grammar)
        parts = []
        data = pcm(samples)
        for first in range(0, len(data), RATE // 2):
            if recognizer.AcceptWaveform(data[first : first + RATE // 2]):
                parts.append(json.loads(recognizer.Result())["text"])
        parts.append(json.loads(recognizer.FinalResult())["text"])
        return " ".join(part for part in parts if part)


class PocketSphinx(Peer):
    """PocketSphinx, with the grammar in JSGF."""

    def __init__(self, phrases: Phrases) -> None:
        from pocketsphinx import Decoder

        super().__init__(phrases)
        self._decoder = Decoder(samprate=RATE, lm=None, loglevel="FATAL")
        self._decoder.add_jsgf_string("commands", jsgf(phrases.grammar, self._knows))
        self._decoder.activate_search("commands")

    def _knows(self, text: str) -> bool:
        return all(self._decoder.lookup_word(word) for word in text.split())

    def hear(self, samples: Samples) -> str:
        self._decoder.start_utt()
        self._decoder.process_raw(pcm(samples), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return found.hypstr if found else ""


def pcm(samples: Samples) -> bytes:
    """The samples as 16-bit sound."""
    return np.round(samples * 32767).astype("<i2").tobytes()


def jsgf(grammar: Grammar, known: Callable[[str], bool]) -> str:
    """The grammar in the Java Speech Grammar Format. Its texts must be whole words.

    `known`: whether the recogniser knows the words of a text; others are left out of choices.
    """

    def rule(expression: Expression) -> str:
        if isinstance(expression, Text):
            return expression.text.strip()
        if isinstance(expression, Slot):
            return f"<{expression.list_name}>"
        parts = [rule(item) for item in expression.items if known(getattr(item, "text", ""))]
        some = [part for part in parts if part]
        if not isinstance(expression, Choice):
            return " ".join(some)
        choice = "(" + " | ".join(some) + ")"
        return choice if len(some) == len(parts) else f"[{choice}]"

    sentences = [rule(sentence) for intent in grammar.intents for sentence in intent.sentences]
    rules = ["#JSGF V1.0;", "grammar commands;", f"public <any> = {' | '.join(sentences)};"]
    for name, values in grammar.lists.items():
        rules.append(f"<{name}> = {' | '.join(rule(value.said) for value in values or [])};")
    return "\n".join(rules)


def draw_sentence(grammar: Grammar, rng: np.random.Generator) -> str:
    """A sentence of the grammar, with a random choice at each place."""

    def draw(expression: Expression) -> str:
        if isinstance(expression, Text):
            return expression.text
        if isinstance(expression, Slot):
            values = grammar.lists[expression.list_name] or []
            return draw(values[rng.integers(len(values))].said)
        if isinstance(expression, Choice):
            return draw(expression.items[rng.integers(len(expression.items))])
        return "".join(draw(item) for item in expression.items)

    sentences = [sentence for intent in grammar.intents for sentence in intent.sentences]
    return " ".join(draw(sentences[rng.integers(len(sentences))]).split())


@dataclass
class Score:
    """What a recogniser made of all recordings."""

    # Outcomes by signal-to-noise ratio in dB; None is no noise.
    commands: dict[float | None, Counter[str]] = field(default_factory=dict)
    others: Counter[bool] = field(default_factory=Counter)  # whether other speech was accepted
    cpu_seconds: float = 0.0
    sound_seconds: float = 0.0
    memory: int = 0  # bytes

    def hear(self, peer: Peer, samples: Samples) -> Meaning | None:
        """The meaning of a recording, float32 at RATE. Counts its CPU time."""
        begun = time.process_time()
        meaning = peer.meaning(samples)
        self.cpu_seconds += time.process_time() - begun
        self.sound_seconds += len(samples) / RATE
        return meaning


def resident() -> int:
    """Bytes of memory of this process."""
    return PAGE * int(Path("/proc/self/statm").read_text().split()[1])


def load_peers(
    model: Path, phrases: Phrases, vosk: Path | None, pocketsphinx: bool
) -> tuple[dict[str, Peer], dict[str, Score]]:
    """All recognisers by name, and their scores, which hold the memory of each."""
    makers: dict[str, Callable[[], Peer]] = {"ds2edge": lambda: Kit(model, phrases)}
    if vosk:
        makers["Vosk"] = lambda: Vosk(vosk, phrases)
    if pocketsphinx:
        makers["PocketSphinx"] = lambda: PocketSphinx(phrases)
    peers, scores = {}, {}
    for name, make in makers.items():
        before = resident()
        peers[name] = make()
        peers[name].hear(np.zeros(RATE, np.float32))
        scores[name] = Score(memory=resident() - before)
    return peers, scores


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--phrases", required=True, type=click.Path(path_type=Path), help="What may be said.")
@model_option
@click.option("--vosk", type=click.Path(path_type=Path), help="Folder of a Vosk model.")
@click.option("--pocketsphinx", is_flag=True, help="Measure PocketSphinx: it needs most time.")
@click.option("--noise", help="Folder of sound files to mix in.")
@click.option("--noise-snr", default="", metavar="dB[,dB...]", help="Signal-to-noise ratios in dB.")
@click.option("--other-speech", help="Folder of recordings in which no command is said.")
def main(
    manifest: Path,
    phrases: Path,
    model: Path,
    vosk: Path | None,
    pocketsphinx: bool,
    noise: str | None,
    noise_snr: str,
    other_speech: str | None,
) -> None:
    """Print what each recogniser understands, misunderstands, rejects and costs."""
    loaded = Phrases.load(phrases)
    peers, scores = load_peers(model, loaded, vosk, pocketsphinx)
    snrs = [float(snr) for snr in noise_snr.split(",") if snr]
    others = sound_files(other_speech) if other_speech else ()
    with contextlib.suppress(KeyboardInterrupt):
        for path in track(others, "other speech", len(others)):
            samples = read_audio(path, RATE)
            for name, score in scores.items():
                accepted = score.hear(peers[name], samples) is not None
                score.others[accepted] += 1
        commands = read_commands(manifest, loaded)
        for command in track(commands, "commands", len(commands)):
            samples = read_audio(command.audio, RATE)
            noisy = at_ratios(samples, RATE, noise, command.audio.name, snrs)
            for snr, sound in zip([None, *snrs], [samples, *noisy], strict=True):
                for name, score in scores.items():
                    meaning = score.hear(peers[name], sound)
                    score.commands.setdefault(snr, Counter())[outcome_of(meaning, command)] += 1
    report(scores)


def report(scores: dict[str, Score]) -> None:
    """Prints a table of Markdown for the commands, and one for the rest."""
    click.echo(f"| recogniser | noise | commands | {' | '.join(OUTCOMES)} |\n{5 * '|---'}|---|")
    for name, score in scores.items():
        for snr, outcomes in score.commands.items():
            noise = "none" if snr is None else f"{snr:g} dB"
            count = outcomes.total()
            shares = " | ".join(f"{100 * outcomes[kind] / count:.1f} %" for kind in OUTCOMES)
            click.echo(f"| {name} | {noise} | {count} | {shares} |")
    click.echo("\n| recogniser | other speech accepted | CPU-seconds a second of sound | memory |")
    click.echo("|---|---|---|---|")
    for name, score in scores.items():
        accepted = f"{score.others[True]} of {score.others.total()}"
        cost = score.cpu_seconds / score.sound_seconds
        click.echo(f"| {name} | {accepted} | {cost:.3f} | {score.memory / 1e6:.0f} MB |")


if __name__ == "__main__":
    main()
