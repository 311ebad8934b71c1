"""Exercise 5: right answers in other styles, and wrong ones that students hand in."""

from grading.corpus.build import Case

E = "05_convolutional"
CONV, BACK, DECODER = "check_convolution", "check_transposed", "check_make_decoder"


def conv(body: str) -> dict[str, str]:
    return {"convolution": "def convolution(size, channels_in, channels_out, kernel, stride=1, padding=0):\n    height = side_after(size[0], kernel[0], stride, padding)\n"
                           "    width = side_after(size[1], kernel[1], stride, padding)\n    weights = channels_in * kernel[0] * kernel[1]\n    " + body + "\n", **SKIP}


def back(body: str) -> dict[str, str]:
    return {"transposed": f"def side_transposed(size, kernel, stride=1, padding=0):\n    return {body}\n", **SKIP}


def decoder(body: str) -> dict[str, str]:
    return {"make_decoder": "def make_decoder():\n    return nn.Sequential(" + body + ")\n"}


SKIP = {"make_decoder": "def make_decoder():\n    raise NotImplementedError\n"}  # leaves the training out where it is not the matter, to save time
START = "nn.ConvTranspose2d(24, 24, 3, stride=2, padding=1), nn.ReLU(), nn.ConvTranspose2d(24, 12, 4, stride=2, padding=1), nn.ReLU(), "

CASES = [
    Case("right, the solution", E),
    Case("right, asks torch, resizes", E, {
        "convolution": """def convolution(size, channels_in, channels_out, kernel, stride=1, padding=0):
    layer = nn.Conv2d(channels_in, channels_out, kernel, stride, padding)
    return layer(torch.zeros(1, channels_in, *size)).shape[1:], sum(p.numel() for p in layer.parameters())
""",
        "transposed": "def side_transposed(size, kernel, stride=1, padding=0):\n    return stride * size - stride + kernel - padding - padding\n",
        **decoder("nn.Upsample(size=7), nn.Conv2d(24, 24, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv2d(24, 16, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2), "
                  "nn.Conv2d(16, 1, 3, padding=1), nn.Sigmoid()")}),
    Case("wrong 1, h and w swapped", E, conv("return (channels_out, width, height), channels_out * (weights + 1)"), (CONV, DECODER), say="swapped"),
    Case("wrong 1, no biases", E, conv("return (channels_out, height, width), channels_out * weights"), (CONV, DECODER), say="biases are missing"),
    Case("wrong 1, one bias", E, conv("return (channels_out, height, width), channels_out * weights + 1"), (CONV, DECODER), say="one bias"),
    Case("wrong 1, square kernel assumed", E, conv("return (channels_out, height, side_after(size[1], kernel[0], stride, padding)), channels_out * (channels_in * kernel[0] ** 2 + 1)"), (CONV, DECODER)),
    Case("wrong 2, stride times size", E, back("size * stride + kernel - 2 * padding"), (BACK, DECODER)),
    Case("wrong 2, padding once", E, back("(size - 1) * stride + kernel - padding"), (BACK, DECODER)),
    Case("wrong 2, padding added", E, back("(size - 1) * stride + kernel + 2 * padding"), (BACK, DECODER)),
    Case("wrong 3, no sigmoid", E, decoder(START + "nn.ConvTranspose2d(12, 1, 4, stride=2, padding=1)"), (DECODER,), say="outside"),
    Case("wrong 3, 36 pixels", E, decoder("nn.ConvTranspose2d(24, 24, 3, stride=2), nn.ReLU(), nn.ConvTranspose2d(24, 12, 2, stride=2), nn.ReLU(), nn.ConvTranspose2d(12, 1, 2, stride=2), nn.Sigmoid()"), (DECODER,)),
    Case("wrong 3, a linear layer", E, decoder("nn.Flatten(), nn.Linear(384, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28))"), (DECODER,), say="at most 20,000"),
    Case("wrong 3, place thrown away", E, decoder("nn.AdaptiveAvgPool2d(1), nn.Upsample(size=7), nn.Conv2d(24, 16, 3, padding=1), nn.ReLU(), nn.Upsample(size=28), nn.Conv2d(16, 1, 3, padding=1), nn.Sigmoid()"), (DECODER,), say="expected below"),
]
