"""Execute every committed notebook as a reader would, and record what it costs: `make course`.

Prints a line for each and, when all lessons ran on the full data and passed, writes
benchmarks/COURSE.md: seconds,
seconds of the processor, peak memory of the kernel, and when the first figure was there. The
executed copies go to build/course.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import nbformat
import torch

from benchmarks.bench import machine
from course_utils.data import load_images
from tools.build import ROOT, execute, targets

DATA = ("FashionMNIST", "MNIST")
GOAL_SECONDS, GOAL_GB = 60, 2.0  # of a lesson, on two quiet cores
COST = """\
import json, resource, sys
own, helpers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps([own.ru_utime + own.ru_stime + helpers.ru_utime + helpers.ru_stime,
                  max(own.ru_maxrss, helpers.ru_maxrss)
                  * (1 if sys.platform == "darwin" else 1024)]))  # bytes there, else KiB
"""
HEAD = """\
# What the course costs

Made by `make course`, which executes notebooks from start to end: each in a kernel of its
own, one after the other. *Processor* is the time of all threads and worker processes together,
*memory* the peak of the largest process, *first figure* the time from the start of the kernel.
"""


@dataclass
class Cost:
    """Of one notebook; seconds and gigabytes."""

    name: str
    seconds: float
    processor: float
    memory: float
    first_figure: float | None
    passed: bool


def measured(name: str) -> Cost:
    """Execute one notebook, with one more cell that asks its kernel what it has used."""
    nb, start = nbformat.read(targets()[name][1], as_version=4), time.time()
    nb.cells.append(nbformat.v4.new_code_cell(COST, id="cost"))
    trouble = execute(nb, timing=True)
    seconds, last = time.time() - start, nb.cells.pop()
    copy = ROOT / "build/course" / f"{name}.ipynb"
    copy.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nb, copy)
    if trouble:
        print(trouble, file=sys.stderr)
        return Cost(name, seconds, 0, 0, None, False)
    processor, memory = json.loads(last.outputs[0].text)
    return Cost(name, seconds, processor, memory / 1e9, first_figure(nb, start), True)


def first_figure(nb: nbformat.NotebookNode, start: float) -> float | None:
    """Seconds until the cell of the first figure was done."""
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                done = cell.metadata.execution["iopub.status.idle"].replace("Z", "+00:00")
                return datetime.fromisoformat(done).timestamp() - start
    return None


def table(costs: list[Cost]) -> str:
    lines = [
        "| notebook | seconds | processor | memory | first figure |",
        "|---|---:|---:|---:|---:|",
    ]
    for cost in costs:
        first = "" if cost.first_figure is None else f"{cost.first_figure:.0f} s"
        lines.append(
            f"| {cost.name} | {cost.seconds:.0f} s | {cost.processor:.0f} s "
            f"| {cost.memory:.1f} GB | {first} |"
        )
    return "\n".join(lines)


def words(costs: list[Cost]) -> str:
    """What the table says of the goals."""
    lessons = [cost for cost in costs if "/" not in cost.name]
    total = sum(cost.seconds for cost in lessons) / 60
    said = [f"The lessons together take {total:.1f} minutes."]
    slow = [cost.name for cost in lessons if cost.seconds > GOAL_SECONDS]
    large = [cost.name for cost in lessons if cost.memory > GOAL_GB]
    if slow:
        said.append(f"Above the goal of {GOAL_SECONDS} seconds a lesson: {', '.join(slow)}.")
    if large:
        said.append(f"Above the goal of {GOAL_GB:g} GB a lesson: {', '.join(large)}.")
    if not slow and not large:
        said.append(f"Each stays below {GOAL_SECONDS} seconds and {GOAL_GB:g} GB.")
    return " ".join(said)


def main() -> int:
    known = targets()
    names = sys.argv[1:] or [name for name in known if known[name][1].exists()]
    if unknown := [name for name in names if name not in known]:
        sys.exit(f"no notebook is called {', '.join(unknown)}; there are: {', '.join(known)}")
    os.environ["COURSE_PROGRESS"] = "0"
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")
    if os.path.isdir(os.environ.get("COURSE_DATA", "")):
        os.environ["COURSE_DATA"] = os.path.abspath(os.environ["COURSE_DATA"])
    costs = []
    try:
        for number, name in enumerate(names, 1):
            print(f"[{number}/{len(names)}] {name} …", end=" ", flush=True)
            costs.append(measured(name))
            print(f"{costs[-1].seconds:.0f} s{'' if costs[-1].passed else ', FAILED'}", flush=True)
    except KeyboardInterrupt:
        print("\ninterrupted; the notebooks as you have them were not touched")
        return 130
    print(f"\n{table(costs)}\n\n{words(costs)}")
    if not all(cost.passed for cost in costs):
        return 1
    lessons = {name for name in known if "/" not in name}
    if lessons <= set(names) and {load_images(n, "test").source for n in DATA} == {"full"}:
        about = f"Machine: {machine()}; PyTorch {torch.__version__.split('+')[0]}; {date.today()}."
        parts = [HEAD, about + "\n", table(costs) + "\n", words(costs) + "\n"]
        Path(ROOT, "benchmarks/COURSE.md").write_text("\n".join(parts), encoding="utf-8")
        print("written to benchmarks/COURSE.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
