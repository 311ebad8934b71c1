"""`make bench`: training speed of `fit` beside other frameworks and beside the machine's limit, and what each trains.

    python benchmarks/bench.py              speed, switches and errors; writes RESULTS.md, results.json and chart.png
    python benchmarks/bench.py speed        one part only; the others stay as they were measured before
    python benchmarks/bench.py --slice      a minute's look on few images, without the other frameworks; writes to build/bench

Every contender is a process of its own that waits while the others work. A round lets each train once, one after the other; the
table shows medians over rounds. A run that had to wait for a processor for more than a twentieth of its time is repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import time
from datetime import date
from pathlib import Path

HERE, ROOT = Path(__file__).parent, Path(__file__).parent.parent
sys.path[:0] = [str(HERE), str(ROOT)]

from contenders import BATCH, CONTENDERS, LR, MODELS  # noqa: E402

PEERS = ["PyTorch, DataLoader", "Lightning", "Keras on JAX", "Keras on torch"]
SWITCHES = [name for name in CONTENDERS if name.startswith("without")]
WANTED = dict(zip(MODELS, (1.2, 1.3, 2.5)))  # times the best peer
IMAGES = dict(zip(MODELS, (55_000, 19_200, 9_600)))  # of each timed epoch: a second or so for `fit`
QUIET, TRIES = 0.05, 2
ERROR_EPOCHS, SEEDS = 1, 3


class Contender:
    """A process that trains when asked."""

    def __init__(self, name: str, python: str):
        backend = {"Keras on JAX": "jax", "Keras on torch": "torch"}.get(name, "")
        environment = os.environ | {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": backend, "COURSE_PROGRESS": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.name, self.log = name, open(ROOT / "build" / "bench" / f"{name}.log", "w")
        self.process = subprocess.Popen([python, HERE / "contenders.py", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
                                        text=True, env=environment, cwd=ROOT)

    def ask(self, model: str, n: int, epochs: int = 1, seed: int = 0, error: bool = False) -> dict:
        """Train; the answer of contenders.py, and images per second."""
        print(json.dumps({"model": model, "images": n, "epochs": epochs, "seed": seed, "error": error}), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.name} stopped; its last words stand in {self.log.name}")
        answer = json.loads(answer)
        return answer | {"rate": n * epochs / answer["seconds"]}

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def peers_python() -> str:
    """The Python of the environment that holds the other frameworks; made where it is missing."""
    python = ROOT / ".venv-bench" / ("Scripts" if os.name == "nt" else "bin") / "python"
    requirements = HERE / "requirements.txt"
    done = ROOT / ".venv-bench" / "installed.txt"
    if not done.exists() or done.read_text() != requirements.read_text():
        print("Installing the other frameworks into .venv-bench …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", ROOT / ".venv-bench"], check=True)
        site = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True, capture_output=True, text=True)
        (Path(site.stdout.strip()) / "course.pth").write_text(sysconfig.get_path("purelib") + "\n")  # the course's PyTorch
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", requirements], check=True)
        done.write_text(requirements.read_text())
    return str(python)


def compare(names: list[str], rounds: int, images: dict[str, int], python: str, tries: int = TRIES) -> dict:
    """Images per second of each contender for each model, interleaved: {model: {name: [rate of each round]}}."""
    contenders = [Contender(name, python if name in PEERS else sys.executable) for name in names]
    rates, disturbed = {model: {name: [] for name in names} for model in MODELS}, 0
    for model in MODELS:
        epochs = {}
        for contender in contenders:  # a first run that warms up is not counted and tells how many epochs make a measurement of about a second
            epochs[contender.name] = max(1, min(8, round(contender.ask(model, images[model])["rate"] / images[model])))
        for turn in range(rounds):
            for contender in contenders[turn % len(contenders):] + contenders[: turn % len(contenders)]:
                for _ in range(tries):
                    answer = contender.ask(model, images[model], epochs[contender.name])
                    if answer["waited"] <= QUIET:
                        break
                else:
                    disturbed += 1
                rates[model][contender.name].append(round(answer["rate"]))
            print(f"{model}, round {turn + 1}: " + ", ".join(f"{name} {rates[model][name][-1]:,}" for name in names), flush=True)
    for contender in contenders:
        contender.close()
    return {"rates": rates, "disturbed": disturbed, "runs": rounds * len(names) * len(MODELS)}


def errors(names: list[str], images: dict[str, int], python: str) -> dict:
    """Test errors after equal epochs: {model: {name: [error of each seed]}}; several seeds for the course's own loops."""
    found: dict = {model: {} for model in MODELS}
    for name in names:
        contender = Contender(name, python if name in PEERS else sys.executable)
        for model in MODELS:
            seeds = range(1 if name in PEERS else SEEDS)
            found[model][name] = [contender.ask(model, images[model], ERROR_EPOCHS, seed, error=True)["error"] for seed in seeds]
            print(f"{model}, {name}: test error " + ", ".join(f"{error:.5f}" for error in found[model][name]), flush=True)
        contender.close()
    return found


