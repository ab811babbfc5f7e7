"""The recipe of a specialised model: how the network of another run is trained on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ds2edge.convert.specialise.folder import Settings
from ds2edge.train.recipe import Augmentation, Recipe, TrainingSettings
from ds2edge.train.run import Run
from ds2edge.train.synthesis.voice import Voice
from ds2edge.train.synthesis.voices import engine_of
from ds2edge.train.words.sentences import GENERAL_SPEECH_LICENCE

# Synthetic speech is clean and close to the microphone, so rooms, noise, lines and levels vary
# much. The model must also learn to hear nothing in the noise before and after a phrase, and to
# understand a recording that begins with its phrase.
AUGMENTATION = Augmentation(
    speed=(0.88, 1.15),
    silence_probability=0.8,
    leading_silence=(0.0, 1.5),
    trailing_silence=(0.0, 1.0),
    room_probability=0.5,
    noise_probability=0.7,
    noise_snr_db=(0.0, 35.0),
    codec_probability=0.2,
    gain_db=(-25.0, 0.0),
    frequency_mask_bins=10,
    time_masks=1,
)
BATCH_SECONDS = 100.0
LEAST_BATCHES = 4  # of an epoch; Keras needs two to see that their lengths vary
LEARNING_RATE = 4e-4


def specialised_recipe(
    parent: Run, name: str, voices: Sequence[Voice], talkers: Path, settings: Settings
) -> Recipe:
    """A recipe with the network, features and symbols of `parent`.

    `talkers`: folder of speech, of which babble is made.
    """
    terms = [parent.recipe.licence, licences(voices), GENERAL_SPEECH_LICENCE]
    return Recipe(
        name=name,
        licence="; ".join(filter(None, terms)),
        model=parent.recipe.model,
        text=parent.recipe.text,
        features=parent.recipe.features,
        augmentation=replace(
            AUGMENTATION, noise_folder=settings.noise, babble_folder=str(talkers.absolute())
        ),
        training=TrainingSettings(
            epochs=settings.epochs,
            batch_seconds=min(BATCH_SECONDS, 3600 * settings.hours / LEAST_BATCHES),
            learning_rate=LEARNING_RATE,
            seed=settings.seed,
        ),
    )


def licences(voices: Sequence[Voice]) -> str:
    """The engines of the voices and their licences, such as "voices: flite (BSD)"."""
    engines: dict[str, set[str]] = defaultdict(set)
    for voice in voices:
        engines[engine_of(voice.name)].add(voice.licence)
    named = (f"{engine} ({', '.join(sorted(terms))})" for engine, terms in sorted(engines.items()))
    return f"voices: {', '.join(named)}"
