"""Tables as they come back from a spreadsheet program, and tables that no such program can misread.

A CSV file is read in UTF-8, UTF-16, Windows-1250 and -1252, with comma, semicolon or tab. What is
written stays harmless wherever it is opened: no cell is taken for a formula.
"""

from __future__ import annotations

import csv
import io
import os
import re
from pathlib import Path

FORMULA = re.compile(r"(^|[;\t\r\n])([ ]*)([=+\-@])")
WRITTEN = re.compile(r"(^|[;\t\r\n])([ ]*)'(?=[=+\-@])")
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Unusable(ValueError):
    """A table that cannot be read; the message is for the teacher."""


def harmless(value: object) -> object:
    """A text no part of which is taken for a formula, also where semicolon or tab separates."""
    if not isinstance(value, str):
        return value
    return FORMULA.sub(r"\1\2'\3", UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value))


def as_meant(value: str) -> str:
    """What ``harmless`` was given."""
    return WRITTEN.sub(r"\1\2", value)


def replace(path: Path, data: bytes) -> None:
    """Written whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(data)
    os.replace(partial, path)


def write_csv(path: Path, header: list[str], rows: list[list]) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerows([header, *([harmless(value) for value in row] for row in rows)])
    # the mark at the beginning lets spreadsheets read Hebrew and Croatian names
    replace(path, b"\xef\xbb\xbf" + buffer.getvalue().encode())


def write_xlsx(path: Path, tables: dict[str, tuple[list[str], list[list]]]) -> None:
    """One sheet for each table, ``{title: (header, rows)}``; texts stay texts, whatever they look
    like."""
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font

    book = Workbook()
    book.remove(book.active)
    for title, (header, rows) in tables.items():
        sheet = book.create_sheet(re.sub(r"[\[\]:*?/\\]", " ", title)[:31])
        sheet.freeze_panes = "A2"
        for line, row in enumerate([header, *rows], 1):
            for column, value in enumerate(row, 1):
                cell = sheet.cell(line, column)
                if isinstance(value, str):
                    cell.value = UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value)[:32_000]
                    cell.data_type, cell.alignment = "s", Alignment(wrap_text=True, vertical="top")
                else:
                    cell.value = value
        for cell in sheet[1]:
            cell.font = Font(bold=True)
            sheet.column_dimensions[cell.column_letter].width = (
                60 if cell.value in ("answer", "comment", "notes") else 16
            )
    buffer = io.BytesIO()
    book.save(buffer)
    replace(path, buffer.getvalue())


def decoded(data: bytes, known: tuple[str, ...] = ()) -> str:
    """The text of a file; where more than one of the old encodings could be meant, the one that
    yields most of the ``known`` words."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    if data[:200].count(0) > 20:
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    texts = [data.decode(name, "replace") for name in ("cp1250", "cp1252", "cp1255")]
    return max(texts, key=lambda text: sum(word in text for word in known))


def read(path: Path, known: tuple[str, ...] = ()) -> list[list[str]]:
    """The rows of a CSV file or of the first sheet of an xlsx file, as texts.

    Raises:
        Unusable: it is no such file.
    """
    if not path.is_file():
        raise Unusable(f"there is no file {path}")
    data = path.read_bytes()
    if path.suffix.lower() == ".xlsx":
        from openpyxl import load_workbook

        try:
            book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            return [
                ["" if value is None else str(value) for value in row]
                for row in book.worksheets[0].iter_rows(values_only=True)
            ]
        except Exception as error:
            raise Unusable(f"{path.name} cannot be read as a spreadsheet ({error})") from None
    text = decoded(data, known)
    first = text.split("\n", 1)[0]
    csv.field_size_limit(1 << 24)
    try:
        rows = list(
            csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
        )
    except csv.Error as error:
        raise Unusable(f"{path.name} cannot be read as a table ({error})") from None
    return [row for row in rows if any(cell.strip() for cell in row)]


def read_dicts(path: Path, known: tuple[str, ...] = ()) -> list[tuple[int, dict[str, str]]]:
    """The rows below the header, each with its line in the sheet."""
    header, *rows = read(path, known) or [[]]
    names = [name.strip() for name in header]
    return [(line, dict(zip(names, row))) for line, row in enumerate(rows, 2)]


def points_of(text: str, most: float) -> float:
    """A mark as people write it, with point or comma.

    Raises:
        ValueError: it is no number from 0 to ``most``; the message says so.
    """
    plain = text.strip().replace(",", ".").replace("\N{MINUS SIGN}", "-")
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", plain) or not 0 <= float(plain) <= most:
        raise ValueError(f"{text.strip()!r} is no number from 0 to {most:g}")
    return float(plain)
