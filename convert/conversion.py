"""From a run to a self-describing .tflite file."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from ds2edge.convert import INT8_MODES
from ds2edge.convert.inspection import Inspection, inspect_model
from ds2edge.runtime.errors import GateNotMet, InputError
from ds2edge.runtime.specification import attach_specification
from ds2edge.train.manifest import Clip


def convert(run: Path, mode: str, calibration: list[Clip], output: Path, chunk_steps: int) -> Inspection:
    """Converts the best epoch of `run` and writes `output`, whole or not at all.

    The work is done in a process of its own, since the converter has been seen to crash (tensorflow#76672): a crash
    becomes a GateNotMet, as does an int8 model that is not int8 throughout. `calibration` is needed in the int8 modes
    only.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    beside = output.with_name(output.name + ".part")
    try:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            inspection = pool.submit(_build, run, mode, calibration, beside, chunk_steps).result()
        os.replace(beside, output)
    except BrokenProcessPool:
        raise GateNotMet(f"{run}: the converter crashed in mode {mode}; nothing was written to {output}") from None
    finally:
        beside.unlink(missing_ok=True)
    return inspection


def _build(folder: Path, mode: str, calibration: list[Clip], path: Path, chunk_steps: int) -> Inspection:
    from ds2edge.convert.calibration import calibration_inputs, choose_clips
    from ds2edge.convert.export import export, step_graph
    from ds2edge.convert.quantizer import quantize
    from ds2edge.train.run import Run

    run = Run.open(folder)
    if run.recipe.model.direction != "forward":
        raise InputError(f"{folder}: a {run.recipe.model.direction} model cannot be converted yet, only evaluated")
    model = run.best_model()
    clips = choose_clips(calibration)
    graph = step_graph(model, mode, chunk_steps, len(clips))
    facts = run.specification.training | run.best_figures()
    specification = dataclasses.replace(run.specification, graph=graph, training=facts)
    with tempfile.TemporaryDirectory() as saved_model:
        export(model, graph, Path(saved_model))
        inputs = calibration_inputs(model, specification, clips, run.recipe.augmentation)
        path.write_bytes(quantize(Path(saved_model), mode, inputs))
    inspection = inspect_model(path)
    if mode in INT8_MODES:
        inspection.require_int8()
    attach_specification(path, specification)
    return inspection
