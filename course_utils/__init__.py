"""Helpers of the autoencoder course: one short file for each idea.

A lesson imports one once it has taught the idea.
"""

import os
import sys

# Threads that wait for others must sleep, not spin: beside any other busy program spinning costs a
# training most of its speed. The runtimes of OpenMP read these once, when torch is imported.
if not any(name in os.environ for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")):
    os.environ.update(OMP_WAIT_POLICY="PASSIVE", KMP_BLOCKTIME="0")
    if "torch" in sys.modules:
        print(
            "torch was imported before course_utils: trainings will be slow while other programs "
            "are busy. To avoid it, restart and import course_utils first."
        )

# NumPy's and SciPy's OpenBLAS spins whatever one says, so it gets one thread: beside a busy
# program a probe of scikit-learn is ten times as fast with it.
if "OPENBLAS_NUM_THREADS" not in os.environ:
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    if "numpy" in sys.modules:
        from threadpoolctl import threadpool_limits

        threadpool_limits(1, "blas")

# A console without ✓ or a Hebrew letter shows a number in its place, and no program ends with it.
for _stream in (sys.stdout, sys.stderr):
    if getattr(_stream, "errors", "") == "strict" and hasattr(_stream, "reconfigure"):
        _stream.reconfigure(errors="backslashreplace")
