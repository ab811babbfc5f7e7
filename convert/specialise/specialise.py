"""From a file of phrases to a model that recognises them: the stages of `ds2edge specialise`.

Each stage leaves a file. A stage whose file is there is not run again, so an interrupted command
goes on where it stopped.
"""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

from ds2edge.convert.conversion import convert_run
from ds2edge.convert.specialise.evaluation import evaluate
from ds2edge.convert.specialise.folder import Begun, Checks, Folder, Settings, digest
from ds2edge.convert.specialise.job import Job
from ds2edge.convert.specialise.measure import read_samples
from ds2edge.convert.specialise.other_speech import recorded_speech, synthetic_speech
from ds2edge.convert.specialise.recipe import specialised_recipe
from ds2edge.convert.specialise.report import write_report
from ds2edge.convert.specialise.threshold import Threshold, choose_threshold
from ds2edge.convert.specialise.voice_groups import group_voices
from ds2edge.runtime.audio.file_types import expand_folders
from ds2edge.runtime.phrases.embedded import embed
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.files import make_folder
from ds2edge.train.lock import alone_in
from ds2edge.train.run import LAST, Run
from ds2edge.train.synthesis.job import synthesise
from ds2edge.train.synthesis.voices import choose_voices
from ds2edge.train.trainer import train
from ds2edge.train.words.advice import advise
from ds2edge.train.words.sentences import enough_lines, held_out_lines, training_lines

log = logging.getLogger("ds2edge")

# Speech to choose the epoch and the threshold by, and to test with, as a share of that to train on.
DEV_SHARE = 0.1
TEST_SHARE = 0.25
SAMPLED_LINES = 200  # to estimate how many lines fill the hours
LETTERS_PER_SECOND = 18.0
PAUSES = 0.35  # seconds around a line
LEAST_LINES = 20  # of dev and test, so that each kind of line has some
NAMED_ADVICE = 20  # the report has all
CHUNK_SECONDS = 0.32  # of a run of the graph


def specialise(file: Path, output: Path, settings: Settings, checks: Checks) -> Folder:
    """Makes a model and a report in `output`, or goes on where an earlier call stopped.

    `file`: templates, or one phrase in each line. With other `checks` than before, only the
    threshold and the report are made again.

    InputError for bad phrases, a missing voice, or other phrases or settings than the folder was
    begun with.
    """
    with alone_in(output):
        job = _begin(file, Folder(output), settings, checks)
        folder = job.folder
        if not folder.int8_model.exists():
            _synthesise(job, "train", 1.0)
            _synthesise(job, "dev", DEV_SHARE)
            _train(job)
            _convert(job)
        if not folder.threshold.exists():
            _choose_threshold(job)
        if not folder.model.exists():
            _finish_model(job)
        if not folder.report.exists():
            _synthesise(job, "test", TEST_SHARE)
            write_report(evaluate(job), folder)
    return folder


def _begin(file: Path, folder: Folder, settings: Settings, checks: Checks) -> Job:
    """Checks the input, and records what the folder is begun with."""
    phrases = Phrases.load(file)
    parent = Run.open(settings.init_from)
    parent.best_figures()  # InputError if no epoch is finished
    phrases.graph(parent.specification.alphabet)  # InputError for a letter that it lacks
    _require_usable(settings, checks, phrases)
    begun = folder.begun()
    if begun:
        folder.require_same(begun, digest(phrases), settings)
        voices = choose_voices([*{*begun.groups.train, *begun.groups.dev, *begun.groups.test}])
    else:
        voices = choose_voices(settings.voices)
        begun = Begun(digest(phrases), settings, group_voices([voice.name for voice in voices]))
    make_folder(folder.work)
    folder.begin(begun)
    folder.set_checks(checks)
    advice = advise(phrases)
    for item in advice[:NAMED_ADVICE]:
        log.warning("%s", item)
    if len(advice) > NAMED_ADVICE:
        log.warning("%d more phrases have a problem: see the report", len(advice) - NAMED_ADVICE)
    by_name = {voice.name: voice for voice in voices}
    return Job(file, advice, folder, begun, checks, by_name, parent)


def _require_usable(settings: Settings, checks: Checks, phrases: Phrases) -> None:
    """InputError for sound folders without sound and for recordings that say no phrase.

    Otherwise the error would come after the training.
    """
    expand_folders(map(Path, filter(None, [settings.noise, *checks.other_speech])))
    if checks.recordings:
        read_samples(Path(checks.recordings), phrases)


def _synthesise(job: Job, split: str, share: float) -> None:
    """Says the lines of a split, for a share of the hours to train on."""
    settings = job.begun.settings
    phrases = job.phrases()
    lines_of = training_lines if split == "train" else partial(held_out_lines, split=split)
    sampled = lines_of(phrases, SAMPLED_LINES, settings.seed)
    seconds = sum(PAUSES + len(line.text) / LETTERS_PER_SECOND for line in sampled) / len(sampled)
    least = enough_lines(phrases) if split == "train" else LEAST_LINES
    count = max(least, round(3600 * share * settings.hours / seconds))
    voices = job.voices_of(split)
    log.info("%s: saying %d lines in %d voices", split, count, len(voices))
    lines = lines_of(phrases, count, settings.seed)
    synthesise(lines, voices, job.folder.speech(split), settings.seed)


def _train(job: Job) -> None:
    """Trains the parent's network on, from the newest epoch if there is one."""
    folder = job.folder
    settings = job.begun.settings
    name = folder.path.resolve().name
    recipe = specialised_recipe(
        job.parent, name, job.voices_of("train"), folder.speech("train"), settings
    )
    manifests = [job.manifest("train"), job.manifest("dev")]
    resume = (folder.run / LAST).exists()
    parent = None if resume else job.parent.folder
    train(recipe, manifests, folder.run, resume, parent, folder.cache)


def _convert(job: Job) -> None:
    """Converts the best epoch to float32, for the comparison, and to int8."""
    folder = job.folder
    run = Run.open(folder.run)
    attended = run.recipe.model.attention_chunk
    step_seconds = run.recipe.model.step_seconds(run.recipe.features)
    steps = attended * max(1, round(CHUNK_SECONDS / step_seconds / attended))
    clips = [*read_manifest(job.manifest("train")), *read_manifest(job.manifest("dev"))]
    convert_run(folder.run, "float32", [], folder.float_model, steps)
    conversion = convert_run(folder.run, "int8", clips, folder.int8_model, steps)
    log.info("%s", conversion.calibration)


def _choose_threshold(job: Job) -> None:
    """Chooses the least confidence on the voices of dev, and on recordings of other speech."""
    checks = job.checks
    recognizer = job.recognizer(job.folder.int8_model)
    samples = read_samples(job.manifest("dev"), job.phrases())
    answers = job.measure("dev", recognizer, samples)
    other = synthetic_speech(answers)
    if checks.other_speech:
        other += recorded_speech(recognizer, checks.other_speech, test=False)
    threshold = choose_threshold(answers, other, checks.false_accepts)
    threshold.save(job.folder.threshold)


def _finish_model(job: Job) -> None:
    """Puts the phrases and their threshold into the model."""
    threshold = Threshold.load(job.folder.threshold)
    embed(job.folder.int8_model, job.phrases(threshold.value), job.folder.model)
