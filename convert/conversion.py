"""Converts a trained run to a self-describing .tflite file."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import tempfile
import zipfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ds2edge.convert import INT8_MODES
from ds2edge.convert.inspection import Inspection, inspect_model
from ds2edge.convert.weight_sharing import shares_weights
from ds2edge.runtime.errors import InputError, QualityCheckFailed
from ds2edge.runtime.quiet import quiet_process
from ds2edge.runtime.specification import Specification, attach_specification
from ds2edge.train.data.manifest import Clip
from ds2edge.train.run import Run

if TYPE_CHECKING:  # keras takes seconds to import: bad input is refused before
    from ds2edge.train.model.deepspeech2 import DeepSpeech2
    from ds2edge.train.model.quantization import Range


@dataclass(frozen=True)
class Conversion:
    """Facts about a finished conversion."""

    inspection: Inspection
    # How the int8 ranges were chosen, for people. Empty in modes without ranges.
    calibration: str = ""


@dataclass(frozen=True)
class _Ranges:
    """The int8 range of every quantization point, and where the ranges come from."""

    by_point: dict[str, Range]
    # Number of clips that they were chosen by. 0: the run was trained with them.
    clips: int
    summary: str


def convert_run(
    folder: Path,
    mode: str,
    calibration: list[Clip],
    output: Path,
    chunk_steps: int,
    *,
    isolated: bool = True,
) -> Conversion:
    """Converts the best epoch of the run in `folder` and writes `output`, whole or not at all.

    `mode` is one of MODES. The int8 modes need `calibration`, clips of real speech, unless the
    training chose the ranges (`--qat`). `chunk_steps`: output steps in one run of the graph.

    The conversion runs in a process of its own, since the converter can crash (tensorflow#76672).
    With `isolated=False` it runs in this process, which saves the import of tensorflow.

    InputError for a folder without a trained epoch, for missing calibration clips and for
    `chunk_steps` that do not fit the attention, before tensorflow is imported. QualityCheckFailed
    if the converter crashes or an int8 model has float tensors inside.
    """
    _require_convertible(Run.open(folder), mode, calibration, chunk_steps)
    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_name(output.name + ".part")
    build = _build_isolated if isolated else _build
    try:
        conversion = build(folder, mode, calibration, part, chunk_steps)
        os.replace(part, output)
    except BrokenProcessPool:
        raise QualityCheckFailed(
            f"{folder}: the converter crashed in mode {mode}; nothing was written to {output}: "
            "choose another --mode or fewer --chunk-steps"
        ) from None
    finally:
        part.unlink(missing_ok=True)
    return conversion


def converted_specification(run: Run) -> Specification:
    """The specification of the files that a run is converted to, still without a graph.

    InputError if no epoch is finished.
    """
    facts = run.specification.training | run.best_figures()
    return dataclasses.replace(run.specification, training=facts)


def _require_convertible(run: Run, mode: str, calibration: list[Clip], chunk_steps: int) -> None:
    run.best_figures()  # InputError if there is no checkpoint
    if mode in INT8_MODES and not calibration and not _has_ranges(run):
        raise InputError(f"{run.folder}: mode {mode} needs --calibration MANIFEST: real speech")
    chunk = run.recipe.model.attention_chunk
    if chunk_steps % chunk:
        raise InputError(
            f"{run.folder}: its attention works on chunks of {chunk} steps: give --chunk-steps "
            f"{chunk} or a multiple, not {chunk_steps}"
        )


def _has_ranges(run: Run) -> bool:
    """Whether the best epoch holds int8 ranges, as after `ds2edge train --qat`. Needs no keras."""
    with zipfile.ZipFile(run.best) as checkpoint:
        model = json.loads(checkpoint.read("config.json"))
    return bool(model["config"].get("ranges"))


def _build_isolated(
    folder: Path, mode: str, calibration: list[Clip], path: Path, chunk_steps: int
) -> Conversion:
    """`_build` in a process of its own. BrokenProcessPool if that crashes."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_prepare_process) as pool:
        return pool.submit(_build, folder, mode, calibration, path, chunk_steps).result()


def _prepare_process() -> None:
    """Only tensorflow can export, whatever backend the user trains with."""
    quiet_process()
    os.environ["KERAS_BACKEND"] = "tensorflow"


def _build(
    folder: Path, mode: str, calibration: list[Clip], path: Path, chunk_steps: int
) -> Conversion:
    from ds2edge.convert.export import RangesInGraph, describe_graph, export
    from ds2edge.convert.tflite import quantize
    from ds2edge.train.model.quantization import FLOAT

    run = Run.open(folder)
    model = run.best_model()
    ranges = _choose_ranges(run, model, calibration) if mode in INT8_MODES else None
    quantizer = RangesInGraph(ranges.by_point) if ranges else FLOAT
    with tempfile.TemporaryDirectory() as scratch:
        names = export(model, chunk_steps, Path(scratch), quantizer)
        path.write_bytes(quantize(Path(scratch), names, mode))
    inspection = inspect_model(path)
    if mode in INT8_MODES:
        inspection.require_int8()
    graph = dataclasses.replace(
        describe_graph(model, mode, chunk_steps),
        calibration_clips=ranges.clips if ranges else 0,
        shares_weights=shares_weights(path),
    )
    attach_specification(path, dataclasses.replace(converted_specification(run), graph=graph))
    return Conversion(inspection, ranges.summary if ranges else "")


def _choose_ranges(run: Run, model: DeepSpeech2, clips: list[Clip]) -> _Ranges:
    """The ranges of the training where it chose some, else those of a calibration on `clips`."""
    if model.ranges:
        return _Ranges(model.ranges, 0, f"{len(model.ranges)} ranges as trained")
    from ds2edge.train.calibration import calibrate

    calibration = calibrate(model, run.specification, clips, run.recipe.augmentation)
    return _Ranges(calibration.ranges, calibration.clips, calibration.summary())
