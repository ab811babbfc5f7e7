"""`ds2edge transcribe`: transcribes sound files."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ds2edge.runtime.audio.file_types import expand_folders
from ds2edge.runtime.audio.level import QUIET, QUIET_FOR_FIXED_LEVEL
from ds2edge.runtime.audio.reader import AudioFile
from ds2edge.runtime.commands.options import (
    channel_option,
    decoding_options,
    model_option,
    threads_option,
)
from ds2edge.runtime.commands.output import Output, require_writable
from ds2edge.runtime.decoding.beam import BeamDecoder
from ds2edge.runtime.decoding.ctc import DecoderFactory
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.recognizer import Recognizer
from ds2edge.runtime.stream import Result
from ds2edge.runtime.subtitles import srt, tsv, vtt

log = logging.getLogger("ds2edge")

FORMATS = ("text", "json", "srt", "vtt", "tsv")
SUBTITLES = ("srt", "vtt")
MIN_PROGRESS_SECONDS = 60  # shorter files get no progress bar


@click.command()
@click.argument("audio", nargs=-1, required=True, type=click.Path(path_type=Path))
@model_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Output file; for subtitles of several files, the output folder.",
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="Output format. json has times and confidence of each word.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object per file; short for --format json.",
)
@click.option(
    "--alternatives",
    type=click.IntRange(1, 100),
    metavar="N",
    help="Give the N best texts with their scores; needs --beam, --lm or --hotwords. "
    "In a long recording, they differ only near the end.",
)
@channel_option
@threads_option
@decoding_options
def transcribe(
    audio: tuple[Path, ...],
    model: Path,
    output: Path | None,
    output_format: str,
    as_json: bool,
    alternatives: int | None,
    channel: int | None,
    threads: int,
    decoder: DecoderFactory,
) -> None:
    """Transcribe sound files.

    AUDIO is a file, a folder (all sound files in it) or - for standard input. Files may have any
    format, sample rate, number of channels and length. A file that cannot be read is reported and
    skipped; the exit code is then 2.
    """
    output_format = "json" if as_json else output_format
    files = expand_folders(audio)
    several = len(files) > 1 or any(path.is_dir() for path in audio)
    _check_format(output, output_format, several, alternatives)
    folder = output if several and output_format in SUBTITLES else None
    if folder:
        require_writable(folder / f"subtitles.{output_format}")
    recognizer = Recognizer(model, threads=threads, decoder=decoder)
    if alternatives and not isinstance(recognizer.decoder(), BeamDecoder):
        raise InputError(
            "--alternatives needs a beam search: give --beam, --lm or --hotwords, not --phrases"
        )
    with Output(None if folder else output) as lines:
        writer = ResultWriter(lines, folder, output_format, several)
        totals = _transcribe_all(recognizer, files, channel, alternatives or 0, writer)
    totals.report(f"{recognizer.network.interpreter}, {threads} thread{'s' if threads > 1 else ''}")
    if totals.failures:
        if len(files) > 1:
            message = f"error: {totals.failures} of {len(files)} files could not be read"
            click.echo(message, err=True)
        sys.exit(2)


def _check_format(
    output: Path | None, output_format: str, several: bool, alternatives: int | None
) -> None:
    """Raises InputError if the output format does not go with other options."""
    if several and output_format in SUBTITLES and output is None:
        raise InputError(
            f"--format {output_format} of several files: give -o FOLDER for the subtitle files"
        )
    if alternatives and output_format not in ("text", "json"):
        raise InputError(f"--alternatives: --format {output_format} has no room: use text or json")


def _transcribe_all(
    recognizer: Recognizer,
    files: Sequence[Path],
    channel: int | None,
    alternatives: int,
    writer: ResultWriter,
) -> Totals:
    """Transcribes files one after the other; reports and skips those that cannot be read."""
    totals = Totals()
    for path in files:
        started = time.perf_counter()
        try:
            result = _transcribe(recognizer, path, channel, alternatives)
        except InputError as error:
            click.echo(f"error: {error}", err=True)
            totals.failures += 1
            continue
        elapsed = time.perf_counter() - started
        totals.audio_seconds += result.duration
        totals.elapsed_seconds += elapsed
        writer.write(path, result, elapsed)
    return totals


def _transcribe(
    recognizer: Recognizer, path: Path, channel: int | None, alternatives: int
) -> Result:
    """Transcribes a file, with a progress bar for long files on a terminal."""
    audio = AudioFile(path, channel)
    duration = audio.header_duration
    if sys.stderr.isatty() and MIN_PROGRESS_SECONDS <= duration < float("inf"):
        with click.progressbar(length=int(duration), label=path.name, file=sys.stderr) as bar:
            result = recognizer.transcribe(
                audio,
                alternatives=alternatives,
                progress=lambda seconds: bar.update(round(seconds)),
            )
    else:
        result = recognizer.transcribe(audio, alternatives=alternatives)
    adapts = recognizer.specification.features.level_rise
    if warning := audio.level.warning(QUIET if adapts else QUIET_FOR_FIXED_LEVEL):
        log.warning("%s: %s", path, warning)
    return result


@dataclass
class Totals:
    """What the command has done so far."""

    audio_seconds: float = 0.0
    elapsed_seconds: float = 0.0
    failures: int = 0  # files that could not be read

    def report(self, engine: str) -> None:
        """Prints the speed on standard error, if anything was transcribed."""
        if self.audio_seconds:
            factor = self.elapsed_seconds / self.audio_seconds
            click.echo(
                f"{self.audio_seconds:.1f} s of audio in {self.elapsed_seconds:.2f} s: "
                f"real-time factor {factor:.3f} ({engine})",
                err=True,
            )


class ResultWriter:
    """Writes results as lines of one output, or as one subtitle file per sound file."""

    def __init__(
        self, lines: Output, folder: Path | None, output_format: str, several: bool
    ) -> None:
        """`folder`: for subtitle files; None writes to `lines`. `several`: name the sound files."""
        self._lines = lines
        self._folder = folder
        self._format = output_format
        self._several = several

    def write(self, path: Path, result: Result, elapsed: float) -> None:
        """Writes the result for a sound file. `elapsed`: seconds that recognition took."""
        text = self._render(path, result, elapsed)
        if self._folder is None:
            self._lines.line(text)
        else:
            with Output(_unused_path(self._folder, path.stem, self._format)) as subtitles:
                subtitles.line(text)

    def _render(self, path: Path, result: Result, elapsed: float) -> str:
        if self._format == "json":
            return _as_json(path, result, elapsed)
        if self._format == "srt":
            return srt(result.words)
        if self._format == "vtt":
            return vtt(result.words)
        if self._format == "tsv":
            return tsv(result.words, _one_line(path))
        prefix = f"{_one_line(path)}: " if self._several else ""
        if not result.alternatives:
            return prefix + result.text
        lines = [f"{prefix}{a.score:.2f} {a.text}" for a in result.alternatives]
        return "\n".join(lines)


def _one_line(path: Path) -> str:
    """The path with spaces in place of line breaks and tabs, which a file name may have."""
    return re.sub(r"[\n\r\t]", " ", str(path))


def _as_json(path: Path, result: Result, elapsed: float) -> str:
    factor = round(elapsed / result.duration, 4) if result.duration else None
    record: dict[str, Any] = {
        "audio": str(path),
        "text": result.text,
        "words": [dataclasses.asdict(word) for word in result.words],
        "seconds": result.duration,
        "real_time_factor": factor,
    }
    if result.meaning:
        record |= dataclasses.asdict(result.meaning)
    if result.alternatives:
        record["alternatives"] = [
            {"text": alternative.text, "score": round(alternative.score, 3)}
            for alternative in result.alternatives
        ]
    return json.dumps(record, ensure_ascii=False)


def _unused_path(folder: Path, stem: str, suffix: str) -> Path:
    """Returns a path in a folder that does not exist yet: two sound files may share a name."""
    path = folder / f"{stem}.{suffix}"
    number = 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.{suffix}"
    return path
