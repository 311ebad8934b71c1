"""One notebook's source on the pretended GPU: python -m tests.on_gpu lessons/03_denoising/lesson.py

Every cell runs, in one shell, until the first that fails; every training goes through all of its
epochs, of few images each, since this asks where tensors lie and not what is learned. What the
exercise's checks say of devices and generators, and a figure of which they say "Not yet", is a
failure, too: they print and do not raise.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import warnings
from unittest import mock

import jupytext
import matplotlib
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from matplotlib import pyplot as plt

from course_utils.engine.session import Session
from tests import pretended

TROUBLE = re.compile(r"same device|device type|for generator|device=|[Cc]annot copy|OnGPU|Not yet")


def begin(session, whole=Session._begin):
    """One batch and a part of another are enough to see where things lie."""
    few = session.batch_size + 3
    session.images, session.labels = session.images[:few], session.labels[:few]
    if session.held_out:
        session.held_out = session.held_out[0][:few], session.held_out[1][:few]
    whole(session)


def run(source: str) -> int:
    """How many cells ran; the error of the first that failed is raised."""
    matplotlib.use("agg")
    warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")
    shell = InteractiveShell.instance()
    cells = [cell for cell in jupytext.read(source).cells if cell.cell_type == "code"]
    with pretended.gpu(), mock.patch.object(Session, "_begin", begin):
        for cell in cells:
            with capture_output() as said:
                result = shell.run_cell(cell.source)
            plt.close("all")
            shown = [output.data.get("text/plain", "") for output in said.outputs]
            lines = "\n".join([said.stdout, *shown]).splitlines()
            wrong = [line for line in lines if TROUBLE.search(line)]
            if not result.success or wrong:
                print(cell.source, said.stdout, *wrong, sep="\n", file=sys.stderr)
                result.raise_error()
                raise SystemExit("a check met the wrong device")
    return len(cells)


if __name__ == "__main__":
    path = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # where checkpoints and tables may be written
        try:
            print(f"{run(path)} cells")
        finally:
            os.chdir(os.path.dirname(path))
