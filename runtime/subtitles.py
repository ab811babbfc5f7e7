"""A transcript as subtitles: words in lines that a person can read while they are said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ds2edge.runtime.decoding.ctc import Word

PAUSE = 0.8  # seconds between two words that end a line
LONGEST = 6.0  # seconds of a line
LETTERS = 80  # of a line


class Cue(NamedTuple):
    """A line, and when it is shown, in seconds."""

    start: float
    end: float
    text: str


def cues(words: Sequence[Word]) -> Iterator[Cue]:
    """The lines of a transcript."""
    line: list[Word] = []
    for word in words:
        letters = sum(len(said.text) + 1 for said in line) + len(word.text)
        full = line and (
            word.end - line[0].start > LONGEST
            or letters > LETTERS
            or word.start - line[-1].end > PAUSE
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
    """SubRip."""
    blocks = [
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{cue.text}\n"
        for number, cue in enumerate(cues(words), 1)
    ]
    return "\n".join(blocks)


def vtt(words: Sequence[Word]) -> str:
    """WebVTT."""
    blocks = [
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{cue.text}\n" for cue in cues(words)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def tsv(words: Sequence[Word], name: str) -> str:
    """Lines of start and end in milliseconds, the file's name, and the text; tab-separated."""
    rows = (
        f"{round(1000 * cue.start)}\t{round(1000 * cue.end)}\t{name}\t{cue.text}"
        for cue in cues(words)
    )
    return "\n".join(rows)


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(1000 * seconds)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"
