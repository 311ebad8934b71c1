"""The hidden checks of the two latent-sweep exercises: the solution passes, and each mistake that students make is refused."""

import re
from pathlib import Path

import pytest

from grading.judging import Wrong, hidden

SOURCES = Path(__file__).resolve().parents[1] / "sources/solutions"
SETUP = """
import numpy as np, pandas as pd, torch
from torch import nn
from course_utils import corruption, data, metrics, models, sweeps, training
"""
FASHION, MNIST = "latent_sweep_fashion_mnist", "latent_sweep_mnist"

# check -> pairs (what stands in the solution, the mistake); an empty pair is the solution itself
MISTAKES = {
    (FASHION, "check_corrupt"): [("", ""), (">= p", "< p"), (" / (1 - p)", ""), ("torch.rand(images.shape)", "torch.rand(images.shape[1:])"),
                                 ("return images * survives / (1 - p)", "return images.mul_(survives).div_(1 - p)"), ("p=0.5", "p=0.3")],
    (FASHION, "check_make_dae"): [("", ""), ("model(corrupt(images))", "model(images)"), ("- images) ** 2).mean()", "- corrupt(images)) ** 2).mean()"),
                                  ("** 2).mean()\n    ### END", "** 2).sum()\n    ### END"), ("models.Encoder(latent_dim)", "models.Encoder(latent_dim, nn.Identity())"),
                                  ("model(corrupt(images))\n    return", "model(corrupt(images)).detach()\n    return")],
    (FASHION, "check_denoising_error"): [("", ""), ("model(corrupted_imgs)", "model(images)"), ("    model.eval()\n", ""), ("manual_seed(seed)\n    corr", "manual_seed(0)\n    corr"),
                                         ("    torch.manual_seed(seed)\n    corrupted", "    corrupted")],
    (FASHION, "check_best_dimensions"): [("", ""), ("groups.sem()", "groups.std()"), ("mean[best] + standard_error[best]", "mean[best]"),
                                         ("near.index.min()", "near.index.max()"), ("standard_error[best]]", "standard_error]"), ("groups.sem()", "groups.std(ddof=0) / groups.count() ** 0.5")],
    (FASHION, "check_successful_below"): [("", ""), (" + groups.sem()", ""), ("dim < pixels and ", ""), ("(1 - margin) * ", "")],
    (FASHION, "check_components_needed"): [("", ""), ("x = x - x.mean(dim=0)", "pass"), ("+ 1", ""), (".flip(0)  #", ".flip(0).clamp(min=0).sqrt()  #")],
    (MNIST, "check_pca_curve"): [("", ""), (" / pixels", ""), (".flip(0).cumsum(0).flip(0)", ".cumsum(0)"), ("dropped / pixels", "dropped[1:] / pixels")],
    (MNIST, "check_crossing"): [("", ""), ("if a == b:", "if False:"), ("return before[0], dim", "return dim, dim"), ("!= before[1]", "> before[1]")],
    (MNIST, "check_measure"): [("", ""), ("Dropout(0.5)", "Dropout(0.3)"), ("epochs=epochs", "epochs=1"), ('"measured": splits', '"measured": (splits[0], splits[2], splits[1])')],
    (MNIST, "check_difference"): [("", ""), ("ddof=1", "ddof=0"), (" / len(a)", ""), ("a.mean() - b.mean()", "b.mean() - a.mean()")],
}


def solution(exercise):
    """The text of the solution's answer cells."""
    text = (SOURCES / f"{exercise}.py").read_text(encoding="utf-8")
    cells = re.split(r"(?m)^# %%", text)
    return "\n".join(cell.partition("\n")[2] for cell in cells if '"solution": true' in cell.partition("\n")[0] and "[markdown]" not in cell.partition("\n")[0])


@pytest.mark.parametrize("exercise, name, right, wrong", [
    pytest.param(exercise, name, *pair, id=f"{name}-{i}") for (exercise, name), pairs in MISTAKES.items() for i, pair in enumerate(pairs)])
def test_a_hidden_check_passes_the_solution_and_refuses_mistakes(exercise, name, right, wrong):
    text = solution(exercise)
    assert right in text
    answers: dict = {}
    exec(SETUP + (text.replace(right, wrong) if right else text), answers)
    if right:
        with pytest.raises((Wrong, RuntimeError)):  # a loss that reaches no weight fails in backward() itself
            hidden(exercise, name, answers)
    else:
        assert "passed" in hidden(exercise, name, answers)
