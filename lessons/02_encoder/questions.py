"""Exercise 2: a frozen encoder with a head, what has moved, a head that is trained."""

from __future__ import annotations

import torch
from torch import nn

from course_utils import data, models, training
from course_utils.engine.asking import Question, Wrong, expect, tensor
from course_utils.engine.exam_images import altered

# 1. frozen, with a head


def given_encoder(random):
    k = 5 + int(torch.randint(0, 20, (1,), generator=random))
    images = (torch.rand(200, 1, 28, 28, generator=random) < 0.5).float()
    return {
        "k": k,
        # never ten: a ten typed in must show
        "classes": 4 + int(torch.randint(0, 6, (1,), generator=random)),
        "weight": torch.randn(k, 784, generator=random) / 14,
        "bias": torch.randn(k, generator=random),
        "images": images * torch.rand(200, 1, 1, 1, generator=random),
    }


def ask_counts(student, given):
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, given["k"]), nn.Tanh())
    parameters = list(student.with_head(encoder, given["classes"]).parameters())
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    return {"counts": [trainable, sum(p.numel() for p in parameters) - trainable]}


def ask_model(student, given):
    class Encoder(nn.Module):  # one that is no nn.Sequential
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(784, given["k"])
            self.linear.weight = nn.Parameter(given["weight"].clone())
            self.linear.bias = nn.Parameter(given["bias"].clone())

        def forward(self, images):
            return torch.tanh(self.linear(images.flatten(1)))

    model = student.with_head(Encoder(), given["classes"]).eval()
    with torch.no_grad():
        codes = model[0](given["images"])
        return {"codes": codes, "scores": model(given["images"])}


def expected_counts(given):
    k, classes = given["k"], given["classes"]
    body, head, ten = 784 * k + k, k * classes + classes, 10 * k + 10
    mistakes = {
        "the encoder is not frozen": [body + head, 0],
        "nothing can be trained, not even the head": [0, body + head],
        "the head is frozen and the encoder is not": [body, head],
        "ten scores, whatever classes says": [ten, body],
        "ten scores, whatever classes says, and an encoder that is not frozen": [
            body + ten,
            0,
        ],
    }
    return {"counts": [head, body], "mistakes": {"counts": mistakes}}


def only_the_head(given, answers, expected):
    """Only the head can be trained."""
    what = "how many single numbers can be trained, and how many cannot"
    likely = "the head is one linear layer, from the code's size to classes"
    expect(answers[0], "counts", expected, what, likely=likely)


def scores_of_the_code(given, answers, expected):
    """The scores are one linear layer of the encoder's code, no probabilities."""
    images, k, classes = given["images"].double(), given["k"], given["classes"]
    weight, bias = given["weight"].double(), given["bias"].double()
    right = torch.tanh(images.flatten(1) @ weight.T + bias)
    codes = answers[1].get("codes")
    cause = "model[0] must be the encoder that was handed in"
    if not isinstance(codes, torch.Tensor) or tuple(codes.shape) != (200, k):
        raise Wrong("what model[0] makes of 200 images", "the code", codes, cause)
    gap = float((tensor(answers[1], "codes") - right).abs().max())
    if gap > 1e-4:
        what = "the largest difference between model[0]'s code and the encoder's"
        raise Wrong(what, 0.0, gap, cause)
    scores = answers[1].get("scores")
    if not isinstance(scores, torch.Tensor) or tuple(scores.shape) != (200, classes):
        got = tuple(scores.shape) if isinstance(scores, torch.Tensor) else scores
        cause = "the head returns one score for each of classes, which is not always 10"
        raise Wrong("the scores' shape", (200, classes), got, cause)
    scores = tensor(answers[1], "scores")
    for name, total in {
        "a softmax": scores.sum(1),
        "a log-softmax": scores.exp().sum(1),
    }.items():
        if (total - 1).abs().max() < 1e-4:
            cause = f"{name} at the end; the loss brings its own"
            raise Wrong("the scores", "one linear layer of the code", name, cause)
    columns = torch.cat([right, torch.ones(200, 1, dtype=torch.float64)], dim=1)
    best = columns @ torch.linalg.lstsq(columns, scores).solution
    gap = float((best - scores).abs().max())
    if gap > 1e-4 * (1 + float(scores.abs().max())):
        what = "the scores' largest difference from a linear layer of the code"
        cause = "an activation behind the head, or a head of several layers"
        raise Wrong(what, 0.0, gap, cause)


# 2. what has moved

SMALL, BUFFERS, CANCEL = "small", "buffers", "cancel"
SIZES = {
    "0.weight": (2, 3),
    "0.bias": (2,),
    "1.weight": (2,),
    "1.bias": (2,),
    "1.running_mean": (2,),
    "1.running_var": (2,),
    "1.num_batches_tracked": (),
    "2.weight": (3, 2),
    "2.bias": (3,),
}


