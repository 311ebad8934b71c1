"""Exercise 5: right answers in other styles, and wrong ones that students hand in."""

from textwrap import indent

from grading.corpus import Case

E = "05_convolutional"
CONV, BACK, DECODER = "check_convolution", "check_side_transposed", "check_make_decoder"

HEAD = """
def convolution(size, channels_in, channels_out, kernel, stride=1, padding=0):
    height = side_after(size[0], kernel[0], stride, padding)
    width = side_after(size[1], kernel[1], stride, padding)
    weights = channels_in * kernel[0] * kernel[1]
"""


def conv(body: str) -> dict[str, str]:
    return {"convolution": f"{HEAD.lstrip()}{indent(body.strip(), '    ')}\n"}


def back(value: str) -> dict[str, str]:
    head = "def side_transposed(size, kernel, stride=1, padding=0):\n"
    return {"side_transposed": f"{head}    return {value}\n"}


def decoder(layers: str) -> dict[str, str]:
    body = f"return nn.Sequential(\n{indent(layers.strip(), '    ')}\n)"
    return {"make_decoder": f"def make_decoder():\n{indent(body, '    ')}\n"}


START = """
nn.ConvTranspose2d(24, 24, 3, stride=2, padding=1),
nn.ReLU(),
nn.ConvTranspose2d(24, 12, 4, stride=2, padding=1),
nn.ReLU(),
nn.ConvTranspose2d(12, 1, 4, stride=2, padding=1),
"""
ASKS_TORCH = """
def convolution(size, channels_in, channels_out, kernel, stride=1, padding=0):
    layer = nn.Conv2d(channels_in, channels_out, kernel, stride, padding)
    shape = layer(torch.zeros(1, channels_in, *size)).shape[1:]
    return shape, sum(p.numel() for p in layer.parameters())
"""
RESIZES = """
nn.Upsample(size=7),
nn.Conv2d(24, 24, 3, padding=1),
nn.ReLU(),
nn.Upsample(scale_factor=2),
nn.Conv2d(24, 16, 3, padding=1),
nn.ReLU(),
nn.Upsample(scale_factor=2),
nn.Conv2d(16, 1, 3, padding=1),
nn.Sigmoid(),
"""
NORMALISED = """
nn.ConvTranspose2d(24, 24, 3, stride=2, padding=1),
nn.BatchNorm2d(24),
nn.ReLU(),
nn.ConvTranspose2d(24, 12, 4, stride=2, padding=1),
nn.BatchNorm2d(12),
nn.ReLU(),
nn.ConvTranspose2d(12, 1, 4, stride=2, padding=1),
nn.Hardsigmoid(),
"""
SQUARE_KERNEL = """
width = side_after(size[1], kernel[0], stride, padding)
return (channels_out, height, width), channels_out * (channels_in * kernel[0] ** 2 + 1)
"""
PIXELS_36 = """
nn.ConvTranspose2d(24, 24, 3, stride=2),
nn.ReLU(),
nn.ConvTranspose2d(24, 12, 2, stride=2),
nn.ReLU(),
nn.ConvTranspose2d(12, 1, 2, stride=2),
nn.Sigmoid(),
"""
LINEAR = """
nn.Flatten(),
nn.Linear(384, 784),
nn.Sigmoid(),
nn.Unflatten(1, (1, 28, 28)),
"""
PLACE_LOST = """
nn.AdaptiveAvgPool2d(1),
nn.Upsample(size=7),
nn.Conv2d(24, 16, 3, padding=1),
nn.ReLU(),
nn.Upsample(size=28),
nn.Conv2d(16, 1, 3, padding=1),
nn.Sigmoid(),
"""
SECOND_CALL = """
class Hides(nn.Sequential):
    asked = 0

    def parameters(self, recurse=True):
        self.asked += 1
        every = list(super().parameters(recurse))
        return iter(every if self.asked == 1 else every[:2])


def make_decoder():
    return Hides(
        nn.Flatten(),
        nn.Linear(384, 784),
        nn.Sigmoid(),
        nn.Unflatten(1, (1, 28, 28)),
    )
"""

CASES = [
    Case("right, the solution", E),
    Case(
        "right, asks torch, resizes",
        E,
        {
            "convolution": ASKS_TORCH.lstrip(),
            **back("stride * size - stride + kernel - padding - padding"),
            **decoder(RESIZES),
        },
    ),
    Case("right, with batch normalisation", E, decoder(NORMALISED)),
    Case(
        "wrong 1, h and w swapped",
        E,
        conv("return (channels_out, width, height), channels_out * (weights + 1)"),
        partly={CONV: 1.5},
        say="swapped",
    ),
    Case(
        "wrong 1, no biases",
        E,
        conv("return (channels_out, height, width), channels_out * weights"),
        partly={CONV: 1.5},
        say="biases are missing",
    ),
    Case(
        "wrong 1, one bias",
        E,
        conv("return (channels_out, height, width), channels_out * weights + 1"),
        partly={CONV: 1.5},
        say="one bias",
    ),
    Case(
        "wrong 1, square kernel assumed",
        E,
        conv(SQUARE_KERNEL),
        (CONV,),
        say="height is used for both",
    ),
    Case(
        "wrong 1, the shape alone",
        E,
        conv("return channels_out, height, width"),
        (CONV,),
    ),
    Case(
        "wrong 2, stride times size",
        E,
        back("size * stride + kernel - 2 * padding"),
        (BACK,),
        say="n - 1",
    ),
    Case(
        "wrong 2, padding once",
        E,
        back("(size - 1) * stride + kernel - padding"),
        partly={BACK: 1},
        say="both ends",
    ),
    Case(
        "wrong 2, padding added",
        E,
        back("(size - 1) * stride + kernel + 2 * padding"),
        partly={BACK: 1},
        say="cuts off",
    ),
    Case(
        "wrong 3, no sigmoid",
        E,
        decoder(START),
        partly={DECODER: 2.5},
        say="no sigmoid",
    ),
    Case("wrong 3, 36 pixels", E, decoder(PIXELS_36), (DECODER,), say="becomes 9"),
    Case(
        "wrong 3, a linear layer",
        E,
        decoder(LINEAR),
        partly={DECODER: 1.5},
        say="at most 20,000",
    ),
    Case(
        "wrong 3, parameters hidden from the second look",
        E,
        {"make_decoder": SECOND_CALL.lstrip()},
        partly={DECODER: 1.5},
        say="at most 20,000",
    ),
    Case(
        "wrong 3, place thrown away",
        E,
        decoder(PLACE_LOST),
        partly={DECODER: 1.5},
        say="not used",
    ),
    Case("nothing done", E, loses=(CONV, BACK, DECODER, "inverse"), solved=False),
]
