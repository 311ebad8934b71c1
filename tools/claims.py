"""Every claim of the lessons, the slow ones too, on the full data; writes lessons/RESULTS.md.

    python -m tools.claims                                   all
    python -m tools.claims lessons/03_denoising …            some

The rows of what was measured are replaced, those of tests that are gone go, the others stay.
Arguments go to pytest.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "lessons/RESULTS.md"
HEAD = """# What the lessons claim, as last measured

Written by `make claims`; each row is a value that a test in a lesson's folder measured and judged,
on the full data.

| test | value | measured | on | with |
|---|---|---|---|---|
"""


def tests_there() -> set[str] | None:
    """The tests that the lessons hold now; None where pytest cannot tell."""
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "lessons"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return None if done.returncode else {line for line in done.stdout.splitlines() if "::" in line}


def main(arguments: list[str]) -> int:
    with tempfile.NamedTemporaryFile("r", suffix=".jsonl") as log:
        code = subprocess.call(
            [sys.executable, "-m", "pytest", "-q", "--durations=0", *(arguments or ["lessons"])],
            cwd=ROOT,
            env={**os.environ, "CLAIMS_LOG": log.name, "COURSE_PROGRESS": "0"},
        )
        measured = [json.loads(line) for line in log]
    if not measured:
        print(f"nothing was measured; {RESULTS.relative_to(ROOT)} stays as it is")
        return code
    machine = f"{platform.system()}, {os.cpu_count()} cores"
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "scikit-learn"))
    about = f"{datetime.date.today()} | {machine} | {packages}, Python {platform.python_version()}"
    before = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else []
    there, anew = tests_there(), {entry["test"] for entry in measured}
    old = [(row.split("`")[1], row) for row in before if row.startswith("| `")]
    rows = [row for test, row in old if test not in anew and (there is None or test in there)]
    rows += [f"| `{e['test']}` | {e['name']}: {e['value']} | {about} |" for e in measured]
    RESULTS.write_text(HEAD + "\n".join(sorted(rows)) + "\n", encoding="utf-8")
    print(f"{len(measured)} values written to {RESULTS.relative_to(ROOT)}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
