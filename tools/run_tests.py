"""All tests: pytest over tests/, nbval over every notebook and solution. `make test` calls it; arguments go to pytest.

On the full data where COURSE_DATA or the cache holds it (or it can be downloaded), else the same tests on the sample.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NBVAL = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=1200", "-p", "no:cacheprovider"]


def pytest(arguments: list[str], alone: bool = True) -> int:
    start = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "--durations=8", *arguments]
    if alone:
        done = subprocess.run(command, cwd=ROOT)
    else:
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    verdict = f"pytest {' '.join(arguments)}: {'passed' if done.returncode == 0 else 'FAILED'} in {time.monotonic() - start:.0f} s\n"
    print((done.stdout or "") + verdict, flush=True)
    return done.returncode


def main() -> int:
    os.environ["COURSE_PROGRESS"] = "0"
    from course_utils.data import load_images

    if {load_images(name, "test").source for name in ("FashionMNIST", "MNIST")} != {"full"}:
        os.environ["COURSE_DATA"] = "sample"  # decided once: no test waits for the network again
    if os.environ.get("COURSE_DATA") == "sample":
        os.environ.setdefault("GRADING_CORPUS", "first")  # a quick run; grading is done on the sample in any case
    print(f"data: {os.environ.get('COURSE_DATA', 'full, from the cache')}", flush=True)
    worst = pytest(["tests", "-m", "not slow", *sys.argv[1:]])
    if not sys.argv[1:]:  # side by side, one thread each: on two cores faster than one after the other
        with ThreadPoolExecutor() as pool:
            worst = max(worst, *pool.map(lambda folder: pytest([*NBVAL, folder], alone=False), ("notebooks", "solutions")))
    return worst


if __name__ == "__main__":
    sys.exit(main())
