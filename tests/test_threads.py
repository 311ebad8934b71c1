"""Waiting threads sleep: the policy is set before torch reads it, unless one was chosen."""

import os
import subprocess
import sys

import pytest

NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
SHOW = f"import os; print(*(os.environ.get(name) for name in {NAMES}))"


def run(script, **environment):
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    command = [sys.executable, "-c", f"{script}; {SHOW}"]
    return subprocess.run(
        command, env=clean | environment, capture_output=True, text=True, check=True
    ).stdout


def test_passive_before_torch():
    assert run("import course_utils, torch") == "PASSIVE None 0\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_choice_of_ones_own_stays(name):
    shown = run("import torch, course_utils", **{name: "7"})
    assert shown.split() == ["7" if other == name else "None" for other in NAMES]


def test_one_line_where_torch_came_first():
    first = "import torch, course_utils, course_utils.losses, course_utils.data"
    line, policies = run(first).splitlines()
    assert line.startswith("torch was imported before course_utils") and "PASSIVE" in policies


def test_the_runtime_takes_it():
    """What libgomp itself says of its settings when it is loaded."""
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    command = [sys.executable, "-c", "import course_utils, torch; torch.rand(9) @ torch.rand(9)"]
    environment = clean | {"OMP_DISPLAY_ENV": "TRUE"}
    said = subprocess.run(command, env=environment, capture_output=True, text=True).stderr
    if "OMP_WAIT_POLICY" not in said:
        pytest.skip("this torch's OpenMP does not tell its settings")
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in said