def summary(results: dict) -> dict:
    """For each model: ours, limit, each peer (median, least, most images per second), ratios and final errors."""
    out = {}
    for model in MODELS:
        rates = {name: {"median": statistics.median(values), "min": min(values), "max": max(values)}
                 for name, values in results["speed"]["rates"][model].items()}
        peers = {name: rates[name] for name in PEERS if name in rates}
        best = max(peers, key=lambda name: peers[name]["median"], default=None)
        out[model] = {
            "ours": rates["fit"], "limit": rates["limit"], "plain loop": rates["plain loop"], "peers": peers, "best_peer": best,
            "ratio_to_limit": rates["fit"]["median"] / rates["limit"]["median"],
            "ratio_to_best_peer": rates["fit"]["median"] / peers[best]["median"] if best else None,
            "final_errors": results.get("errors", {}).get(model, {}),
        }
    return out


def report(results: dict) -> str:
    """RESULTS.md."""
    table = summary(results)
    lines = ["# Training speed", "", "Made by `make bench`; every number here is measured. Images per second, the more the better.", "",
             f"Machine: {results['machine']}. {results['versions']}. Measured on {results['date']}.", "",
             f"Batches of {BATCH}, Adam with learning rate {LR}, mean squared error, Fashion-MNIST. Each contender is a process of its own; they take "
             "turns, and an epoch's time counts without start-up and compiling. *Limit* is the same step with the same switches on one fixed batch: "
             "no data are handled. *Plain loop* is lesson 01's: float32, batches by index, no switch.", ""]
    if results["speed"]["disturbed"]:
        lines += [f"The machine was not quiet: {results['speed']['disturbed']} of {results['speed']['runs']} runs waited for a processor for more "
                  f"than a twentieth of their time, after {TRIES} tries each.", ""]
    for model, row in table.items():
        ours = row["ours"]["median"]
        lines += [f"## {model}", "", f"`fit` reaches **{row['ratio_to_limit']:.2f}** of the limit" +
                  (f" and **{row['ratio_to_best_peer']:.2f}** times the best other framework ({row['best_peer']}); to reach: 0.90 and {WANTED[model]}."
                   if row["best_peer"] else "."), "",
                  "| | median | least to most | `fit` is … times as fast | test error after one epoch, each seed |", "|---|---:|---:|---:|---:|"]
        for name, rate in {"`fit`": row["ours"], "limit": row["limit"], "plain loop": row["plain loop"], **row["peers"]}.items():
            found = row["final_errors"].get({"`fit`": "fit"}.get(name, name), [])
            lines.append(f"| {name} | {rate['median']:,.0f} | {rate['min']:,} – {rate['max']:,} | {ours / rate['median']:.2f} | "
                         f"{', '.join(f'{error:.5f}' for error in found)} |")
        lines += ["", "Where the last ReLU starts dead on every pixel this model learns nothing, in any loop; lesson 5 counts how often.", ""] if model == "convolutional" else [""]
    if peers := [run for run in results["runs"] if all(ratio[1] for ratio in run["ratios"].values())]:
        lines += ["## The ratios in separate runs", "", "Of the limit, and times the best other framework.", "",
                  "| run | " + " | ".join(MODELS) + " |", "|---|" + "---:|" * len(MODELS),
                  *(f"| {run['time']} | " + " | ".join(f"{a:.2f}, {b:.2f}" for a, b in run["ratios"].values()) + " |" for run in peers), ""]
    if "switches" in results:
        lines += ["## What each switch brings", "", "`fit` with all switches against `fit` with one of them taken out, medians of interleaved rounds. "
                  "On a machine that others use, too, differences of 10 to 15 % may be noise.", "", "| | " + " | ".join(MODELS) + " |", "|---|" + "---:|" * len(MODELS)]
        switches = {model: {name: statistics.median(values) for name, values in rates.items()} for model, rates in results["switches"]["rates"].items()}
        for name in SWITCHES:
            lines.append(f"| {name.removeprefix('without ')} | " + " | ".join(f"{100 * (switches[m]['fit'] / switches[m][name] - 1):+.0f} %" for m in MODELS) + " |")
    return "\n".join(lines) + "\n"


