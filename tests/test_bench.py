"""The benchmark runs on a small slice and writes what it promises; its numbers are not tested."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import report, sweep_speed

ROOT = Path(__file__).parent.parent


def test_benchmark_runs_on_a_slice(tmp_path):
    command = [sys.executable, "-m", "benchmarks.bench", "--slice", "--out", tmp_path]
    run = subprocess.run(
        [*command, "speed", "busy", "errors"], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-2000:]
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results) == 4 and "measured" in results
    for model in ("dense 784-10-784", "dense 784-940-784", "convolutional"):
        row = results[model]
        assert row["ours"]["min"] > 0 and row["limit"]["median"] > 0 and row["ratio_to_limit"] > 0
        ours, plain = (row["final_errors"][name] for name in ("fit", "plain loop"))
        assert ours == pytest.approx(plain, rel=0.01), "the same training, rounding aside"
    assert "Beside a training on two threads" in (tmp_path / "RESULTS.md").read_text()
    assert "of the limit" in (tmp_path / "RESULTS.md").read_text()
    assert (tmp_path / "chart.png").read_bytes()[:4] == b"\x89PNG"


def test_shipped_results_are_whole():
    """The table and the chart that the README shows belong to the measured numbers."""
    results = json.loads((ROOT / "benchmarks/results.json").read_text())
    table = (ROOT / "benchmarks/RESULTS.md").read_text()
    for model, row in results.items():
        if model != "measured":
            assert len(row["peers"]) == 4 and len(row["final_errors"]) == 6
            limit, peer = row["ratio_to_limit"], row["ratio_to_best_peer"]
            assert f"**{limit:.2f}** of the limit and **{peer:.2f}** times" in table
    assert table == report.report(results["measured"])


def test_sweep_speed_measures_every_layout(tmp_path):
    sweep_speed.main(tmp_path, images=256, rounds=1, groups=([4, 8],))
    header, _, row = [
        line for line in (tmp_path / "SWEEP.md").read_text().splitlines() if line.startswith("|")
    ]
    assert all(layout in header for layout in sweep_speed.LAYOUTS) and row.startswith("| 4, 8 |")
