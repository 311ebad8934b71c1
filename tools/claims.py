"""Every claim of the lessons, the slow ones too, on the full data; writes tests/claims/RESULTS.md (`make claims`).

Arguments go to pytest, so that one file can be run alone: its rows are replaced in RESULTS.md, the others stay.
"""

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
RESULTS = ROOT / "tests/claims/RESULTS.md"
HEAD = """# What the lessons claim, as last measured

Written by `make claims`; each row is a value that a test in this folder measured and judged, on the full data.

| test | value | measured | on | with |
|---|---|---|---|---|
"""


def main() -> int:
    today = datetime.date.today().isoformat()
    packages = f"torch {version('torch')}, scikit-learn {version('scikit-learn')}, Python {platform.python_version()}"
    with tempfile.NamedTemporaryFile("r", suffix=".jsonl") as log:
        environment = {**os.environ, "CLAIMS_LOG": log.name, "COURSE_PROGRESS": "0"}
        code = subprocess.call([sys.executable, "-m", "pytest", "-q", "--durations=0", *(sys.argv[1:] or ["tests/claims"])],
                               cwd=ROOT, env=environment)
        measured = [json.loads(line) for line in log]
    lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() and sys.argv[1:] else []
    rows = [line for line in lines if line.startswith("| `")]
    for entry in measured:
        start = f"| `{entry['test']}` | {entry['name']}: "  # a name may hold a colon itself
        rows = [row for row in rows if not row.startswith(start)]
        rows.append(f"{start}{entry['value']} | {today} | {platform.system()}, {os.cpu_count()} cores | {packages} |")
    RESULTS.write_text(HEAD + "\n".join(sorted(rows)) + "\n", encoding="utf-8")
    print(f"{len(measured)} values written to {RESULTS.relative_to(ROOT)}")
    return code


if __name__ == "__main__":
    sys.exit(main())
