"""`make bench`: training speed of `fit`, and what each way of training comes to.

It is measured beside other frameworks and beside the machine's limit.

    python -m benchmarks.bench              all parts; writes RESULTS.md, results.json, chart.png
    python -m benchmarks.bench speed        one part only (speed, busy, switches, errors); the
                                            others stay as they were measured before
    python -m benchmarks.bench --slice      a minute's look on few images, without the other
                                            frameworks; writes to build/bench

Every contender is a process of its own that waits while the others work. A round lets each train
once, one after the other; the table shows medians over rounds. A run that had to wait for a
processor for more than a twentieth of its time is repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import sysconfig
import time
from datetime import date
from pathlib import Path

from benchmarks.contenders import MODELS
from benchmarks.report import PEERS, SWITCHES, chart, report, summary

HERE, ROOT = Path(__file__).parent, Path(__file__).parent.parent
IMAGES = dict(zip(MODELS, (55_000, 19_200, 9_600)))  # of each timed epoch: a second or so for `fit`
QUIET, TRIES = 0.05, 2
BUSY_IMAGES = dict(zip(MODELS, (27_500, 5_120, 1_920)))
COMPUTES = "while True: pass"
TRAINS = """
import os
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
import torch
from course_utils import models
torch.set_num_threads(2)
model, x = models.dense_autoencoder(940), torch.rand(128, 1, 28, 28)
optimizer = torch.optim.Adam(model.parameters())
while True:
    loss = ((model(x) - x) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
NEIGHBOURS = {"one thread that computes": COMPUTES, "a training on two threads": TRAINS}
ERROR_EPOCHS, SEEDS = 1, 3
PARTS = ["speed", "busy", "switches", "errors"]


class Contender:
    """A process that trains when asked."""

    def __init__(self, name: str, python: str):
        backend = {"Keras on JAX": "jax", "Keras on torch": "torch"}.get(name, "")
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "KERAS_BACKEND": backend,
            "OMP_WAIT_POLICY": "PASSIVE",  # as course_utils sets it; fair to all
            "COURSE_PROGRESS": "0",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        self.name, self.log = name, open(ROOT / "build" / "bench" / f"{name}.log", "w")
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.contenders", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=environment,
            cwd=ROOT,
        )

    def ask(self, model: str, n: int, epochs: int = 1, seed: int = 0, error: bool = False) -> dict:
        """Train; the answer of contenders.py, and images per second."""
        asked = {"model": model, "images": n, "epochs": epochs, "seed": seed, "error": error}
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            how = f"{self.name} stopped with {self.process.wait()}"
            raise SystemExit(f"{how}; its last words stand in {self.log.name}")
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
        site = subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True,
            capture_output=True,
            text=True,
        )
        (Path(site.stdout.strip()) / "course.pth").write_text(
            sysconfig.get_path("purelib") + "\n"
        )  # the course's PyTorch
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", requirements], check=True)
        done.write_text(requirements.read_text())
    return str(python)


def compare(
    names: list[str], rounds: int, images: dict[str, int], python: str, tries: int = TRIES
) -> dict:
    """Images per second of each contender, interleaved: {model: {name: [rate of each round]}}."""
    contenders = [Contender(name, python if name in PEERS else sys.executable) for name in names]
    rates, disturbed = {model: {name: [] for name in names} for model in MODELS}, 0
    for model in MODELS:
        epochs = {}
        for contender in contenders:  # a first run warms up and is not counted
            # It tells how many epochs make a measurement of about a second.
            rate = contender.ask(model, images[model])["rate"]
            epochs[contender.name] = max(1, min(8, round(rate / images[model])))
        for turn in range(rounds):
            first = turn % len(contenders)
            for contender in contenders[first:] + contenders[:first]:
                for _ in range(tries):
                    answer = contender.ask(model, images[model], epochs[contender.name])
                    if answer["waited"] <= QUIET:
                        break
                else:
                    disturbed += 1
                rates[model][contender.name].append(round(answer["rate"]))
            latest = ", ".join(f"{name} {rates[model][name][-1]:,}" for name in names)
            print(f"{model}, round {turn + 1}: {latest}", flush=True)
    for contender in contenders:
        contender.close()
    return {"rates": rates, "disturbed": disturbed, "runs": rounds * len(names) * len(MODELS)}


def beside(neighbour: str) -> subprocess.Popen:
    """A program that keeps the processor busy until it is killed."""
    return subprocess.Popen(
        [sys.executable, "-c", neighbour], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )


