"""All tests: pytest over tests/, nbval over every notebook and solution. `make test` calls it; arguments go to one pytest over tests/.

On the full data where COURSE_DATA or the cache holds it (or it can be downloaded), else the same tests on the sample. Without
arguments as many groups run side by side as there are cores, one thread each; what a group says is printed when it ends.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NBVAL = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=1200", "-p", "no:cacheprovider"]
APART = ["tests/test_browser.py", "tests/test_grading.py"]
GROUPS = {  # the longest first
    **{path: [path] for path in APART},
    "notebooks": [*NBVAL, "notebooks"],
    "the other tests": ["tests", *[f"--ignore={path}" for path in APART]],
    "solutions": [*NBVAL, "solutions"],
}


def pytest(arguments: list[str], **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "pytest", "-q", "-rs", "-m", "not slow", "--durations=8", *arguments], cwd=ROOT, text=True, **options)


def run_group(name: str) -> int:
    start = time.monotonic()
    print(f"{name} …", flush=True)
    done = pytest(GROUPS[name], env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(f"{done.stdout}{name}: {'FAILED' if done.returncode else 'passed'} in {time.monotonic() - start:.0f} s\n", flush=True)
    return done.returncode


def main() -> int:
    os.environ["COURSE_PROGRESS"] = "0"
    from course_utils.data import load_images

    if {load_images(name, "test").source for name in ("FashionMNIST", "MNIST")} != {"full"}:
        os.environ["COURSE_DATA"] = "sample"  # decided once: no test waits for the network again
    if os.environ.get("COURSE_DATA") == "sample":
        os.environ.setdefault("GRADING_CORPUS", "first")  # a quick run; grading is done on the sample in any case
    print(f"data: {os.environ.get('COURSE_DATA', 'full, from the cache')}", flush=True)
    if sys.argv[1:]:
        return pytest(["tests", *sys.argv[1:]]).returncode
    with ThreadPoolExecutor(max(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 2)) as pool:
        failed = [name for name, code in zip(GROUPS, pool.map(run_group, GROUPS)) if code]
    print(f"failed: {', '.join(failed)}" if failed else "all tests passed", flush=True)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
