"""The course's tests, in groups side by side, one thread each: python -m tools.run_tests

    run_tests                every notebook and every solution once (lessons in a browser, solutions
                             by nbval), every unit test, the grader's corpus of one exercise
    run_tests all            both ways over both kinds, the whole corpus, the claims that fit,
                             every notebook on a pretended GPU, the oldest versions allowed
    run_tests check          what needs no training: built files, lint, types, and the quick tests
    run_tests tests/test_x.py -k word …   everything else goes to one pytest

On the full data where COURSE_DATA or the cache holds it (or it can be downloaded), else the same
tests on the sample. While groups run, a line says how far each is, and a failure is told when it
happens; what a group said in full is printed when it ends.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import course_utils  # noqa: F401  (a console that lacks a letter then shows a number)

ROOT = Path(__file__).resolve().parents[1]
PYTEST = ["pytest", "-q", "-rs", "-m", "not slow"]
NBVAL = [
    *[*PYTEST, "--durations=8", "-p", "no:cacheprovider"],
    *["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=1200"],
    "--nbval-kernel-startup-timeout=600",
]
BROWSER, GRADING, GPU = (f"tests/test_{name}.py" for name in ("browser", "grading", "gpu"))
PROGRAMS = [
    f"tests/test_{name}.py"
    for name in ["bench", "resolving", "site", "colab", "toy_lesson", "setup", "html", "address"]
]
REST = ["tests", *[f"--ignore={path}" for path in (BROWSER, GRADING, GPU, *PROGRAMS)]]
UNITS = [*PYTEST, "--durations=8"]
TESTS = {  # name -> arguments of `python -m`; the longest first, then none waits at the end alone
    "lessons in a browser": [*UNITS, BROWSER],
    "set-up, site, Colab": [*UNITS, *PROGRAMS],
    "the other tests": [*UNITS, *REST],
    "solutions": [*NBVAL, "solutions"],
    "on a pretended GPU": [*UNITS, GPU],
    "grading": [*UNITS, GRADING],  # by itself it keeps two cores at work, so it may be the last
}
ALL = {**TESTS, "notebooks": [*NBVAL, "notebooks"], "claims": [*PYTEST, "lessons"]}
QUICK = {
    "files": ["pins", "texts", "builder", "lessons", "my_course"],
    "package": [
        *["data", "models", "models_conv", "models_variational"],
        *["corruption", "metrics", "plots"],
    ],
}
CHECKS = {
    **{
        f"quick tests, {what}": [*PYTEST, *[f"tests/test_{name}.py" for name in names]]
        for what, names in QUICK.items()
    },
    "types": ["mypy"],
    "notebooks as their sources": ["tools.build", "--check"],
    "exercises as their solutions": ["tools.exercises", "--check"],
    "layout": ["ruff", "format", "--check", "--output-format=concise", "."],
    "lint": ["ruff", "check", "--output-format=concise", "."],
}
EVERY = 30  # seconds between two lines of progress where there is no terminal
EVENTS = "COURSE_TEST_EVENTS"  # names the file to which a group's pytest writes how far it is


# This module is also a plug-in of the pytest that a group starts: it writes a line for each event.


def write_event(**event) -> None:
    if path := os.environ.get(EVENTS):
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")


def pytest_collection_finish(session) -> None:
    write_event(total=len(session.items))


def pytest_runtest_logreport(report) -> None:
    if report.failed:
        write_event(failed=report.nodeid, why=report.longreprtext[-600:])
    if report.when == "teardown":
        write_event(done=report.nodeid)


def pytest_collectreport(report) -> None:
    if report.failed:
        write_event(failed=report.nodeid, why=report.longreprtext[-600:])


class Group:
    """One program of several that run side by side."""

    def __init__(self, name: str, arguments: list[str], folder: Path):
        self.name, self.start = name, time.monotonic()
        self.events = folder / f"{len(list(folder.iterdir()))}.jsonl"
        self.said = self.events.with_suffix(".txt")
        self.total = self.done = self.read = 0
        plugin = ["-p", "tools.run_tests"] if arguments[0] == "pytest" else []
        self.events.touch()
        with open(self.said, "wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", arguments[0], *plugin, *arguments[1:]],
                cwd=ROOT,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1", EVENTS: str(self.events)},
            )

    def news(self) -> list[str]:
        """Take in what has happened since the last call; the failures among it, in words."""
        with open(self.events, encoding="utf-8") as file:
            file.seek(self.read)
            text = file.read()
        complete = text[: text.rfind("\n") + 1]  # a line may be half written
        self.read += len(complete.encode())
        failures = []
        for event in map(json.loads, complete.splitlines()):
            self.total = event.get("total", self.total)
            self.done += "done" in event
            if "failed" in event:
                failures.append(f"FAILED {event['failed']}\n{event['why']}")
        return failures

    def __str__(self) -> str:
        return f"{self.name} {self.done}/{self.total}" if self.total else self.name

    def ending(self) -> str:
        """What it said, and how it ended."""
        said = self.said.read_text(encoding="utf-8", errors="replace").rstrip()
        verdict = "FAILED" if self.process.returncode else "passed"
        return f"{said}\n{self.name}: {verdict} in {time.monotonic() - self.start:.0f} s\n"


class Screen:
    """What is said stays; how far all is stands in one line below it, written over in a terminal;
    elsewhere it is a new line now and then."""

    def __init__(self):
        self.start = self.last = time.monotonic()
        self.terminal = sys.stdout.isatty()

    def say(self, text: str) -> None:
        print(("\r\033[K" if self.terminal else "") + text, flush=True)

    def show(self, text: str) -> None:
        now = time.monotonic()
        minutes, seconds = divmod(int(now - self.start), 60)
        line = f"{minutes}:{seconds:02d}  {text}"
        if self.terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K{line[:width]}", end="", flush=True)
        elif now - self.last >= EVERY:
            self.last = now
            print(line, flush=True)


def run_groups(groups: dict[str, list[str]]) -> list[str]:
    """Run the groups; those that failed. One more at a time than there are cores, since a quarter
    of the tests' time is waiting: for a browser, the network, a clock."""
    waiting, running, failed, screen = list(groups), [], [], Screen()
    with tempfile.TemporaryDirectory() as folder:
        try:
            while waiting or running:
                while waiting and len(running) <= cores():
                    name = waiting.pop(0)
                    screen.say(f"{name} …")
                    running.append(Group(name, groups[name], Path(folder)))
                screen.show(" · ".join(map(str, [*running, *waiting])))
                time.sleep(0.3)
                for group in list(running):
                    over = group.process.poll() is not None
                    for failure in group.news():
                        screen.say(f"{failure}\n")
                    if over:
                        running.remove(group)
                        failed += [group.name] if group.process.returncode else []
                        screen.say(group.ending())
        finally:
            for group in running:
                group.process.terminate()
    return failed


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 2