def busy(names: list[str], rounds: int, images: dict[str, int], python: str) -> dict:
    """Rates as of `compare`, beside each of the neighbours: {neighbour: {model: {name: rates}}}."""
    found = {}
    for what, program in NEIGHBOURS.items():
        print(f"beside {what}:", flush=True)
        neighbour = beside(program)
        try:
            found[what] = compare(names, rounds, images, python, tries=1)["rates"]
        finally:
            neighbour.kill()
            neighbour.wait()
    return found


def errors(names: list[str], images: dict[str, int], python: str) -> dict:
    """Test errors after equal epochs: {model: {name: [error of each seed]}}.

    The course's own loops train with several seeds.
    """
    found: dict = {model: {} for model in MODELS}
    for name in names:
        contender = Contender(name, python if name in PEERS else sys.executable)
        for model in MODELS:
            seeds = range(1 if name in PEERS else SEEDS)
            found[model][name] = [
                contender.ask(model, images[model], ERROR_EPOCHS, seed, error=True)["error"]
                for seed in seeds
            ]
            print(
                f"{model}, {name}: test error "
                + ", ".join(f"{error:.5f}" for error in found[model][name]),
                flush=True,
            )
        contender.close()
    return found


def machine() -> str:
    """The processor in words."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":")[1] for line in info.splitlines() if line.startswith("model name")]
    model = names[0].strip() if names else platform.processor() or platform.machine()
    bf16 = ", with bf16 instructions" if "avx512_bf16" in info else ""
    return f"{model}, {os.cpu_count()} cores{bf16}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; all unless named"
    )
    parser.add_argument(
        "--slice", action="store_true", help="few images, without the other frameworks"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--out",
        type=Path,
        help="folder of the three files (benchmarks, or build/bench for a slice)",
    )
    given = parser.parse_args()
    parts = given.parts or PARTS
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(unknown)}")
    (ROOT / "build" / "bench").mkdir(parents=True, exist_ok=True)
    out = given.out or (ROOT / "build" / "bench" if given.slice else HERE)
    out.mkdir(parents=True, exist_ok=True)
    images = dict.fromkeys(MODELS, 640) if given.slice else IMAGES
    peers, rounds, python, tries = (
        ([], 1, "", 1) if given.slice else (PEERS, given.rounds, peers_python(), TRIES)
    )
    file, start = out / "results.json", time.time()
    results = json.loads(file.read_text())["measured"] if file.exists() else {}
    if "speed" in parts:
        results["speed"] = compare(
            ["fit", "limit", "plain loop", *peers], rounds, images, python, tries
        )
        ratios = {
            model: [row["ratio_to_limit"], row["ratio_to_best_peer"]]
            for model, row in summary(results).items()
        }
        results["runs"] = [
            *results.get("runs", []),
            {"time": time.strftime("%Y-%m-%d %H:%M"), "ratios": ratios},
        ][-4:]
    if "busy" in parts:
        few = images if given.slice else BUSY_IMAGES
        run = busy(["fit", "plain loop", *peers], rounds, few, python)
        runs = results.get("busy", []) if not given.slice else []
        results["busy"] = [*runs, {"time": time.strftime("%Y-%m-%d %H:%M"), "rates": run}][-2:]
    if "switches" in parts:
        results["switches"] = compare(["fit", *SWITCHES], rounds, images, python, tries)
    if "errors" in parts:
        results["errors"] = errors(
            ["fit", "plain loop", *peers],
            images if given.slice else dict.fromkeys(MODELS, 55_000),
            python,
        )
    if "speed" not in results:
        print("The table is written once the speed is measured.")
        return
    import torch

    pins = ", ".join(
        line.replace("==", " ")
        for line in (HERE / "requirements.txt").read_text().splitlines()
        if "==" in line
    )
    results |= {
        "machine": machine(),
        "date": date.today().isoformat(),
        "versions": f"Python {platform.python_version()}, PyTorch {torch.__version__.split('+')[0]}"
        + (f", {pins}" if peers else ""),
    }
    file.write_text(json.dumps(summary(results) | {"measured": results}, indent=1) + "\n")
    (out / "RESULTS.md").write_text(report(results))
    chart(results, out / "chart.png")
    print((out / "RESULTS.md").read_text() + f"\n{time.time() - start:.0f} s; written to {out}")


if __name__ == "__main__":
    main()
