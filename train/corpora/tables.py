"""Tables with a header: CSV with quotation marks, TSV without."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from pathlib import Path

from ds2edge.runtime.errors import InputError


def read_table(path: Path, required: Collection[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields line number and fields of each row, by column. Optional fields may be "".

    InputError, with the line, for a malformed row and for a missing required column or field.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".tsv":  # quotation marks are ordinary characters
                rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            else:
                rows = csv.DictReader(file, strict=True)
            header = rows.fieldnames
            missing = [name for name in required if name not in (header or ())]
            if missing:
                raise InputError(f"{path}:1: no column {', '.join(missing)} in the header {header}")
            for row in rows:
                if _is_blank(row):
                    continue
                if None in row or any(row[name] is None for name in required):
                    raise InputError(
                        f"{path}:{rows.line_num}: the fields do not match the header {header}"
                    )
                yield rows.line_num, {name: field or "" for name, field in row.items()}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file in UTF-8") from None
    except csv.Error as error:
        raise InputError(f"{path}:{rows.line_num}: not a row of a table ({error})") from None


def _is_blank(row: dict[str, str]) -> bool:
    """Whether a row is empty, as spreadsheets leave them below their data."""
    return None not in row and not any((field or "").strip() for field in row.values())
