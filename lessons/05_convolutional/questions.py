"""Exercise 5: shapes and parameters of convolutions, a decoder for a given encoder."""

from __future__ import annotations

import torch
from course_utils import data, metrics
from torch import nn

from grading.judging import Question, Wrong, number, tensor
from grading.secret_images import altered


def integers(random, low, high, n):
    return torch.randint(low, high, (n,), generator=random).tolist()


def given_layers(random):
    layers = []
    for _ in range(12):
        h, w = integers(random, 12, 40, 2)
        layers.append({"size": [h, w + (h == w)], "channels": integers(random, 1, 9, 2), "kernel": integers(random, 2, 6, 2), "stride": integers(random, 1, 4, 1)[0], "padding": integers(random, 0, 3, 1)[0]})
    return {"layers": layers}


def ask_layers(student, given):
    found = []
    for layer in given["layers"]:
        shape, parameters = student.convolution(tuple(layer["size"]), *layer["channels"], tuple(layer["kernel"]), stride=layer["stride"], padding=layer["padding"])
        found.append([[int(side) for side in shape], int(parameters)])
    return {"found": found}


def judge_layers(given, answers):
    expected, swapped, no_bias, one_bias = [], [], [], []
    for layer in given["layers"]:
        conv = nn.Conv2d(*layer["channels"], tuple(layer["kernel"]), layer["stride"], layer["padding"])
        c, h, w = conv(torch.zeros(1, layer["channels"][0], *layer["size"])).shape[1:]
        n = sum(p.numel() for p in conv.parameters())
        expected.append([[c, h, w], n])
        swapped.append([[c, w, h], n])
        no_bias.append([[c, h, w], n - c])
        one_bias.append([[c, h, w], n - c + 1])
    found = answers[0].get("found")
    for cause, value in {"height and width are swapped": swapped, "the biases are missing": no_bias, "one bias for the layer instead of one for each channel": one_bias}.items():
        if found == value:
            raise Wrong(f"hidden layers: not the expected numbers. Likely cause: {cause}")
    if found != expected:
        right = sum(a == b for a, b in zip(found, expected)) if isinstance(found, list) else 0
        raise Wrong(f"{right} of {len(expected)} hidden layers right. Likely causes: the rounding, the padding (both ends), the same kernel side used twice")


def given_transposed(random):
    return {"layers": [integers(random, 2, 20, 1) + integers(random, 3, 7, 1) + integers(random, 1, 5, 1) + integers(random, 0, 2, 1) for _ in range(12)]}


def ask_transposed(student, given):
    return {"found": [int(student.side_transposed(size, kernel, stride=stride, padding=padding)) for size, kernel, stride, padding in given["layers"]]}


def judge_transposed(given, answers):
    expected = [nn.ConvTranspose2d(1, 1, kernel, stride, padding)(torch.zeros(1, 1, size, size)).shape[-1] for size, kernel, stride, padding in given["layers"]]
    if answers[0].get("found") != expected:
        raise Wrong("hidden layers: not the expected sides. Likely causes: (size - 1) times the stride, the padding cut off at both ends")


def given_decoding(random):
    train, other = data.load_images("FashionMNIST", "train").images, data.load_images("FashionMNIST", "validation").images
    pick = torch.randperm(len(train), generator=random)[:6000]
    both = altered(torch.cat([train[pick], other[:500]]), random, mirror=True, one_shift=True)
    return {"train": both[:6000], "images": both[6000:], "seed": int(torch.randint(0, 1000, (1,), generator=random)), "wild": 20 * torch.randn(64, 24, 4, 4, generator=random)}


def train_decoder(student, given):
    """The question's own encoder and loop: only the decoder is the student's."""
    torch.manual_seed(given["seed"])
    encoder = nn.Sequential(nn.Conv2d(1, 12, 4, stride=2, padding=1), nn.ReLU(), nn.Conv2d(12, 24, 4, stride=2, padding=1), nn.ReLU(), nn.Conv2d(24, 24, 3, stride=2, padding=1))
    decoder = student.make_decoder()
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=3e-3)
    for step in range(400):
        index = torch.randint(0, len(given["train"]), (128,))
        loss = ((decoder(encoder(given["train"][index])) - given["train"][index]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    encoder.eval(), decoder.eval()
    return encoder, decoder


@torch.no_grad()
def ask_encoded(state, given):
    return {"codes": state[0](given["images"]).float(), "parameters": sum(p.numel() for p in state[1].parameters())}


@torch.no_grad()
def ask_decoded(state, given):
    return {"images": state[1](given["codes"]).float(), "wild": state[1](given["wild"]).float()}


def shuffled(step, given, answers):
    codes = tensor(answers[0], "codes", (len(given["images"]), 24, 4, 4)).float()
    return {"codes": codes[torch.randperm(len(codes), generator=torch.Generator().manual_seed(given["seed"]))], "wild": given["wild"]}


def measure_decoding(given, answers):
    """Error on hidden images. The task and the visible check ask for 0.013: the difference is the margin."""
    images = given["images"].double()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(given["seed"]))
    return metrics.mse(tensor(answers[1], "images", tuple(images.shape)), images[order]), 0.0145


def judge_decoding(given, answers):
    rebuilt, wild = tensor(answers[1], "images", tuple(given["images"].shape)), tensor(answers[1], "wild", (64, 1, 28, 28))
    if number(answers[0], "parameters") > 20_000:
        raise Wrong(f"the decoder has {number(answers[0], 'parameters'):,.0f} parameters, at most 20,000 were asked for")
    if min(float(rebuilt.min()), float(wild.min())) < 0 or max(float(rebuilt.max()), float(wild.max())) > 1:
        raise Wrong("some decoded values lie outside [0, 1]. Likely cause: no sigmoid at the end")
    error, limit = measure_decoding(given, answers)
    if not error < limit:
        raise Wrong(f"the error on hidden images is {error:.4f}, expected below {limit:g}")


QUESTIONS = [
    Question("check_convolution", given_layers, (ask_layers,), judge_layers, seconds=20),
    Question("check_transposed", given_transposed, (ask_transposed,), judge_transposed, seconds=20),
    Question("check_make_decoder", given_decoding, (ask_encoded, ask_decoded), judge_decoding, prepare=train_decoder, then=shuffled, measure=measure_decoding, seconds=120),
]
