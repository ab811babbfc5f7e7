"""Shared parts of the reports: Markdown tables, pictures and single-file HTML pages."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib import rc_context
from matplotlib.figure import Figure


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """The lines of a Markdown table. Line breaks and `|` in a cell cannot break it."""
    lines = [_row(header), "|" + "---|" * len(header)]
    return lines + [_row(row) for row in rows]


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(_escape(str(cell)) for cell in cells)} |"


def _escape(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def left_out_list(problems: Sequence[str]) -> list[str]:
    """Lines that count and name the clips that were left out; no lines if there are none."""
    if not problems:
        return []
    return ["", f"clips left out: {len(problems)}", "", *(f"- {problem}" for problem in problems)]


def render_page(package: str, template: str, **values: object) -> str:
    """HTML from the folder `templates` of `package`. Jinja escapes every value."""
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)


def data_uri(media_type: str, content: bytes) -> str:
    """A URI that holds the file itself, so that a page needs no other file."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def svg_uri(figure: Figure, name: str) -> str:
    """A figure as an SVG data URI. The same figure and name give the same bytes."""
    file = io.BytesIO()
    with rc_context({"svg.hashsalt": name}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return data_uri("image/svg+xml", file.getvalue())
