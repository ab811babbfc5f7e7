"""The default weights of the language model, which stand in runtime/decoding/fusion.py."""

from __future__ import annotations

import re
from pathlib import Path

from ds2edge.runtime.decoding.fusion import Weights
from ds2edge.runtime.files import write_whole

# The weights that dev chooses, and by how much one step of the search changes them.
STEPS = {"language_model": 0.1, "word_bonus": 0.5, "blank_penalty": 0.25}
FUSION = Path(__file__).parents[3] / "runtime" / "decoding" / "fusion.py"


def read_weights() -> Weights:
    """The default weights as fusion.py has them now."""
    text = FUSION.read_text("utf-8")
    found = {name: float(value) for name, value in re.findall(_pattern(r"\w+"), text)}
    return Weights(**found)


def write_weights(chosen: Weights) -> None:
    """Makes the weights that dev chooses the defaults in fusion.py."""
    text = FUSION.read_text("utf-8")
    for name in STEPS:
        line = f"    {name}: float = {getattr(chosen, name)}"
        text = re.sub(_pattern(name), line, text)
    write_whole(FUSION, text)


def _pattern(name: str) -> str:
    return rf"(?m)^    ({name}): float = (-?[\d.]+)$"
