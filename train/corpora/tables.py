"""Tables with a header: CSV with quotation marks, TSV without."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from pathlib import Path

from ds2edge.runtime.errors import InputError


def read_table(path: Path, needed: Collection[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Number of the line, and the row by the names in the header; a field that may be missing and is, is "".

    InputError, with the line, for what is no such table, and if a needed column or field is missing.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".tsv":  # a quotation mark is a character like any other
                rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            else:
                rows = csv.DictReader(file, strict=True)
            missing = [name for name in needed if name not in (rows.fieldnames or ())]
            if missing:
                raise InputError(
                    f"{path}:1: no column {', '.join(missing)} in the header {rows.fieldnames}"
                )
            for row in rows:
                blank = None not in row and not any((field or "").strip() for field in row.values())
                if blank:  # what a spreadsheet leaves below its rows
                    continue
                if None in row or any(row[name] is None for name in needed):
                    raise InputError(
                        f"{path}:{rows.line_num}: has not the fields of the header {rows.fieldnames}"
                    )
                yield rows.line_num, {name: field or "" for name, field in row.items()}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file in UTF-8") from None
    except csv.Error as error:
        raise InputError(f"{path}:{rows.line_num}: not a row of a table ({error})") from None
