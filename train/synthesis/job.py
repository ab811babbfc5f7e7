"""Says many sentences, on all cores, into a folder with a manifest."""

from __future__ import annotations

import json
import logging
import random
import signal
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import count, islice
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import read_text, write_whole
from ds2edge.train.data.skipped import name_some
from ds2edge.train.files import make_folder
from ds2edge.train.lock import alone_in
from ds2edge.train.progress import track_amount
from ds2edge.train.synthesis.clip import SpokenClip, Task, draw_voice, make_clip
from ds2edge.train.synthesis.line import Line
from ds2edge.train.synthesis.voice import Voice
from ds2edge.train.synthesis.voices import engine_of

log = logging.getLogger("ds2edge")


def synthesise(
    lines: Sequence[Line],
    voices: Sequence[Voice],
    folder: Path,
    seed: int = 1,
    hours: float | None = None,
    processes: int = -1,
) -> Path:
    """Says the lines into `folder`/audio and returns the path of `folder`/manifest.jsonl.

    Every line is said once, in the given order. With `hours`, the lines are said again and again,
    each time in another order and by other voices, until there is so much speech.

    Clip number n depends only on `seed`, n, its line and `voices`. So a job that was stopped
    continues as if it had not been, and one with more hours, or with more lines at the end, adds
    clips. Lines that cannot be said are named, counted and left out.

    `processes` is the number of worker processes: -1 is one for each core, and with 1 this process
    works itself. InputError if there are no lines or no voices, if nothing can be said, and if the
    folder holds other clips, is used by another job or cannot be written.
    """
    if not lines:
        raise InputError(f"{folder}: there is no sentence to say")
    if not voices:
        raise InputError(f"{folder}: there is no voice to say the sentences")
    make_folder(folder)
    manifest = folder / "manifest.jsonl"
    with alone_in(folder):
        tasks = once(lines, seed) if hours is None else repeatedly(lines, seed)
        writer = _Writer(manifest, skip_finished(tasks, manifest, voices), len(lines))
        amount = f"{len(lines)} sentences" if hours is None else f"{hours:g} hours"
        total = len(lines) if hours is None else 3600 * hours
        with (
            closing(_make(tasks, voices, processes)) as made,
            track_amount(f"saying {amount}", total) as show,
        ):
            while (done := writer.tried if hours is None else writer.seconds) < total:
                show(done)
                writer.add(next(made))
        writer.report(voices)
    return manifest


def once(lines: Sequence[Line], seed: int) -> Iterator[Task]:
    """Every line, in order."""
    return (Task(number, line, seed) for number, line in enumerate(lines))


def repeatedly(lines: Sequence[Line], seed: int) -> Iterator[Task]:
    """Every line in a random order, then all of them again in another, without end."""
    for turn in count():
        order = list(range(len(lines)))
        random.Random(f"{seed}|turn {turn}").shuffle(order)
        for place, index in enumerate(order):
            yield Task(turn * len(lines) + place, lines[index], seed)


def skip_finished(
    tasks: Iterator[Task], manifest: Path, voices: Sequence[Voice]
) -> list[dict[str, Any]]:
    """Advances `tasks` behind the clips of an earlier job, and returns their lines of the manifest.

    Removes an unfinished last line. InputError if the clips are not those of `tasks`.
    """
    if not manifest.exists():
        return []
    whole, newline, torn = read_text(manifest).rpartition("\n")
    if torn:
        write_whole(manifest, whole + newline)
    rows: list[dict[str, Any]] = []
    for line in filter(None, whole.split("\n")):
        try:
            row = json.loads(line)
            earlier = _number(rows[-1]) + 1 if rows else 0
            task = next(islice(tasks, _number(row) - earlier, None))
            expected = task.row(draw_voice(voices, task.rng()), float(row["duration"]))
            fits = row == expected
        except (ValueError, TypeError, KeyError, StopIteration):
            fits = False
        if not fits:
            raise InputError(
                f"{manifest}: holds clips of another job: choose another folder with -o, or give "
                "the sentences, voices and seed of that job"
            )
        rows.append(row)
    return rows


def _number(row: dict[str, Any]) -> int:
    return int(Path(row["audio"]).stem)


def _make(
    tasks: Iterator[Task], voices: Sequence[Voice], processes: int
) -> Generator[SpokenClip | str, None, None]:
    """The clips in the order of their tasks."""
    # Ctrl-C reaches the workers too. Only this process answers it: it kills them.
    parallel = Parallel(n_jobs=processes, return_as="generator", initializer=_ignore_interrupts)
    try:
        yield from parallel(delayed(make_clip)(task, voices) for task in tasks)
    except TerminatedWorkerError:
        raise InputError(
            "a worker process was killed, perhaps because memory ran out: run this again to "
            "continue"
        ) from None
    finally:
        get_reusable_executor().shutdown(kill_workers=True)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Writer:
    """Writes clips into the folder, and counts them and what could not be said."""

    def __init__(self, manifest: Path, rows: Sequence[dict[str, Any]], lines: int) -> None:
        self.manifest = manifest
        self.lines = lines
        self.clips = len(rows)
        self.seconds = sum(row["duration"] for row in rows)
        self.tried = _number(rows[-1]) + 1 if rows else 0
        self.problems: list[str] = []

    def add(self, made: SpokenClip | str) -> None:
        """Writes a clip, or notes why there is none. InputError if nothing at all can be said."""
        self.tried += 1
        if isinstance(made, str):
            self.problems.append(made)
            if self.tried >= self.lines and not self.clips:
                raise InputError(f"none of {self.lines} sentences can be said; the first: {made}")
            return
        write_whole(self.manifest.parent / str(made.row["audio"]), made.sound)
        with self.manifest.open("a", encoding="utf-8") as file:
            file.write(json.dumps(made.row) + "\n")
        self.clips += 1
        self.seconds += float(made.row["duration"])

    def report(self, voices: Sequence[Voice]) -> None:
        """Names what could not be said, and says what there is."""
        name_some(self.problems, self.tried)
        if self.clips < self.tried:
            log.warning("skipped %d of %d clips", self.tried - self.clips, self.tried)
        log.info("%s: %d clips, %.2f h", self.manifest, self.clips, self.seconds / 3600)
        for licence in sorted({f"{engine_of(voice.name)}: {voice.licence}" for voice in voices}):
            log.info("licence of the voices of %s", licence)
