"""`ds2edge android`: puts a model into the assets of an Android app."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.commands.options import model_option
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import write_whole
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.recognizer import Recognizer

# Names that the library and the demo app read.
MODEL = "model.tflite"
PHRASES = "phrases.ds2ph"
CLIP = "parity.json"
SAMPLES = "parity.i16"  # mono int16, little-endian


@click.command()
@model_option
@click.option(
    "--phrases",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="All that may be said, as for `ds2edge transcribe`.",
)
@click.option(
    "--clip",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Sound file with speech. The app transcribes it and shows whether the text is the same.",
)
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Assets of the app, such as app/src/main/assets.",
)
def android(model: Path, phrases: Path | None, clip: Path | None, output: Path) -> None:
    """Put a model into the assets of an Android app.

    Files of an earlier call are replaced, or removed if this call has no phrases or no clip.
    """
    loaded = Phrases.load(phrases) if phrases else None
    recognizer = Recognizer(model, phrases=loaded)
    recognizer.specification.require_streaming(model)
    files: dict[str, bytes] = {MODEL: model.read_bytes()}
    if clip:
        files |= _parity(recognizer, clip)
    for name, content in files.items():
        write_whole(output / name, content)
    if loaded:
        loaded.save(output / PHRASES)
        files[PHRASES] = b""
    for name in {PHRASES, CLIP, SAMPLES} - set(files):
        (output / name).unlink(missing_ok=True)
    click.echo(f"{output}: {', '.join(sorted(files))}")


def _parity(recognizer: Recognizer, clip: Path) -> dict[str, bytes]:
    """The samples of the clip at the model's rate, and the text that they must have.

    InputError if the model hears nothing in the clip: then nothing is compared.
    """
    rate = recognizer.specification.features.sample_rate
    samples = np.clip(read_audio(clip, rate) * 32768, -32768, 32767).astype("<i2")
    text = recognizer.transcribe(samples, rate).text
    if not text:
        raise InputError(f"{clip}: no speech is recognised: choose another clip")
    return {
        CLIP: json.dumps({"rate": rate, "text": text}).encode(),
        SAMPLES: samples.tobytes(),
    }
