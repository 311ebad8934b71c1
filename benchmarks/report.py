"""What `bench.py` measured, as a table to read (RESULTS.md) and as a picture (chart.png)."""

from __future__ import annotations

import statistics
from pathlib import Path

from benchmarks.contenders import BATCH, CONTENDERS, LR, MODELS

PEERS = ["PyTorch, DataLoader", "Lightning", "Keras on JAX", "Keras on torch"]
SWITCHES = [name for name in CONTENDERS if name.startswith("without")]
WANTED = dict(zip(MODELS, (1.2, 1.3, 2.5)))  # times the best peer
NOTES = Path(__file__).with_name("NOTES.md")  # what was tried beside; it closes the report

HOW = f"""\
Batches of {BATCH}, Adam with learning rate {LR}, mean squared error, Fashion-MNIST. Each contender
is a process of its own; they take turns, and an epoch's time counts without start-up and
compiling. *Limit* is the same step with the same switches on one fixed batch: no data are handled.
*Plain loop* is lesson 01's: float32, batches by index, no switch.
"""
COLUMNS = [
    "",
    "median",
    "least to most",
    "`fit` is … times as fast",
    "test error after one epoch, each seed",
]
DEAD = """\
Where the last ReLU starts dead on every pixel this model learns nothing, in any loop; lesson 5
counts how often.
"""
BUSY = """\
Images per second while another program uses the processor: one thread that computes without end, or
another training on two threads. Medians of interleaved rounds, in separate runs; every contender's
waiting threads sleep (`OMP_WAIT_POLICY=PASSIVE`). `fit` takes one thread or all, as it measures.
"""
SWITCHES_ARE = """\
`fit` with all switches against `fit` with one of them taken out, medians of interleaved rounds. On
a machine that others use, too, differences of 10 to 15 % may be noise.
"""


def summary(results: dict) -> dict:
    """For each model: the rates (images a second) of ours, limit and each peer; ratios; errors."""
    return {model: _model(results, model) for model in MODELS}


def _model(results: dict, model: str) -> dict:
    rates = {
        name: {"median": statistics.median(values), "min": min(values), "max": max(values)}
        for name, values in results["speed"]["rates"][model].items()
    }
    peers = {name: rates[name] for name in PEERS if name in rates}
    best = max(peers, key=lambda name: peers[name]["median"], default=None)
    ours = rates["fit"]["median"]
    return {
        "ours": rates["fit"],
        "limit": rates["limit"],
        "plain loop": rates["plain loop"],
        "peers": peers,
        "best_peer": best,
        "ratio_to_limit": ours / rates["limit"]["median"],
        "ratio_to_best_peer": ours / peers[best]["median"] if best else None,
        "final_errors": results.get("errors", {}).get(model, {}),
    }


def report(results: dict) -> str:
    """RESULTS.md."""
    parts = [
        "# Training speed\n",
        "Made by `make bench`; every number here is measured. Images per second, the more the "
        "better.\n",
        f"Machine: {results['machine']}. {results['versions']}. Measured on {results['date']}.\n",
        HOW,
    ]
    speed = results["speed"]
    if speed["disturbed"]:
        parts.append(
            f"The machine was not quiet: {speed['disturbed']} of {speed['runs']} runs waited for a "
            "processor for more than a twentieth of their time, after every try.\n"
        )
    for model, row in summary(results).items():
        parts += [f"## {model}\n", _reached(model, row), _table(COLUMNS, _rates(row))]
        if model == "convolutional":
            parts.append(DEAD)
    whole = (run["ratios"].values() for run in results["runs"])
    if any(all(peers for _, peers in ratios) for ratios in whole):
        parts += ["## The ratios in separate runs\n", _separate_runs(results["runs"])]
    if "busy" in results:
        parts += ["## Beside a busy neighbour\n", BUSY, _busy(results)]
    if "switches" in results:
        parts += ["## What each switch brings\n", SWITCHES_ARE, _switches(results["switches"])]
    if NOTES.exists():
        parts.append(NOTES.read_text())
    return "\n".join(parts)


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _reached(model: str, row: dict) -> str:
    words = f"`fit` reaches **{row['ratio_to_limit']:.2f}** of the limit"
    if row["best_peer"]:
        words += (
            f" and **{row['ratio_to_best_peer']:.2f}** times the best other framework "
            f"({row['best_peer']}); to reach: 0.90 and {WANTED[model]}"
        )
    return f"{words}.\n"


