"""The resumable tables: a row is there as soon as it is measured, whole or not at all."""

import importlib.util
import os
import sys
from pathlib import Path

import pandas as pd
import pytest

from tools import tables

RUNS = [{"model": model, "k": k} for model in ("PCA, plain", "dense") for k in (1, 0.25)]
SCRIPTS = sorted(tables.ROOT.glob("lessons/*/table.py"))


def measure(model, k):
    return {"error": len(model) / 3, "seconds": 1.0}


def test_one_row_for_each_run(tmp_path):
    tables.fill(tmp_path / "a.csv", ["model", "k"], RUNS, measure)
    table = pd.read_csv(tmp_path / "a.csv")
    assert table[["model", "k"]].to_dict("records") == RUNS
    assert list(table.columns) == ["model", "k", "error", "seconds"]
    assert table["error"].tolist() == [3.33333] * 2 + [1.66667] * 2


def test_goes_on_after_an_interruption(tmp_path):
    path, asked = tmp_path / "a.csv", []

    def interrupted(model, k):
        asked.append((model, k))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return measure(model, k)

    with pytest.raises(KeyboardInterrupt):
        tables.fill(path, ["model", "k"], RUNS, interrupted)
    assert len(pd.read_csv(path)) == 2
    before = path.read_text()
    tables.fill(path, ["model", "k"], RUNS, interrupted)
    assert [tuple(run.values()) for run in [*RUNS[:3], *RUNS[2:]]] == asked
    assert path.read_text().startswith(before), "the rows that were there stay as they were"
    tables.fill(path, ["model", "k"], RUNS, lambda **_: pytest.fail("measured twice"))
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


def test_a_row_that_cannot_be_written_leaves_the_old_table(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    tables.fill(path, ["model", "k"], RUNS[:1], measure)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(OSError, match="disk full"):
        tables.fill(path, ["model", "k"], RUNS, measure)
    assert path.read_bytes() == before


def test_tagged_cells_are_run(tmp_path):
    source = tmp_path / "lesson.py"
    source.write_text(
        '# %% tags=["mine"]\na = 1\n\n# %%\nraise ValueError\n\n# %% tags=["mine"]\nb = a + 1\n'
    )
    assert tables.tagged_cells(source, "mine")["b"] == 2
    with pytest.raises(ValueError, match="no cell with the tag 'yours'"):
        tables.tagged_cells(source, "yours")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.parent.name)
def test_shipped_tables_are_complete(script, monkeypatch, tmp_path):
    """Each lesson's script finds nothing to do in the table that is shipped."""
    spec = importlib.util.spec_from_file_location(f"table_{script.parent.name}", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "RUNS"):
        pytest.skip("keeps its pieces elsewhere")
    monkeypatch.setattr(sys, "argv", [str(script)])
    shipped = tables.target(module.NAME)
    rows = pd.read_csv(shipped, dtype=str, keep_default_na=False)
    there = set(rows[module.KEYS].itertuples(index=False, name=None))
    wanted = {tuple(tables.as_text(run[key]) for key in module.KEYS) for run in module.RUNS}
    assert there == wanted and Path(shipped).exists()