def choose_data() -> None:
    """The full data where it is at hand, else the sample; decided once, so that no test waits for
    the network again."""
    from course_utils.data import load_images

    if {load_images(name, "test").source for name in ("FashionMNIST", "MNIST")} != {"full"}:
        os.environ["COURSE_DATA"] = "sample"
    print(f"data: {os.environ.get('COURSE_DATA', 'full, from the cache')}", flush=True)


def main(arguments: list[str]) -> int:
    os.environ["COURSE_PROGRESS"] = "0"
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    checking, everything = arguments == ["check"], arguments == ["all"]
    if checking:
        os.environ["COURSE_DATA"] = "sample"
    else:
        choose_data()
    if everything:
        os.environ["COURSE_TESTS"] = "all"
    elif arguments and not checking:
        command = [sys.executable, "-m", *PYTEST, "--durations=8", *arguments]
        return subprocess.run(command, cwd=ROOT).returncode
    start = time.monotonic()
    try:
        failed = run_groups(CHECKS if checking else ALL if everything else TESTS)
    except KeyboardInterrupt:
        print("\ninterrupted", flush=True)
        return 130
    what = "checks" if checking else "tests"
    took = f"in {time.monotonic() - start:.0f} s"
    print(f"failed: {', '.join(failed)}" if failed else f"all {what} passed {took}", flush=True)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
