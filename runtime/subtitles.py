"""Writes a transcript as subtitles, in lines short enough to read as they are spoken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ds2edge.runtime.decoding.ctc import Word

MAX_PAUSE = 0.8  # seconds between two words of one line
MAX_SECONDS = 6.0  # duration of a line
MAX_LETTERS = 80  # length of a line


class Cue(NamedTuple):
    """One line of subtitles with the times in seconds at which it is shown and hidden."""

    start: float
    end: float
    text: str


def cues(words: Sequence[Word]) -> Iterator[Cue]:
    """Divides a transcript into lines."""
    line: list[Word] = []
    for word in words:
        letters = sum(len(earlier.text) + 1 for earlier in line) + len(word.text)
        full = line and (
            word.end - line[0].start > MAX_SECONDS
            or letters > MAX_LETTERS
            or word.start - line[-1].end > MAX_PAUSE
        )
        if full:
            yield _cue(line)
            line = []
        line.append(word)
    if line:
        yield _cue(line)


def _cue(line: Sequence[Word]) -> Cue:
    return Cue(line[0].start, line[-1].end, " ".join(word.text for word in line))


def srt(words: Sequence[Word]) -> str:
    """A transcript in the SubRip format."""
    blocks = [
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{cue.text}\n"
        for number, cue in enumerate(cues(words), 1)
    ]
    return "\n".join(blocks)


def vtt(words: Sequence[Word]) -> str:
    """A transcript in the WebVTT format."""
    blocks = [
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{cue.text}\n" for cue in cues(words)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def tsv(words: Sequence[Word], name: str) -> str:
    """A transcript as tab-separated lines: start and end in ms, name of the file, text."""
    rows = (
        f"{round(1000 * cue.start)}\t{round(1000 * cue.end)}\t{name}\t{cue.text}"
        for cue in cues(words)
    )
    return "\n".join(rows)


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(1000 * seconds)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"
