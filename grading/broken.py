"""Files as they really come in: damaged, rearranged, saved by other programs. What can be graded
must be graded as it deserves."""

from __future__ import annotations

import copy
import json
import random

from course_utils.engine import asking
from grading.corpus import ROOT, Case

FIRST = asking.load(ROOT / "lessons/01_dense_autoencoder/submissions.py")
DEAD, PCA, TRAIN, E, dead = FIRST.DEAD, FIRST.PCA, FIRST.TRAIN, FIRST.E, FIRST.dead

ANSWERS = {
    **dead("return [j for j in range(codes.shape[1]) if not codes[:, j].any()]"),
    "pca_error": """def pca_error(train_images, images, k):
    x, y = train_images.flatten(1), images.flatten(1)
    mean = x.mean(dim=0)
    c = torch.linalg.svd(x - mean, full_matrices=False)[2][:k]
    return float((((y - mean) @ c.T @ c + mean - y) ** 2).mean())
""",
    "why": "The gradient of a ReLU is zero where it is off.",
}
REST = (TRAIN,)  # left out in these cases, to save time


def name_of(cell: dict) -> str:
    return cell["metadata"].get("nbgrader", {}).get("grade_id", "")


def without(*names):
    return lambda nb: {**nb, "cells": [cell for cell in nb["cells"] if name_of(cell) not in names]}


def duplicated(nb: dict) -> dict:
    """Every cell twice, as after a slip with copy and paste of all cells: same names, new ids."""
    twice = [dict(copy.deepcopy(cell), id=f"{cell['id'][:50]}-copy") for cell in nb["cells"]]
    return {**nb, "cells": [*nb["cells"], *twice]}


def duplicated_old_below(nb: dict) -> dict:
    """The unanswered cell was copied away first and stands below the answer."""
    place = next(i for i, cell in enumerate(nb["cells"]) if name_of(cell) == "dead_units")
    stub = dict(
        copy.deepcopy(nb["cells"][place]),
        id="old",
        source="def dead_units(codes):\n    # YOUR CODE HERE\n    raise NotImplementedError()\n",
    )
    exercise = next(c for c in build_exercise()["cells"] if name_of(c) == "dead_units")
    stub["source"] = exercise["source"]
    nb["cells"].insert(place + 1, stub)
    return nb


def build_exercise() -> dict:
    return json.loads((ROOT / "exercises" / E / f"{E}.ipynb").read_text(encoding="utf-8"))


def shuffled(nb: dict) -> dict:
    random.Random(3).shuffle(nb["cells"])
    return nb


def stripped(nb: dict) -> dict:
    """All metadata and all ids gone, as after some converters."""
    nb["metadata"] = {}
    for cell in nb["cells"]:
        cell["metadata"] = {}
        cell.pop("id", None)
    nb["nbformat_minor"] = 0
    return nb


def colab(nb: dict) -> dict:
    """As Colab saves: no cell ids but one in the metadata, its own notebook metadata, sources as
    lists, outputs kept, an upload cell first."""
    for number, cell in enumerate(nb["cells"]):
        cell.pop("id", None)
        cell["metadata"]["id"] = f"xY{number}z"
        if cell["cell_type"] == "code":
            cell["metadata"]["colab"] = {"base_uri": "https://localhost:8080/"}
            cell["execution_count"] = number
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["ok\n"]}]
        cell["source"] = "".join(cell["source"]).splitlines(keepends=True)
    nb["cells"].insert(
        0,
        {
            "cell_type": "code",
            "metadata": {"id": "up"},
            "source": ["!pip list | head -1\n", "from google.colab import files"],
            "outputs": [],
            "execution_count": 1,
        },
    )
    nb["metadata"] = {
        "colab": {"provenance": [], "toc_visible": True},
        "accelerator": "GPU",
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
    }
    nb["nbformat_minor"] = 0
    return nb


def nbformat_3(nb: dict) -> dict:
    cells = []
    for cell in nb["cells"]:
        old = {"cell_type": cell["cell_type"], "metadata": cell["metadata"]}
        old["input" if cell["cell_type"] == "code" else "source"] = cell["source"]
        if cell["cell_type"] == "code":
            old.update(language="python", collapsed=False, outputs=[], prompt_number=1)
        cells.append(old)
    return {
        "metadata": {"name": "", "signature": ""},
        "nbformat": 3,
        "nbformat_minor": 0,
        "worksheets": [{"cells": cells, "metadata": {}}],
    }


def windows(nb: dict) -> bytes:
    for cell in nb["cells"]:
        cell["source"] = "".join(cell["source"]).replace("\n", "\r\n")
    return b"\xef\xbb\xbf" + json.dumps(nb).replace("\n", "\r\n").encode()