def given_changes(random):
    """States before and after. Nobody in the box is told what was changed: it is what
    the answer says. All numbers are multiples of 1/64, so that sums are exact."""
    before = {}
    for name, size in SIZES.items():
        count = max(1, int(torch.tensor(size).prod())) if size else 1
        numbers = (33 + torch.randperm(31, generator=random)[:count]) / 64
        signs = 1 - 2 * (torch.arange(count) % 2)
        before[name] = (numbers * signs).reshape(size)
    before["1.running_var"] = before["1.running_var"].abs()
    before["1.num_batches_tracked"] = torch.tensor(7)
    layer = ["0", "2"][int(torch.randint(0, 2, (1,), generator=random))]
    buffer = ["1.running_mean", "1.running_var"]
    if torch.rand(1, generator=random) < 0.5:
        buffer.reverse()
    trials = {
        SMALL: [[], [f"{layer}.weight"], ["0.bias", "0.weight"], ["2.bias"]],
        BUFFERS: [[buffer[0]], ["1.num_batches_tracked"], ["0.bias", buffer[1]]],
        CANCEL: [[], ["0.bias"], [f"{layer}.weight"], ["2.bias", "2.weight"]],
    }
    given = {f"before {name}": value for name, value in before.items()}
    for kind, changes in trials.items():
        for number, names in enumerate(changes):
            for name in names:
                value = before[name].clone()
                if kind == CANCEL:
                    value = value.flip(0)  # no entry keeps its place but in threes
                elif value.is_floating_point():
                    place = int(torch.randint(0, value.numel(), (1,), generator=random))
                    value.view(-1)[place] += 1e-6
                else:
                    value += 1
                given[f"{kind} {number} {name}"] = value
    counts = {f"trials of {kind}": len(changes) for kind, changes in trials.items()}
    return {**given, **counts, "_changes": trials}


def ask_moved(student, given):
    found = {}
    for kind in ("small", "buffers", "cancel"):
        found[kind] = []
        for number in range(given[f"trials of {kind}"]):
            model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 3))
            state = model.state_dict()
            with torch.no_grad():
                for name, value in state.items():
                    value.copy_(given[f"before {name}"])
                before = student.snapshot(model)
                for name, value in state.items():
                    value.copy_(given.get(f"{kind} {number} {name}", value.clone()))
            names = student.moved(before, model)
            found[kind].append([str(name) for name in names])
    return found


def expected_changes(given):
    changes, order = given["_changes"], list(SIZES)
    small, buffers, cancel = changes[SMALL], changes[BUFFERS], changes[CANCEL]
    parameters = [[n for n in names if n == "0.bias"] for names in buffers]
    as_stored = "the names are not in alphabetical order"
    hidden = "a sum does not notice what goes up in one place and down in another"
    return {
        **changes,
        "mistakes": {
            SMALL: {as_stored: [sorted(names, key=order.index) for names in small]},
            BUFFERS: {
                "buffers belong to the state, too": parameters,
                as_stored: [names[::-1] for names in buffers],
            },
            CANCEL: {
                hidden: [[] for _ in cancel],
                as_stored: [sorted(names, key=order.index) for names in cancel],
            },
        },
    }


def nothing_seen(answers):
    """The cause where no change at all was reported."""
    found = [answers[0].get(kind) for kind in (SMALL, BUFFERS, CANCEL)]
    if all(isinstance(names, list) and not any(names) for names in found):
        return "the snapshot shares its memory with the model: clone each tensor"
    return ""


def compare(answers, expected, kind, what, likely):
    if cause := nothing_seen(answers):
        raise Wrong(what, expected[kind], answers[0].get(kind), cause)
    expect(answers[0], kind, expected, what, likely=likely)


def small_changes(given, answers, expected):
    """Weights that moved by a millionth are named, and nothing else."""
    what = "the names, in four trials (the first without a change)"
    likely = "a tolerance: compare exactly, with torch.equal"
    compare(answers, expected, SMALL, what, likely)


def buffers_too(given, answers, expected):
    """Buffers that moved are named, too."""
    what = "the names, in three trials"
    likely = "only parameters are compared, or with a tolerance"
    compare(answers, expected, BUFFERS, what, likely)


def changes_that_cancel(given, answers, expected):
    """Changes that cancel in a sum are named."""
    what = "the names, in four trials (the first without a change)"
    likely = "sums, means or sorted numbers are compared, not entry by entry"
    compare(answers, expected, CANCEL, what, likely)


# 3. train the head


