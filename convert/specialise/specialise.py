"""From a file of phrases to a model that recognises them: the stages of `ds2edge specialise`.

Each stage leaves a file. A stage whose file is there is not run again, so an interrupted command
goes on where it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ds2edge.convert.conversion import convert_run
from ds2edge.convert.specialise.evaluation import evaluate, phrases_of
from ds2edge.convert.specialise.folder import Begun, Checks, Folder, Settings, digest
from ds2edge.convert.specialise.measure import measure, read_samples
from ds2edge.convert.specialise.recipe import specialised_recipe
from ds2edge.convert.specialise.report import write_report
from ds2edge.convert.specialise.threshold import Threshold, choose_threshold, other_speech
from ds2edge.convert.specialise.voice_groups import group_voices
from ds2edge.runtime.audio.file_types import expand_folders
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.recognizer import Recognizer
from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.files import make_folder
from ds2edge.train.lock import alone_in
from ds2edge.train.run import LAST, Run
from ds2edge.train.synthesis.job import synthesise
from ds2edge.train.synthesis.line import Line
from ds2edge.train.synthesis.voice import Voice
from ds2edge.train.synthesis.voices import choose_voices, installed_voices
from ds2edge.train.trainer import train
from ds2edge.train.words.advice import Advice, advise
from ds2edge.train.words.sentences import test_lines, training_lines

log = logging.getLogger("ds2edge")

# Speech to choose the epoch and the threshold by, and to test with, as a share of that to train on.
DEV_SHARE = 0.1
TEST_SHARE = 0.25
SAMPLED_LINES = 200  # to estimate how many lines fill the hours
CHUNK_SECONDS = 0.32  # of a run of the graph


@dataclass(frozen=True)
class Job:
    """What all stages need."""

    phrases: Phrases
    advice: list[Advice]
    folder: Folder
    settings: Settings
    checks: Checks
    voices: dict[str, list[Voice]]  # by split
    parent: Run


def specialise(file: Path, folder: Path, settings: Settings, checks: Checks) -> Folder:
    """Makes a model and a report in `folder`, or goes on where an earlier call stopped.

    `file`: templates, or one phrase in each line. With other `checks` than before, only the
    threshold and the report are made again.

    InputError for bad phrases, a missing voice, or other phrases or settings than the folder was
    begun with.
    """
    with alone_in(folder):
        job = _begin(file, Folder(folder), settings, checks)
        place = job.folder
        if not place.int8_model.exists():
            _say("train", training_lines, job, settings.hours)
            _say("dev", test_lines, job, DEV_SHARE * settings.hours)
            _train(job)
            _convert(job)
        if not place.threshold.exists():
            _choose_threshold(job)
        if not place.model.exists():
            _finish_model(job)
        if not place.report.exists():
            _say("test", test_lines, job, TEST_SHARE * settings.hours)
            write_report(evaluate(job), place)
    return place