def chart(results: dict, path: Path) -> None:
    """One panel for each model, one bar for each contender."""
    import matplotlib.pyplot as plt

    from course_utils import plots

    table = summary(results)
    fig, axes = plt.subplots(1, len(MODELS), figsize=(12, 3.6), layout="constrained")
    for ax, (model, row) in zip(axes, table.items()):
        bars = {"fit (this course)": row["ours"], "plain loop": row["plain loop"], **row["peers"]}
        rates = [rate["median"] / 1000 for rate in bars.values()]
        spread = [[rate["median"] / 1000 - rate["min"] / 1000 for rate in bars.values()], [rate["max"] / 1000 - rate["median"] / 1000 for rate in bars.values()]]
        colours = [plots.PALETTE["cured"]] + [plots.PALETTE["baseline"]] * (len(bars) - 1)
        drawn = ax.barh(list(bars), rates, color=colours, xerr=spread, ecolor="black", capsize=2)
        ax.bar_label(drawn, [f" {rate:.3g}" for rate in rates], padding=6, fontsize=9, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})
        ax.axvline(row["limit"]["median"] / 1000, linestyle="--", color="black", zorder=0)
        ax.set(title=model, xlabel="thousand images per second", xlim=(0, 1.4 * max(*(rate["max"] / 1000 for rate in bars.values()), row["limit"]["median"] / 1000)))
        ax.invert_yaxis()
        if ax is not axes[0]:
            ax.set_yticklabels([])
    best = [row["ratio_to_best_peer"] for row in table.values() if row["best_peer"]]
    title = f"fit trains {min(best):.1f} to {max(best):.1f} times as fast as the best other framework" if best else "Training speed of fit"
    plots.finish(fig, title, f"Images per second while training, medians of interleaved rounds, black lines from least to most; dashed: the limit of this machine. {results['machine']}.").savefig(path, dpi=150)


def machine() -> str:
    """The processor in words."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")), platform.processor() or platform.machine())
    return f"{model}, {os.cpu_count()} cores" + (", with bf16 instructions" if "avx512_bf16" in info else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help="speed, switches, errors; all unless named")
    parser.add_argument("--slice", action="store_true", help="few images, without the other frameworks")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="folder of the three files (benchmarks, or build/bench for a slice)")
    given = parser.parse_args()
    parts = given.parts or ["speed", "switches", "errors"]
    if unknown := set(parts) - {"speed", "switches", "errors"}:
        parser.error(f"no such part: {', '.join(unknown)}")
    (ROOT / "build" / "bench").mkdir(parents=True, exist_ok=True)
    out = given.out or (ROOT / "build" / "bench" if given.slice else HERE)
    out.mkdir(parents=True, exist_ok=True)
    images = dict.fromkeys(MODELS, 640) if given.slice else IMAGES
    peers, rounds, python, tries = ([], 1, "", 1) if given.slice else (PEERS, given.rounds, peers_python(), TRIES)
    file, start = out / "results.json", time.time()
    results = json.loads(file.read_text())["measured"] if file.exists() else {}
    if "speed" in parts:
        results["speed"] = compare(["fit", "limit", "plain loop", *peers], rounds, images, python, tries)
        ratios = {model: [row["ratio_to_limit"], row["ratio_to_best_peer"]] for model, row in summary(results).items()}
        results["runs"] = [*results.get("runs", []), {"time": time.strftime("%Y-%m-%d %H:%M"), "ratios": ratios}][-4:]
    if "switches" in parts:
        results["switches"] = compare(["fit", *SWITCHES], rounds, images, python, tries)
    if "errors" in parts:
        results["errors"] = errors(["fit", "plain loop", *peers], images if given.slice else dict.fromkeys(MODELS, 55_000), python)
    if "speed" not in results:
        print("The table is written once the speed is measured.")
        return
    import torch

    pins = ", ".join(line.replace("==", " ") for line in (HERE / "requirements.txt").read_text().splitlines() if "==" in line)
    results |= {"machine": machine(), "date": date.today().isoformat(),
                "versions": f"Python {platform.python_version()}, PyTorch {torch.__version__.split('+')[0]}" + (f", {pins}" if peers else "")}
    file.write_text(json.dumps(summary(results) | {"measured": results}, indent=1) + "\n")
    (out / "RESULTS.md").write_text(report(results))
    chart(results, out / "chart.png")
    print((out / "RESULTS.md").read_text() + f"\n{time.time() - start:.0f} s; written to {out}")


if __name__ == "__main__":
    main()
