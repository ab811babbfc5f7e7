"""Finds the recipe files that come with ds2edge."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).with_name("recipes")


def shipped_recipes() -> dict[str, Path]:
    """The TOML file of each shipped recipe, by name, in alphabetical order."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


def summaries() -> dict[str, str]:
    """The first line of each shipped recipe, a comment that says what it is for, by name."""
    return {
        name: path.read_text("utf-8").partition("\n")[0].removeprefix("# ")
        for name, path in shipped_recipes().items()
    }
