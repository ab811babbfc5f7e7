"""What the tests of `ds2edge.train.words` share."""

from __future__ import annotations

from pathlib import Path

from ds2edge.runtime.phrases.phrases import Phrases

SOUNDS = dict(zip("abcdefghijklmnopqrstuvwxyz", "æbkdɛfɡhɪʤklmnɑpkɹstʌvwsjz", strict=True))
COFFEE = Path(__file__).parents[1] / "benchmarks" / "coffee.yaml"


class Letters:
    """Pronunciations that need no dictionary: each letter is a phone."""

    def word(self, word: str) -> str:
        return "".join(SOUNDS.get(letter, "") for letter in word)

    def is_guess(self, word: str) -> bool:
        return False


def templates(folder: Path, text: str) -> Phrases:
    """The phrases of a YAML text."""
    path = folder / "phrases.yaml"
    path.write_text(text, "utf-8")
    return Phrases.load(path)


def names(folder: Path, count: int) -> Phrases:
    """Two templates, one with a list of `count` names, and numbers up to 100."""
    values = ", ".join(f"name {_letters(number)}" for number in range(count))
    return templates(
        folder,
        f"""
intents:
  Call: {{data: [{{sentences: ["(call|ring) [up] {{name}} [now]"]}}]}}
  Volume: {{data: [{{sentences: ["[the] volume [to] {{volume}}", "(louder;please)"]}}]}}
lists:
  name: {{values: [{values}]}}
  volume: {{range: {{from: 0, to: 100}}}}
""",
    )


def _letters(number: int) -> str:
    return chr(97 + number // 26) + chr(97 + number % 26)
