"""Prints and stores the results of `ds2edge listen`."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from pathlib import Path
from typing import Any

import click

from ds2edge.runtime.listener import Listener
from ds2edge.runtime.live.block import Block
from ds2edge.runtime.live.display import LiveLine
from ds2edge.runtime.live.transcript import JsonLines, Recordings, final_event
from ds2edge.runtime.phrases.wake import Wake
from ds2edge.runtime.utterances import Utterance

log = logging.getLogger("ds2edge")


class ListenOutput:
    """Prints partial and final text, and stores final utterances where that was asked for."""

    def __init__(self, as_json: bool, log_path: Path | None, save: Path | None, rate: int) -> None:
        """`log_path`: file for JSON lines. `save`: folder for recordings. `rate`: theirs in Hz.

        Raises InputError if one of them cannot be written.
        """
        self._as_json = as_json
        self._log = JsonLines(log_path) if log_path else None
        self._recordings = Recordings(save, rate) if save else None
        self._line = LiveLine()
        self._partial = ""

    def __enter__(self) -> ListenOutput:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._log:
            self._log.close()
        if self._recordings:
            self._recordings.close()

    def show(self, utterances: list[Utterance], listener: Listener, block: Block) -> None:
        """Shows the utterances that ended with a block, and the partial text after it."""
        self._finals(utterances, listener, block.captured)
        partial = listener.partial()
        if partial and partial != self._partial and self._as_json:
            _print_json({"event": "partial", "text": partial, "heard": round(listener.duration, 3)})
        self._partial = partial
        self._line.draw(block.samples, partial)

    def show_wake(self, wake: Wake) -> None:
        """Shows that a wake phrase was heard."""
        if self._as_json:
            _print_json({"event": "wake", **dataclasses.asdict(wake)})
        else:
            self._line.clear()
            click.echo(f"{wake.text} ...", err=True)

    def finish(self, listener: Listener) -> None:
        """Ends the recording and shows the last utterances."""
        started = time.monotonic()
        self._line.clear()
        self._finals(listener.finish(), listener, started)

    def _finals(self, utterances: list[Utterance], listener: Listener, captured: float) -> None:
        for utterance in utterances:
            # From the last word to the endpoint, plus waiting in the queue and computing.
            latency = listener.duration - utterance.end + time.monotonic() - captured
            event = final_event(utterance, latency)
            self._store(utterance, event)  # first, so that nothing is lost that was shown
            self._line.clear()
            if self._as_json:
                _print_json(event)
            else:
                click.echo(utterance.text)

    def _store(self, utterance: Utterance, event: dict[str, Any]) -> None:
        try:
            if self._log:
                self._log.append(event)
            if self._recordings:
                self._recordings.add(utterance)
        except OSError as error:  # keep listening when the disk is full
            reason = error.strerror or error
            log.warning("%s: an utterance could not be stored: %r", reason, utterance.text)


def _print_json(event: dict[str, Any]) -> None:
    click.echo(json.dumps(event, ensure_ascii=False))
