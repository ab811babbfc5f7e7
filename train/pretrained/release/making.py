"""The stages of a release that make files."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
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
from ds2edge.train.evaluation.scoring import Score
from ds2edge.train.pretrained.pack import pack_run
from ds2edge.train.pretrained.release.accuracy import Measured
from ds2edge.train.pretrained.release.fusion_weights import STEPS, read_weights, write_weights
from ds2edge.train.pretrained.release.recordings import ClipSet
from ds2edge.train.pretrained.release.release import ARMV7, INT8, MODES, ROOT, Release
from ds2edge.train.run import Run

CHUNK_STEPS = 4
WAKE_PHRASE = "hey computer"

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
    """Chooses the weights of the language model on dev, and writes them into fusion.py.

    The search goes to the best neighbour on a part of dev for as long as there is a better one. The
    weights change only if they are surely better on the rest of dev, which did not choose them.
    """
    language_model = load_language_model("pretrained")
    model = release.model(release.shipped / INT8)

    def errors(chosen: Weights, clips: ClipSet) -> Score:
        decoder = build_decoder(language_model, weights=chosen)
        model.decoders = {**model.decoders, name_of(chosen): decoder}
        return model.score(clips, name_of(chosen))

    present = best = read_weights()
    tried = {present: errors(present, release.part).wer}
    while True:
        for neighbour in neighbours(best):
            if neighbour not in tried:
                tried[neighbour] = errors(neighbour, release.part).wer
        better = min(tried, key=tried.__getitem__)
        if tried[better] == tried[best]:
            break
        best = better
    result: Result = {
        "clips": len(release.part.clips),
        "wer": {name_of(each): wer for each, wer in tried.items()},
        "chosen": name_of(present),
    }
    if best == present:
        return result
    gain = Measured.wer_difference(errors(best, release.rest), errors(present, release.rest))
    if gain.interval[1] < 0:
        write_weights(best)
        result["chosen"] = name_of(best)
    return {**result, "best": name_of(best), "gain": asdict(gain)}


def neighbours(chosen: Weights) -> Iterator[Weights]:
    """Weights that are one step away."""
    for name, step in STEPS.items():
        for change in (-step, step):
            yield replace(chosen, **{name: round(getattr(chosen, name) + change, 3)})


def name_of(chosen: Weights) -> str:
    """The weights that the search changes."""
    return ", ".join(f"{getattr(chosen, name):g}" for name in STEPS)


def rejection(release: Release) -> Result:
    """Draws false accepts against commands and wake phrases, with benchmarks/rejection.py."""
    script = ROOT / "benchmarks" / "rejection.py"
    others = [part for clip in release.all_dev.clips for part in ("--other-speech", clip.audio)]
    printed = {}
    for picture, manifest, said in (
        ("rejection.png", release.commands, ("--phrases", ROOT / "benchmarks" / "coffee.yaml")),
        ("wake.png", release.wake, ("--wake", WAKE_PHRASE)),
    ):
        if manifest:
            output = ROOT / "docs" / picture
            printed[picture] = _script(script, manifest, *said, *others, "-o", output)
    return printed


def vectors(release: Release) -> Result:
    """Writes the golden vectors, which hold outputs of the shipped model."""
    return {"printed": _script(ROOT / "tests" / "record_vectors.py")}


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
