"""Tables with a header in any case: CSV with quotation marks, TSV without."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from pathlib import Path

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import read_text


def read_table(path: Path, required: Collection[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields line number and fields of each row, by column. Optional fields may be "".

    InputError, with the line, for a malformed row and for a missing required column or field.
    """
    lines = io.StringIO(read_text(path))
    if path.suffix.lower() == ".tsv":  # quotation marks are ordinary characters
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        rows = csv.DictReader(lines, delimiter=_delimiter(lines.getvalue()), strict=True)
    try:
        header = [name.strip().lower() for name in rows.fieldnames or ()]
        rows.fieldnames = header
        missing = [name for name in required if name not in header]
        if missing:
            raise InputError(
                f"{path}:1: no column {', '.join(missing)} in the header {header}: rename a column"
            )
        for row in rows:
            if _is_blank(row):
                continue
            if None in row or any(row[name] is None for name in required):
                raise InputError(
                    f"{path}:{rows.line_num}: the fields do not match the header {header}"
                )
            yield rows.line_num, {name: field or "" for name, field in row.items()}
    except csv.Error as error:
        raise InputError(f"{path}:{rows.line_num}: not a row of a table ({error})") from None


def _delimiter(text: str) -> str:
    """What separates the fields of a CSV file: where the comma is decimal, Excel writes another."""
    header = text.partition("\n")[0]
    return max(",;\t", key=header.count)


def _is_blank(row: dict[str, str]) -> bool:
    """Whether a row is empty, as spreadsheets leave them below their data."""
    return None not in row and not any((field or "").strip() for field in row.values())
