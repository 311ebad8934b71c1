"""Finding submissions: no student's file ends the run, becomes another student, sets its own time
of handing in, or takes more to read than its share."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from grading import assemble, collect, corpus, grade

EXERCISES = grade.all_exercises()
ONE, TWO = "01_dense_autoencoder", "03_denoising"


def notebook(exercise: str = ONE) -> bytes:
    return corpus.notebook(corpus.Case("x", exercise, solved=False))


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def found(folder: Path, files: dict[str, bytes]) -> dict:
    """What is collected from a folder with these files."""
    for name, data in files.items():
        path = folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return {(s.student, s.exercise): s for s in collect.collect(folder / "in", EXERCISES)}


def in_a_zip(folder: Path, files: dict[str, bytes]) -> dict:
    """What is collected from the one zip that a teacher passes."""
    (folder / "all.zip").write_bytes(zipped(files))
    return {(s.student, s.exercise): s for s in collect.collect(folder / "all.zip", EXERCISES)}


# one student's notebook


def with_cells(*cells: dict) -> bytes:
    nb = json.loads(notebook())
    nb["cells"] += cells
    return json.dumps(nb).encode()


def named(name) -> dict:
    return {"cell_type": "code", "source": "", "metadata": {"nbgrader": {"grade_id": name}}}


STRANGE = {
    "a name that is a list": with_cells(named([])),
    "a name that is a table": with_cells(named({})),
    "a name that is a number": with_cells(named(5)),
    "no metadata": with_cells({"cell_type": "code", "source": "", "metadata": 5}),
    "a source that is a number": with_cells({"cell_type": "code", "source": 5, "metadata": {}}),
    "a source of numbers": with_cells({"cell_type": "code", "source": [5, None], "metadata": {}}),
    "a kind and an id that are lists": with_cells({"cell_type": [], "source": "", "id": [5]}),
    "cells that are none": with_cells(5, None, [], "x"),
    "half a character": with_cells({"cell_type": "code", "source": "\udc80"}),
}
OLD = [{"cells": 5}, {"cells": None}, {"cells": {"a": 1}}, {"cells": [5]}, 5, {}]


@pytest.mark.parametrize("data", STRANGE.values(), ids=STRANGE)
def test_a_strange_cell_holds_nobody_up(tmp_path, data):
    files = {"Eve/x.ipynb": data, "Eve/y.ipynb": data, f"Ivo/{ONE}.ipynb": notebook()}
    assert set(found(tmp_path, files)) == {("Eve", ONE), ("Ivo", ONE)}
    assert assemble.assemble(EXERCISES[ONE], assemble.read(data)).cells


@pytest.mark.parametrize("sheet", OLD, ids=str)
def test_a_strange_worksheet_holds_nobody_up(tmp_path, sheet):
    data = json.dumps({"worksheets": [sheet]}).encode()
    files = {"Eve/x.ipynb": data, f"Eve/{ONE}.ipynb": data, f"Ivo/{ONE}.ipynb": notebook()}
    assert set(found(tmp_path, files)) == {("Eve", ONE), ("Ivo", ONE)}
    assert assemble.read(data) == []


def test_cells_of_an_old_notebook_are_read():
    sheets = [{"cells": [{"cell_type": "code", "input": "a = 1"}]}, {"cells": 5}]
    assert [c["source"] for c in assemble.read(json.dumps({"worksheets": sheets}).encode())] == [
        "a = 1"
    ]


def test_whatever_goes_wrong_is_one_line_with_its_reason(tmp_path, monkeypatch):
    def fails(data: bytes, read=assemble.read):
        if b"fails" in data:
            raise KeyError("fails")
        return read(data)

    monkeypatch.setattr(assemble, "read", fails)
    files = {
        "Eve/x.ipynb": b"fails",
        f"Jan/{ONE}.ipynb": b"fails",
        f"Jan/{ONE} (2).ipynb": notebook(),
        "Zoe/x.ipynb": b"half a file",
        f"Ivo/{ONE}.ipynb": notebook(ONE),
        f"Ivo/{TWO}.ipynb": notebook(TWO),
    }
    all_of = found(tmp_path, files)
    assert set(all_of) == {("Eve", ""), ("Jan", ONE), ("Zoe", ""), ("Ivo", ONE), ("Ivo", TWO)}
    assert all_of["Eve", ""].why == "x.ipynb: cannot be read (KeyError)"
    assert all_of["Zoe", ""].why.startswith("x.ipynb: the file is not a notebook")
    assert all_of["Jan", ONE].path == f"Jan/{ONE} (2).ipynb"


# one student is one student

DATED = "homework_2026_11_20.ipynb"
BOTH = {"Ana", "Ivo"}
LAYOUTS = {
    "by hand": [f"Ana/{DATED}", f"Ivo/{DATED}"],
    "by hand, several": ["Ana/a_20_11_2026.ipynb", "Ana/b_21_11_2026.ipynb", f"Ivo/{DATED}"],
    "nbgrader": [f"Ana/{ONE}/{DATED}", f"Ivo/{ONE}/{DATED}"],
    "nbgrader, in folders": [f"all/submitted/{name}/{ONE}/{DATED}" for name in BOTH],
    "the exercise outside": [f"{ONE}/Ana/{DATED}", f"{ONE}/Ivo/{DATED}"],
    "Moodle's name inside": [f"Ana/{ONE}/Ivo_6_assignsubmission_file_x.ipynb", f"Ivo/{DATED}"],
}  # fmt: skip


@pytest.mark.parametrize("paths", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("take", [found, in_a_zip])
def test_a_file_with_a_date_is_its_folders(tmp_path, take, paths):
    all_of = take(tmp_path, {path: notebook() for path in paths})
    assert {student for student, _ in all_of} == BOTH
    assert {one.late for one in all_of.values()} == {None}


def test_a_zip_with_anothers_name_in_it_is_its_owners(tmp_path):
    mine = zipped({"Ivo_6_assignsubmission_file_/x.ipynb": notebook(), "ivo_66_77_x.ipynb": b"x"})
    files = {f"Eve/{ONE}/mine.zip": mine, f"Ivo/{ONE}/x.ipynb": notebook()}
    assert set(found(tmp_path, files)) == {("Eve", ONE), ("Ivo", ONE)}


CANVAS = ["horvatana_31_900_homework.ipynb", "ivicivo_LATE_32_901_homework.ipynb"]
MOODLE = ["Ana_5_assignsubmission_file_/x.ipynb", "Ivo_6_assignsubmission_file_/x.ipynb"]


@pytest.mark.parametrize("around", ["{}", "in a folder/{}", "week 1/{}|week 2/{}", ONE + "/{}"])
@pytest.mark.parametrize(
    ("names", "expected"),
    [(CANVAS, {"horvatana 31", "ivicivo 32"}), (MOODLE, {"Ana 5", "Ivo 6"})],
    ids=["Canvas", "Moodle"],
)
def test_a_platforms_download_in_any_folder(tmp_path, around, names, expected):
    paths = [place.format(name) for place in around.split("|") for name in names]
    all_of = found(tmp_path, {path: notebook() for path in paths})
    assert {student for student, _ in all_of} == expected
    if names is CANVAS:
        assert {s.student: s.late for s in all_of.values()} == {
            "horvatana 31": False, "ivicivo 32": True,
        }  # fmt: skip


def test_downloads_side_by_side_in_a_folder(tmp_path):
    files = {
        "one.zip": zipped({name: notebook() for name in CANVAS}),
        "two.zip": zipped({name: notebook(TWO) for name in CANVAS}),
        "three.zip": zipped({name: notebook() for name in MOODLE}),
    }
    assert {student for student, _ in found(tmp_path, files)} == {
        "horvatana 31", "ivicivo 32", "Ana 5", "Ivo 6",
    }  # fmt: skip


# a time of one's own

EARLY, NBGRADER = b"2026-11-01 00:00:00 UTC", b"2026-12-02 23:00:00 UTC"


ZIPS = [
    "ivicivo_LATE_32_901_x.zip",
    "Ivo/x.zip",
    f"Ivo/{ONE}/x.zip",
    MOODLE[1].replace("ipynb", "zip"),
]


@pytest.mark.parametrize("name", ZIPS)
@pytest.mark.parametrize("take", [found, in_a_zip])
def test_a_time_in_a_students_zip_is_not_believed(tmp_path, take, name):
    mine = zipped({"x.ipynb": notebook(), "timestamp.txt": EARLY})
    (one,) = take(tmp_path, {name: mine}).values()
    assert one.time == "" and not one.notes


@pytest.mark.parametrize("take", [found, in_a_zip])
def test_nbgraders_time_counts_and_no_deeper_one(tmp_path, take):
    files = {
        f"Ana/{ONE}/x.ipynb": notebook(),
        f"Ana/{ONE}/timestamp.txt": NBGRADER,
        f"Eve/{ONE}/mine/x.ipynb": notebook(),
        f"Eve/{ONE}/mine/timestamp.txt": EARLY,
        f"Eve/{ONE}/timestamp.txt": NBGRADER,
        f"Ivo/{ONE}/x.zip": zipped({"x.ipynb": notebook(), "timestamp.txt": EARLY}),
        f"Ivo/{ONE}/timestamp.txt": NBGRADER,
    }
    times = {s.student: s.time for s in take(tmp_path, files).values()}
    assert times == dict.fromkeys(["Ana", "Eve", "Ivo"], "2026-12-02 23:00:00")


# what one may take to read


def broken(files: dict[str, bytes]) -> bytes:
    """A zip whose members are found to be wrong only when all of each has been read."""
    data = bytearray(zipped(files, zipfile.ZIP_STORED))
    at = -1
    while (at := data.find(b"PK\x01\x02", at + 1)) >= 0:
        data[at + 16] ^= 1  # the checksum
    return bytes(data)


@pytest.mark.parametrize("make", [zipped, broken])
@pytest.mark.parametrize("size", [1_900_000, 3_000_000])
def test_what_is_read_of_a_zip_is_bounded_though_it_is_dropped(tmp_path, monkeypatch, make, size):
    monkeypatch.setattr(collect, "OF_A_STUDENT", (100, 5 << 20))
    monkeypatch.setattr(assemble, "LARGEST_FILE", 2 << 20)
    monkeypatch.setattr(zipfile.ZipExtFile, "MIN_READ_SIZE", 1 << 16)
    taken = []

    def read(member, n=-1, whole=zipfile.ZipExtFile.read):
        piece = whole(member, n)
        taken.append(len(piece))
        return piece

    (tmp_path / "in/Ana").mkdir(parents=True)
    path = tmp_path / "in/Ana/a.zip"
    path.write_bytes(make({f"{n}.ipynb": b" " * size for n in range(12)}))
    reader = collect.Reader(tmp_path)
    kept = collect.Found(collect.PurePosixPath("Ana/a.zip"), path)
    monkeypatch.setattr(zipfile.ZipExtFile, "read", read)
    members = list(reader.inside(kept, list(collect.OF_A_STUDENT)))
    assert len(members) == 12 and all(one.kept or one.why for one in members)
    assert sum(taken) <= 6 << 20
