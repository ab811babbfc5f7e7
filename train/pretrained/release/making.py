"""The stages of a release that make files."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ds2edge.convert.conversion import convert_run, converted_specification
from ds2edge.convert.parity.measure import require_same_model
from ds2edge.runtime.decoding.build import build_decoder, load_language_model
from ds2edge.runtime.decoding.fusion import Weights
from ds2edge.runtime.errors import InputError, QualityCheckFailed
from ds2edge.runtime.specification import read_specification
from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.pretrained.pack import pack_run
from ds2edge.train.pretrained.release.accuracy import Measured
from ds2edge.train.pretrained.release.fusion_weights import read_weights, write_weights
from ds2edge.train.pretrained.release.release import ARMV7, INT8, MODES, ROOT, Release
from ds2edge.train.run import Run

CHUNK_STEPS = 4
# Weights of the language model and bonuses for a word that dev chooses from, on every third clip.
LM_WEIGHTS = (0.3, 0.4, 0.5)
WORD_BONUSES = (1.0, 2.0, 3.0)
TUNED_ON = 3

Result = dict[str, Any]


def convert(release: Release) -> Result:
    """Converts the run in all modes. A file that is already there is kept."""
    clips = read_manifest(release.speech)
    for name, mode in MODES.items():
        output = release.work / name
        if not output.exists():
            convert_run(release.run, mode, clips, output, CHUNK_STEPS)
    return {"bytes": {name: (release.work / name).stat().st_size for name in MODES}}


def install(release: Release) -> Result:
    """Ships the new files if they have fewer errors on dev than what ships."""
    names = (INT8, ARMV7)
    if all(_same_bytes(release.work / name, release.shipped / name) for name in names):
        return {"outcome": "unchanged"}
    new, old = (
        Measured.wer(release.model(folder / INT8).score(release.all_dev))
        for folder in (release.work, release.shipped)
    )
    result = {"new": asdict(new), "shipped": asdict(old)}
    if new.value < old.value:
        for name in names:
            shutil.copyfile(release.work / name, release.shipped / name)
        if release.run.resolve() != release.packed.resolve():
            pack_run(Run.open(release.run), release.packed)
        return {"outcome": "replaced", **result}
    reference = converted_specification(Run.open(release.run))
    try:
        shipped = release.shipped / INT8
        require_same_model(reference, shipped, read_specification(shipped))
    except InputError:
        raise QualityCheckFailed(
            f"{release.run}: {new.value:.2f} % WER on dev, and {old.value:.2f} % with the shipped "
            "model: nothing was replaced"
        ) from None
    return {"outcome": "kept", **result}


def weights(release: Release) -> Result:
    """Chooses the weights of the language model on dev, and writes them into fusion.py."""
    language_model = load_language_model("pretrained")
    present = read_weights()
    part = release.all_dev.every(TUNED_ON)
    candidates = [
        replace(present, language_model=weight, word_bonus=bonus)
        for weight in LM_WEIGHTS
        for bonus in WORD_BONUSES
    ]
    if present not in candidates:
        candidates.append(present)
    model = release.model(release.shipped / INT8)
    model.decoders = {
        _name(each): build_decoder(language_model, weights=each) for each in candidates
    }
    table = {_name(each): model.score(part, _name(each)).wer for each in candidates}
    best = min(candidates, key=lambda each: table[_name(each)])
    gain = Measured.wer_difference(
        model.score(release.all_dev, _name(best)), model.score(release.all_dev, _name(present))
    )
    better = gain.interval[1] < 0
    if better:
        write_weights(best)
    chosen = best if better else present
    return {"wer": table, "clips": len(part.clips), "gain": asdict(gain), "chosen": _name(chosen)}


def rejection(release: Release) -> Result:
    """Draws false accepts against commands and wake phrases, with benchmarks/rejection.py."""
    script = ROOT / "benchmarks" / "rejection.py"
    others = [part for clip in release.all_dev.clips for part in ("--other-speech", clip.audio)]
    coffee = release.data / "coffee_commands" / "manifest.jsonl"
    drawings = [("rejection.png", [coffee, "--phrases", ROOT / "benchmarks" / "coffee.yaml"])]
    if release.wake:
        drawings.append(("wake.png", [release.wake, "--wake", "hey computer"]))
    return {
        picture: _script(script, *arguments, *others, "-o", ROOT / "docs" / picture)
        for picture, arguments in drawings
    }


def vectors(release: Release) -> Result:
    """Writes the golden vectors, which hold outputs of the shipped model."""
    return {"printed": _script(ROOT / "tests" / "record_vectors.py")}


def _name(chosen: Weights) -> str:
    return f"{chosen.language_model:g}, {chosen.word_bonus:g}"


def _same_bytes(first: Path, second: Path) -> bool:
    return first.read_bytes() == second.read_bytes()


def _script(script: Path, *arguments: object) -> str:
    """What a script prints. QualityCheckFailed with its last line if it fails."""
    command = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise QualityCheckFailed(f"{script.name} failed: {reason}")
    return done.stdout
