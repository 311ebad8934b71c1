"""Exercise 2: a frozen encoder with a new head, an instrument for what moved, a head trained on a code that did not."""

from __future__ import annotations

import torch
from course_utils import data, models, training
from torch import nn

from grading.judging import Question, Wrong, tensor
from grading.secret_images import altered


# 1. frozen, with a head

def given_encoder(random):
    k, classes = 5 + int(torch.randint(0, 20, (1,), generator=random)), 4 + int(torch.randint(0, 6, (1,), generator=random))  # never ten: a ten typed in must show
    return {"k": k, "classes": classes, "weight": torch.randn(k, 784, generator=random) / 28, "bias": torch.randn(k, generator=random), "images": torch.rand(50, 1, 28, 28, generator=random)}


def ask_head(student, given):
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Flatten(), nn.Linear(784, given["k"]), nn.Tanh())

        def forward(self, images):
            return self.inner(images)

    encoder = Plain()
    encoder.inner[1].weight, encoder.inner[1].bias = nn.Parameter(given["weight"].clone()), nn.Parameter(given["bias"].clone())
    model = student.with_head(encoder, given["classes"])
    head = [parameter for parameter in model.parameters() if parameter.requires_grad]
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    return {"scores": model(given["images"]), "codes": model[0](given["images"]), "trainable": sum(p.numel() for p in head), "frozen": sum(p.numel() for p in frozen),
            "head_shapes": [list(p.shape) for p in head], "head_weight": next((p for p in head if p.ndim == 2), torch.zeros(1, 1)), "head_bias": next((p for p in head if p.ndim == 1), torch.zeros(1))}


def judge_head(given, answers):
    answer, k, classes = answers[0], given["k"], given["classes"]
    codes = torch.tanh(given["images"].flatten(1).double() @ given["weight"].double().T + given["bias"].double())
    if answer.get("trainable") == 784 * k + k + k * classes + classes:
        raise Wrong("the whole model can be trained. Likely cause: the encoder was not frozen")
    if answer.get("trainable") != k * classes + classes or answer.get("frozen") != 784 * k + k:
        raise Wrong(f"expected {k * classes + classes} trainable and {784 * k + k} frozen numbers, got {answer.get('trainable')} and {answer.get('frozen')}")
    if (tensor(answer, "codes", (50, k)) - codes).abs().max() > 1e-4:
        raise Wrong("model[0] must be the encoder that was handed in, unchanged")
    linear = codes @ tensor(answer, "head_weight", (classes, k)).T + tensor(answer, "head_bias", (classes,))
    if (tensor(answer, "scores", (50, classes)) - linear).abs().max() > 1e-3:
        raise Wrong("the scores are not a linear layer of the code. Likely cause: a softmax at the end")


# 2. what moved

def given_changes(random):
    names = ["0.weight", "0.bias", "1.running_mean", "1.running_var", "1.weight", "1.num_batches_tracked", "2.weight", "2.bias"]
    chosen = torch.randperm(len(names), generator=random)[:3].tolist()
    return {"changes": sorted([[names[i]] for i in chosen] + [[], sorted(["0.bias", "1.running_mean"]), ["2.weight"]])}


def ask_changes(student, given):
    found = []
    for changes in given["changes"]:
        model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
        before = student.snapshot(model)
        with torch.no_grad():
            for name in changes:
                value = model.state_dict()[name]
                value.copy_(value.flip(0) if value.ndim and name in ("0.bias", "2.weight") else value + 1 if not value.is_floating_point() else value + 1e-6)
        found.append([str(name) for name in student.moved(before, model)])
    return {"found": found}


def judge_changes(given, answers):
    found = answers[0].get("found")
    if found == given["changes"]:
        return
    if isinstance(found, list) and not any(found):
        raise Wrong("no change was noticed. Likely cause: the snapshot shares its memory with the model; clone each tensor")
    raise Wrong("some changes were not noticed, or some that did not happen were reported. Likely causes: only parameters are compared (a state has buffers, too), "
                "a tolerance, a comparison of sums, names not sorted")


# 3. train the head

def given_head_training(random):
    train, other = data.load_images("FashionMNIST", "train"), data.load_images("FashionMNIST", "validation")
    pick = torch.randperm(len(train), generator=random)[:6000]
    both = altered(torch.cat([train.images[pick], other.images[:667]]), random, mirror=True, one_shift=True)
    order = torch.randperm(10, generator=random)  # the classes are numbered anew, so that no classifier from elsewhere fits
    torch.manual_seed(int(torch.randint(0, 1000, (1,), generator=random)))
    autoencoder = models.dense_autoencoder(32, nn.Identity())
    training.fit(autoencoder, both[:6000], epochs=8, lr=3e-3, progress=False)
    return {"train": both[:6000], "labels": order[train.labels[pick]], "images": both[6000:], "_labels": order[other.labels[:667]], "epochs": 25, "seed": 3,
            "weight": autoencoder[0].linear.weight.detach(), "bias": autoencoder[0].linear.bias.detach()}


def train_hidden(student, given):
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 32))
    encoder[1].weight, encoder[1].bias = nn.Parameter(given["weight"].clone()), nn.Parameter(given["bias"].clone())
    encoder.eval()
    model = student.train_head(encoder, given["train"], given["labels"], given["epochs"], given["seed"])
    model.eval()
    return model


@torch.no_grad()
def ask_scores(state, given):
    return {"scores": state(given["images"]).float(), "weight": state[0][1].weight, "bias": state[0][1].bias, "codes": state[0](given["images"]).float(),
            "head_weight": state[1].weight, "head_bias": state[1].bias}


def measure_head_training(given, answers):
    """Share of wrong names. The task and the visible check ask for 0.28 at most: the difference is the margin."""
    scores = tensor(answers[0], "scores", (len(given["images"]), 10))
    return float((scores.argmax(1) != given["_labels"]).double().mean()), 0.32


def judge_head_training(given, answers):
    answer, n = answers[0], len(given["images"])
    if not torch.equal(tensor(answer, "weight"), given["weight"].double()) or not torch.equal(tensor(answer, "bias"), given["bias"].double()):
        raise Wrong("the encoder moved. Likely cause: its parameters could be trained")
    scores, codes = tensor(answer, "scores", (n, 10)), tensor(answer, "codes", (n, 32))
    if (codes @ tensor(answer, "head_weight", (10, 32)).T + tensor(answer, "head_bias", (10,)) - scores).abs().max() > 1e-3 * scores.abs().max():
        raise Wrong("the scores are not the head's, applied to the encoder's code")
    linear = given["images"].flatten(1).double() @ given["weight"].double().T + given["bias"].double()
    linear, codes = linear - linear.mean(0), codes - codes.mean(0)
    if ((linear * codes).sum(0) / (linear.norm(dim=0) * codes.norm(dim=0) + 1e-12)).min() < 0.999:
        raise Wrong("the codes are not those of the encoder that was handed in")
    wrong, limit = measure_head_training(given, answers)
    if not wrong < limit:
        raise Wrong(f"{100 * (1 - wrong):.0f} of 100 hidden images get the right name, expected at least {100 * (1 - limit):.0f}")


QUESTIONS = [
    Question("check_with_head", given_encoder, (ask_head,), judge_head, seconds=20),
    Question("check_moved", given_changes, (ask_changes,), judge_changes, seconds=20),
    Question("check_train_head", given_head_training, (ask_scores,), judge_head_training, prepare=train_hidden, measure=measure_head_training, seconds=90),
]