def given_head_training(random):
    """Images that no file holds; classes numbered anew, so that no classifier from
    elsewhere fits. The held-out images stay with the judge."""
    train = data.load_images("FashionMNIST", "train", sample=True)
    other = data.load_images("FashionMNIST", "validation", sample=True)
    pick = torch.randperm(len(train), generator=random)[:6000]
    both = torch.cat([train.images[pick], other.images])
    both = altered(both, random, mirror=True, one_shift=True)
    order = torch.randperm(10, generator=random)
    seed = int(torch.randint(0, 1000, (1,), generator=random))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        autoencoder = models.dense_autoencoder(32, nn.Identity())
        training.fit(autoencoder, both[:6000], epochs=8, lr=3e-3, progress=False)
    return {
        "train": both[:6000],
        "labels": order[train.labels[pick]],
        "epochs": 25,
        "seed": seed,
        "weight": autoencoder[0].linear.weight.detach(),
        "bias": autoencoder[0].linear.bias.detach(),
        "_images": both[6000:],
        "_labels": order[other.labels],
    }


def train_hidden(student, given):
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 32))
    encoder[1].weight = nn.Parameter(given["weight"].clone())
    encoder[1].bias = nn.Parameter(given["bias"].clone())
    encoder.eval()
    train, labels, epochs = given["train"], given["labels"], given["epochs"]
    return student.train_head(encoder, train, labels, epochs, given["seed"]).eval()


@torch.no_grad()
def ask_encoder(state, given):
    codes = state[0](given["train"][:50])
    return {"weight": state[0][1].weight, "bias": state[0][1].bias, "codes": codes}


@torch.no_grad()
def ask_head(state, given):
    return {"scores": state[1:](given["codes"]).float()}


def codes_of(given, images):
    return images.flatten(1) @ given["weight"].T + given["bias"]


def only_codes(step, given, answers):
    """The head gets codes alone, made here by the encoder that was handed in."""
    if step == 0:
        return given
    return {"codes": codes_of(given, given["_images"])}


def share_of_wrong_names(given, answers):
    """The task asks for 0.28 at most; the rest is margin."""
    scores = tensor(answers[1], "scores", (len(given["_images"]), 10))
    wrong = (scores.argmax(1) != given["_labels"]).double().mean()
    return float(wrong), 0.32


def same_encoder(given, answers):
    for name in ("weight", "bias"):
        value = tensor(answers[0], name, tuple(given[name].shape))
        count = int((value != given[name].double()).sum())
        if count:
            cause = "the encoder was not frozen, or another one was put in"
            what = f"entries of the encoder's {name} that moved"
            raise Wrong(what, 0, count, cause)
    right = codes_of(given, given["train"][:50]).double()
    gap = float((tensor(answers[0], "codes", (50, 32)) - right).abs().max())
    if gap > 1e-3:
        what = "the largest difference between model[0]'s code and the encoder's"
        raise Wrong(what, 0.0, gap, "model[0] must be the encoder, and nothing else")


def learned_without_moving(given, answers, expected):
    """The head has learned something, and the encoder is bit for bit the same."""
    same_encoder(given, answers)
    right = 1 - share_of_wrong_names(given, answers)[0]
    if not right > 0.4:
        what = f"{100 * right:.0f} of 100 held-out images get the right name"
        raise Wrong(what, cause="the head was not trained, or not on the frozen code")


def names_most(given, answers, expected):
    """The scores name the right class of most held-out images."""
    learned_without_moving(given, answers, expected)
    wrong, limit = share_of_wrong_names(given, answers)
    right, least = 100 * (1 - wrong), 100 * (1 - limit)
    if not wrong < limit:
        what = f"{right:.0f} of 100 held-out images get the right name"
        cause = "too few or too small steps: try a learning rate of 0.01"
        raise Wrong(what, f"at least {least:.0f} of 100", f"{right:.0f}", cause)


QUESTIONS = [
    Question(
        "with_head",
        given=given_encoder,
        ask=(ask_counts, ask_model),
        expected=expected_counts,
        rules={only_the_head: 1, scores_of_the_code: 1},
        seconds=20,
    ),
    Question(
        "moved",
        needs=("snapshot", "moved"),
        given=given_changes,
        ask=(ask_moved,),
        expected=expected_changes,
        rules={small_changes: 1, buffers_too: 1, changes_that_cancel: 1},
        seconds=20,
    ),
    Question(
        "train_head",
        given=given_head_training,
        prepare=train_hidden,
        ask=(ask_encoder, ask_head),
        then=only_codes,
        rules={learned_without_moving: 2, names_most: 2},
        measure=share_of_wrong_names,
        seconds=90,
    ),
]
