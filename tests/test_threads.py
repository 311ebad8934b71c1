"""Waiting threads sleep: the policy is set before torch reads it, unless one was chosen."""

import os
import re
import subprocess
import sys

import joblib
import pytest
import torch
from torch import nn

from course_utils import models, training
from course_utils.engine import threads

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
    assert re.search(r"OMP_WAIT_POLICY\s*=\s*'PASSIVE'", said)


@pytest.mark.parametrize("before", ["", "import numpy"])
@pytest.mark.parametrize("named, threads_", [({}, 1), ({"OPENBLAS_NUM_THREADS": "2"}, 2)])
def test_numpys_products_take_one_thread_unless_a_number_was_named(before, named, threads_):
    look = "import threadpoolctl as t; print({p['num_threads'] for p in t.threadpool_info()})"
    script = f"{before}\nimport course_utils, numpy\n{look}"
    clean = {name: value for name, value in os.environ.items() if not name.endswith("NUM_THREADS")}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=clean | named, capture_output=True, text=True, check=True)
    assert done.stdout == f"{{{min(threads_, joblib.cpu_count())}}}\n"


# how many threads a training takes


CHOOSE = """
import course_utils, torch
from torch import nn
from course_utils.engine import threads
torch.manual_seed(0)
threads.joblib.cpu_count = lambda: PROCESSORS
look = threads._look
threads._look = lambda *given: (look(*given)[0], SAME_BITS)  # they are on some processors
model, x = MODEL, torch.rand(128, 1, 28, 28)
BEFORE
chosen = threads.Threads(model, lambda: ((model(x) - x) ** 2).mean(), torch.device("cpu"))
print(torch.get_num_threads(), chosen.number, chosen.numbers is not None)
"""
SMALL_MODEL = "course_utils.models.dense_autoencoder(10)"
LARGE_MODEL = "course_utils.models.dense_autoencoder(940)"


def chosen(model, before="", processors=2, same_bits=True, **environment):
    """(threads that torch takes before and after, those of the training, whether it measures)"""
    script = CHOOSE.replace("MODEL", model).replace("BEFORE", before)
    script = script.replace("SAME_BITS", str(same_bits))
    script = script.replace("PROCESSORS", str(processors)).replace(
        "import course_utils, torch",
        "import course_utils, course_utils.models, torch; torch.set_num_threads(2)",
    )
    clean = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    out = subprocess.run(
        [sys.executable, "-c", script], env=clean | environment, capture_output=True, text=True
    )
    assert not out.returncode, out.stderr
    return out.stdout.split()


def test_a_small_model_takes_one_thread_and_a_large_one_measures():
    assert chosen(SMALL_MODEL) == ["2", "1", "False"]
    assert chosen(LARGE_MODEL) == ["2", "2", "True"]
    assert chosen(LARGE_MODEL, same_bits=False) == ["2", "2", "False"]  # no result changes


def test_a_number_of_ones_own_stays():
    assert chosen(SMALL_MODEL, OMP_NUM_THREADS="2") == ["2", "2", "False"]
    assert chosen(SMALL_MODEL, before="torch.set_num_threads(3)") == ["3", "3", "False"]


def test_no_more_threads_than_processors_that_one_may_use():
    assert chosen(LARGE_MODEL, processors=1) == ["2", "1", "False"]


@pytest.mark.parametrize("faster, slower", [(1, 2), (2, 1)])
def test_the_faster_number_is_taken_and_tried_again(monkeypatch, faster, slower):
    monkeypatch.setattr(threads, "AGAIN", 0)  # new trials after each
    choice = threads.Threads.__new__(threads.Threads)
    choice.most = 2
    numbers = choice._faster()
    number, taken = next(numbers), []
    for _ in range(4 * threads.TRIAL):  # one round of trials
        taken.append(number)
        number = numbers.send(1.0 if number == faster else 1.5)
    assert taken.count(1) == taken.count(2) == 2 * threads.TRIAL
    assert number == 2  # the next round begins


def test_threads_change_no_result(monkeypatch):
    """Whatever the trials find to be the faster, `fit` returns the same bits."""
    monkeypatch.setattr(threads, "is_chosen", lambda: False)
    images = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    results = []
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for number in (1, 2):
            monkeypatch.setattr(threads.Threads, "_faster", lambda _, n=number: steadily(n))
            torch.manual_seed(0)
            model = models.conv_autoencoder()
            training.fit(model, images, epochs=1, batch_size=16, progress=False)
            results.append(torch.cat([p.flatten() for p in model.parameters()]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)


def steadily(number):
    """In the place of trials that always end in this number."""
    while True:
        yield number


def test_a_look_leaves_nothing_behind():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 3, padding=1)
    )
    model.train()
    before = [value.clone() for value in model.state_dict().values()]
    generator = torch.get_rng_state()
    x = torch.rand(32, 1, 28, 28)
    generator = torch.get_rng_state()
    products, same = threads._look(model, lambda: (model(x) * torch.rand(1)).mean(), 2)
    assert products == 32 * 784 * 9 * 8
    assert all(map(torch.equal, before, model.state_dict().values()))
    assert torch.equal(generator, torch.get_rng_state())
    assert not any(layer._forward_hooks for layer in model)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("same", [True, False])
def test_a_look_sees_whether_the_bits_are_the_same(same):
    x = torch.rand(2, 1, 28, 28)
    layer = nn.Linear(28, 28)
    factor = (lambda: 1) if same else torch.get_num_threads
    assert threads._look(layer, lambda: (layer(x) * factor()).mean(), 2)[1] == same


class Odd(nn.Module):
    """Its ``weight`` is a number, and a part with a matrix returns two things."""

    def __init__(self):
        super().__init__()
        self.weight, self.part = 0.1, Pair(28, 28)

    def forward(self, images):
        return self.weight * self.part(images)[0]


class Pair(nn.Linear):
    def forward(self, images):
        return super().forward(images), images


def test_a_look_passes_over_what_is_no_layer_with_one_output():
    model, x = Odd(), torch.rand(2, 1, 28, 28)
    assert threads._look(model, lambda: model(x).mean(), 2)[0] == 0
