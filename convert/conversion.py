"""From a run to a self-describing .tflite file."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ds2edge.convert import CALIBRATED, INT8_MODES
from ds2edge.convert.inspection import Inspection, inspect_model, shares_weights
from ds2edge.runtime.errors import InputError, QualityCheckFailed
from ds2edge.runtime.quiet import quiet_process
from ds2edge.runtime.specification import attach_specification
from ds2edge.train.data.manifest import Clip

MOST_REPRESENTATIVE = 20  # clips that the converter observes in its 16-bit mode, slowly


@dataclass(frozen=True)
class Conversion:
    """What became of a run."""

    inspection: Inspection
    calibration: str = (
        ""  # how the ranges were chosen, for people; "" where there are none to choose
    )


def convert(
    run: Path, mode: str, calibration: list[Clip], output: Path, chunk_steps: int
) -> Conversion:
    """Converts the best epoch of `run` and writes `output`, whole or not at all.

    The work is done in a process of its own, since the converter has been seen to crash (tensorflow#76672): a crash
    becomes a QualityCheckFailed, as does an int8 model that is not int8 throughout. `calibration` is needed in the modes
    CALIBRATED only, and not for a run whose training knew its ranges.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    beside = output.with_name(output.name + ".part")
    try:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context, initializer=quiet_process) as pool:
            conversion = pool.submit(_build, run, mode, calibration, beside, chunk_steps).result()
        os.replace(beside, output)
    except BrokenProcessPool:
        raise QualityCheckFailed(
            f"{run}: the converter crashed in mode {mode}; nothing was written to {output}"
        ) from None
    finally:
        beside.unlink(missing_ok=True)
    return conversion


def _build(folder: Path, mode: str, clips: list[Clip], path: Path, chunk_steps: int) -> Conversion:
    from ds2edge.convert.export import RangesInGraph, export, step_graph
    from ds2edge.convert.representative_dataset import representative_inputs
    from ds2edge.convert.tflite import quantize
    from ds2edge.train.calibration import calibrate
    from ds2edge.train.calibration_clips import choose_clips
    from ds2edge.train.model.quantization import FLOAT
    from ds2edge.train.run import Run

    run = Run.open(folder)
    model = run.best_model()
    if mode in CALIBRATED and not clips and not (model.ranges and mode in INT8_MODES):
        raise InputError(f"{folder}: mode {mode} needs --calibration MANIFEST: real speech")
    facts: dict[str, Any] = run.specification.training | run.best_figures()
    quantizer, inputs, calibrated, said = FLOAT, iter(()), 0, ""
    graph = step_graph(model, mode, chunk_steps)
    if mode in INT8_MODES and model.ranges:
        quantizer, said = RangesInGraph(model.ranges), f"{len(model.ranges)} ranges as trained"
    elif mode in INT8_MODES:
        calibration = calibrate(model, run.specification, clips, run.recipe.augmentation)
        quantizer, calibrated, said = (
            RangesInGraph(calibration.ranges),
            calibration.clips,
            calibration.summary(),
        )
    elif mode == "int16x8":
        chosen = choose_clips(clips, ("train", "dev", "test"))[:MOST_REPRESENTATIVE]
        specification = dataclasses.replace(run.specification, graph=graph)
        inputs, calibrated = representative_inputs(model, specification, chosen), len(chosen)
    graph = dataclasses.replace(graph, calibration_clips=calibrated)
    with tempfile.TemporaryDirectory() as saved_model:
        names = export(model, graph, Path(saved_model), quantizer)
        path.write_bytes(quantize(Path(saved_model), names, mode, inputs))
    inspection = inspect_model(path)
    if mode in INT8_MODES:
        inspection.require_int8()
    graph = dataclasses.replace(graph, shares_weights=shares_weights(path))
    attach_specification(path, dataclasses.replace(run.specification, graph=graph, training=facts))
    return Conversion(inspection, said)