def huge_outputs(nb: dict) -> bytes:
    """40 MB of saved output in the file."""
    nb["cells"][2 if nb["cells"][2]["cell_type"] == "code" else 3]["outputs"] = [
        {"output_type": "stream", "name": "stdout", "text": "@@@"}
    ]
    return json.dumps(nb).encode().replace(b"@@@", b"x" * (40 << 20), 1)


def checks_edited(nb: dict) -> dict:
    for cell in nb["cells"]:
        if name_of(cell).startswith("check_"):
            cell["source"] = "print('all is well')"
    return nb


def helper_file(nb: dict) -> dict:
    """A helper written to a file, and imported."""
    place = next(i for i, cell in enumerate(nb["cells"]) if name_of(cell) == "dead_units")
    file = "%%writefile helper.py\ndef silent(column):\n    return not column.any()"
    for text in ("from helper import silent", file):
        cell = {"cell_type": "code", "id": f"own{len(text)}", "metadata": {}, "outputs": []}
        nb["cells"].insert(place, cell | {"execution_count": None, "source": text})
    return nb


def case(
    name: str, loses: tuple[str, ...] = (), change=None, answers: dict | None = None, **options
) -> Case:
    return Case(
        f"broken, {name}",
        E,
        {**ANSWERS, **(answers or {})},
        (*loses, *REST),
        change=change,
        solved=False,
        **options,
    )


HEAVY = """import numpy as np
torch.set_num_threads(4)
product = torch.rand(800, 800) @ torch.rand(800, 800)
kept = np.ones(200_000_000)
quick = torch.compile(nn.Linear(10, 10))
quick(product[:, :10])

"""
CASES = [
    case(
        "syntax error in one answer",
        (DEAD,),
        answers={"dead_units": "def dead_units(codes)\n    return []\n"},
    ),
    case("an answer cell deleted", (PCA,), without("pca_error"), say="pca_error"),
    case("check cells deleted", (), without("check_dead_units", "check_pca_error"), say="put back"),
    case("check cells edited", (), checks_edited, say="put back"),
    case(
        "a helper in a file",
        (),
        helper_file,
        answers=dead("return [j for j in range(codes.shape[1]) if silent(codes[:, j])]"),
    ),
    case(
        "threads before a fork, a large array kept, torch.compile",
        (),
        answers={"dead_units": HEAVY + ANSWERS["dead_units"]},
    ),
    case("every cell twice", (), duplicated),
    case("the empty answer copied below", (), duplicated_old_below),
    case("all cells in another order", (), shuffled, say="order"),
    case("metadata and ids stripped", (), stripped),
    case("saved by Colab", (), colab),
    case("nbformat 3", (), nbformat_3),
    case("Windows line ends and byte-order mark", (), windows),
    case("40 MB of saved output", (), huge_outputs),
    case(
        "prints 200 MB",
        (),
        answers={
            "dead_units": ANSWERS["dead_units"]
            + "\nfor _ in range(200):\n    print('x' * 1_000_000)\n"
        },
    ),
    case(
        "endless loop beside an answer",
        (),
        answers={"dead_units": ANSWERS["dead_units"] + "\nwhile True:\n    pass\n"},
        status=("timed out",),
    ),
    case(
        "endless loop in a function",
        (DEAD,),
        answers=dead("while True:\n        pass"),
        status=("timed out",),
        say="Out of time",
    ),
    case(
        "asks for input",
        (),
        answers={"dead_units": ANSWERS["dead_units"] + "\nname = input('your name? ')\n"},
    ),
    case(
        "leaves with sys.exit",
        (),
        answers={"dead_units": ANSWERS["dead_units"] + "\nimport sys\nsys.exit(0)\n"},
    ),
    case(
        "error beside an answer",
        (),
        answers={"dead_units": ANSWERS["dead_units"] + "\nprint(undefined_name)\n"},
    ),
    case("returns nothing", (DEAD,), answers=dead("pass")),
    Case(
        "broken, empty file",
        E,
        loses=(DEAD, PCA, TRAIN, "why"),
        change=lambda nb: b"",
        status=("unreadable",),
        say="empty",
    ),
    Case(
        "broken, not JSON",
        E,
        loses=(DEAD, PCA, TRAIN, "why"),
        change=lambda nb: b"<html><body>Log in to continue</body></html>",
        status=("unreadable",),
        say="JSON",
    ),
    Case(
        "broken, JSON but no notebook",
        E,
        loses=(DEAD, PCA, TRAIN, "why"),
        change=lambda nb: b'[1, 2, {"a": 3}]',
        status=("unreadable",),
        say="not a notebook",
    ),
    Case(
        "broken, half a file",
        E,
        loses=(DEAD, PCA, TRAIN, "why"),
        change=lambda nb: json.dumps(nb).encode()[:9000],
        status=("unreadable",),
    ),
]