def _rates(row: dict) -> list[list[str]]:
    ours = {"`fit`": row["ours"], "limit": row["limit"], "plain loop": row["plain loop"]}
    lines = []
    for name, rate in {**ours, **row["peers"]}.items():
        errors = row["final_errors"].get(name.strip("`"), [])
        lines.append(
            [
                name,
                f"{rate['median']:,.0f}",
                f"{rate['min']:,} – {rate['max']:,}",
                f"{row['ours']['median'] / rate['median']:.2f}",
                ", ".join(f"{error:.5f}" for error in errors),
            ]
        )
    return lines


def _separate_runs(runs: list[dict]) -> str:
    rows = []
    for run in runs:
        ratios = run["ratios"].values()
        if all(peers for _, peers in ratios):
            rows.append([run["time"], *(f"{limit:.2f}, {peers:.2f}" for limit, peers in ratios)])
    first = "Of the limit, and times the best other framework.\n\n"
    return first + _table(["run", *MODELS], rows)


def _busy(results: dict) -> str:
    tables = []
    for run in results["busy"]:
        for neighbour, rates in run["rates"].items():
            names = list(next(iter(rates.values())))
            rows = [
                [
                    f"`{name}`" if name == "fit" else name,
                    *(f"{statistics.median(rates[model][name]):,.0f}" for model in MODELS),
                ]
                for name in names
            ]
            tables.append(f"Beside {neighbour}, {run['time']}:\n\n{_table(['', *MODELS], rows)}")
    return "\n".join(tables)


def _switches(measured: dict) -> str:
    rows = []
    for name in SWITCHES:
        cells = [name.removeprefix("without ")]
        for model in MODELS:
            rates = measured["rates"][model]
            ratio = statistics.median(rates["fit"]) / statistics.median(rates[name])
            cells.append(f"{100 * (ratio - 1):+.0f} %")
        rows.append(cells)
    return _table(["", *MODELS], rows)


def chart(results: dict, path: Path) -> None:
    """One panel for each model, one bar for each contender."""
    import matplotlib.pyplot as plt

    from course_utils import plots

    table = summary(results)
    fig, axes = plt.subplots(1, len(MODELS), figsize=(12, 3.6), layout="constrained")
    for ax, (model, row) in zip(axes, table.items()):
        _panel(ax, row, plots.PALETTE)
        ax.set_title(model)
        if ax is not axes[0]:
            ax.set_yticklabels([])
    best = [row["ratio_to_best_peer"] for row in table.values() if row["best_peer"]]
    title = "Training speed of fit"
    if best:
        ratios = f"{min(best):.1f} to {max(best):.1f}"
        title = f"fit trains {ratios} times as fast as the best other framework"
    caption = (
        "Images per second while training, medians of interleaved rounds, black lines from "
        f"least to most; dashed: the limit of this machine. {results['machine']}."
    )
    plots.finish(fig, title, caption).savefig(path, dpi=150)


def _panel(ax, row: dict, palette: dict[str, str]) -> None:
    bars = {"fit (this course)": row["ours"], "plain loop": row["plain loop"], **row["peers"]}
    low, middle, high = (
        [rate[which] / 1000 for rate in bars.values()] for which in ("min", "median", "max")
    )
    limit = row["limit"]["median"] / 1000
    spread = [[m - lo for m, lo in zip(middle, low)], [hi - m for m, hi in zip(middle, high)]]
    colours = [palette["cured"]] + [palette["baseline"]] * (len(bars) - 1)
    drawn = ax.barh(list(bars), middle, color=colours, xerr=spread, ecolor="black", capsize=2)
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    words = [f" {rate:.3g}" for rate in middle]
    ax.bar_label(drawn, words, padding=6, fontsize=9, bbox=behind)
    ax.axvline(limit, linestyle="--", color="black", zorder=0)
    ax.set(xlabel="thousand images per second", xlim=(0, 1.4 * max(*high, limit)))
    ax.invert_yaxis()
