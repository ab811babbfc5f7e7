"""What all stages of a specialisation need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ds2edge.convert.specialise.folder import Begun, Checks, Folder
from ds2edge.convert.specialise.measure import Answer, Sample, measure
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.recognizer import Recognizer
from ds2edge.train.run import Run
from ds2edge.train.synthesis.voice import Voice
from ds2edge.train.words.advice import Advice


@dataclass(frozen=True)
class Job:
    """What all stages need."""

    file: Path  # of the phrases
    advice: Sequence[Advice]
    folder: Folder
    begun: Begun
    checks: Checks
    voices: dict[str, Voice]  # by name
    parent: Run

    def phrases(self, min_confidence: float = 0.0) -> Phrases:
        """The phrases, with this threshold."""
        return Phrases.load(self.file, min_confidence)

    def recognizer(self, model: Path) -> Recognizer:
        """A recogniser of the phrases that rejects nothing."""
        return Recognizer(model, phrases=self.phrases())

    def voices_of(self, split: str) -> list[Voice]:
        """The voices that say a split."""
        names: tuple[str, ...] = getattr(self.begun.groups, split)
        return [self.voices[name] for name in names]

    def manifest(self, split: str) -> Path:
        """The synthetic speech of a split."""
        return self.folder.speech(split) / "manifest.jsonl"

    def measure(
        self, split: str, recognizer: Recognizer, samples: Sequence[Sample]
    ) -> list[Answer]:
        """Transcribes the samples, also in noise and in babble of the voices of a split."""
        talkers = str(self.folder.speech(split))
        return measure(recognizer, samples, self.begun.settings.noise, talkers)
