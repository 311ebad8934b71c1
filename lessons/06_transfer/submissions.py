"""Exercise 6: right answers in other styles, and wrong ones that students hand in."""

from textwrap import indent

from grading.corpus import Case

E = "06_transfer"
MOVED, GROUPS = "check_moved", "check_layer_groups"
COMPARE, FEW = "check_compare", "check_few_labels"


def define(name: str, arguments: str, body: str) -> dict[str, str]:
    lines = indent(body.strip(), "    ")
    return {name: f"def {name}({arguments}):\n{lines}\n"}


# 1. what has moved


def moved(body: str) -> dict[str, str]:
    return define("moved", "network, action", body)


def compared(differs: str, keep: str = "value.clone()", of: str = "state_dict") -> dict:
    items = "network.state_dict().items()"
    if of != "state_dict":
        items = f"network.{of}()"
    return moved(f"""
before = {{name: {keep} for name, value in {items}}}
action()
return [name for name, value in {items} if {differs}]""")


EXACT = "not torch.equal(value, before[name])"
BY_NUMPY = """
old = {k: v.detach().numpy().copy() for k, v in network.state_dict().items()}
action()
new = network.state_dict()
return sorted(k for k in old if (old[k] != new[k].numpy()).any())"""
DEEP_COPY = """
old = copy.deepcopy(network.state_dict())
action()
new = network.state_dict()
return [name for name in new if not bool((new[name] == old[name]).all())]"""
NOT_CALLED = """
before = {name: value.clone() for name, value in network.state_dict().items()}
now = network.state_dict().items()
return [name for name, value in now if not torch.equal(value, before[name])]"""
GRADIENTS = """
action()
parameters = network.named_parameters()
return [name for name, value in parameters if value.requires_grad]"""


# 2. a rate for each layer


def groups(body: str) -> dict[str, str]:
    return define("layer_groups", "encoder, head, rate, factor", body)


def by_layer(power: str, layers: str = "encoder", with_head: str = "head") -> dict:
    return groups(f"""
layers = [layer for layer in {layers} if list(layer.parameters())]
n, groups = len(layers), []
for i, layer in enumerate(layers):
    groups.append({{"params": layer.parameters(), "lr": rate * factor ** ({power})}})
last = [{with_head}] if "{with_head}" else []
return groups + [{{"params": part.parameters(), "lr": rate}} for part in last]""")


COMPREHENSIONS = """
layers = [layer for layer in encoder if any(True for _ in layer.parameters())]
n = len(layers)
groups = [
    dict(params=layer.parameters(), lr=rate * factor ** (n - i))
    for i, layer in enumerate(layers)
]
return groups + [dict(params=head.parameters())]"""
ONE_BY_ONE = """
result, current = [], rate
for layer in [head, *list(encoder.children())[::-1]]:
    for p in layer.parameters():
        result.append({"params": [p], "lr": current})
    if len(list(layer.parameters())):
        current *= factor
return result"""
RELU_COUNTED = """
n = len(encoder)
groups = [
    {"params": layer.parameters(), "lr": rate * factor ** (n - i)}
    for i, layer in enumerate(encoder)
]
return groups + [{"params": head.parameters(), "lr": rate}]"""
ONE_RATE = """
return [
    {"params": encoder.parameters(), "lr": rate * factor},
    {"params": head.parameters(), "lr": rate},
]"""
WEIGHTS_ONLY = """
layers = [layer for layer in encoder if hasattr(layer, "weight")]
n = len(layers)
groups = [
    {"params": [layer.weight], "lr": rate * factor ** (n - i)}
    for i, layer in enumerate(layers)
]
return groups + [{"params": head.parameters(), "lr": rate}]"""
EACH_PARAMETER = """
own = list(encoder.parameters())
groups = [
    {"params": [p], "lr": rate * factor ** (len(own) - i)} for i, p in enumerate(own)
]
return groups + [{"params": head.parameters(), "lr": rate}]"""
PARTS_OF_BLOCKS = """
parts = [m for m in encoder.modules() if not list(m.children())]
layers = [m for m in parts if list(m.parameters())]
groups = [
    {"params": layer.parameters(), "lr": rate * factor ** (len(layers) - i)}
    for i, layer in enumerate(layers)
]
return groups + [{"params": head.parameters(), "lr": rate}]"""


# 3. a fair comparison


def compare(
    gain: str = "score(second, x, y, draw) - score(first, x, y, draw)",
    scale: str = "100 * ",
    result: str = "g.mean().item(), (g.std() / len(g) ** 0.5).item()",
    more: str = "",
) -> dict[str, str]:
    return define(
        "compare",
        "first, second, pool, exam, n, draws",
        f"""
def score(method, x, y, seed):
    model = method(x, y, seed)
    right = metrics.apply_in_batches(model, exam[0]).argmax(1) == exam[1]
    return {scale}float(right.float().mean())

gains = []
for draw in draws:
    index = draw_labels(pool[1], n, draw)
    x, y = pool[0][index], pool[1][index]
{indent(more.strip(), "    ")}
    gains.append({gain})
g = torch.tensor(gains, dtype=torch.float64)
return {result}""",
    )


BY_TABLE = """
import numpy as np

table = []
for method in (first, second):
    row = []
    for draw in draws:
        chosen = draw_labels(pool[1], n, draw)
        model = method(pool[0][chosen], pool[1][chosen], draw)
        right = model(exam[0]).argmax(dim=-1) == exam[1]
        row.append(right.float().mean().item())
    table.append(row)
difference = 100 * (np.array(table[1]) - np.array(table[0]))
return difference.mean(), difference.std(ddof=1) / np.sqrt(len(draws))"""
OTHER_DRAW = """
other = draw_labels(pool[1], n, draw + 100)
a, b = pool[0][other], pool[1][other]"""
DRAW_0 = """
index = draw_labels(pool[1], n, 0)
x, y = pool[0][index], pool[1][index]"""


# 4. a hundred labels


def few(body: str) -> dict[str, str]:
    body = "torch.manual_seed(seed)\n" + body.strip()
    return define("few_labels", "encoders, images, labels, seed", body)


TOOLS = """
def new_head(size):
    layers = nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, 10)
    return nn.Sequential(nn.Flatten(), *layers)

def train(model, data, epochs=40):
    how = dict(epochs=epochs, batch_size=32, seed=seed, progress=False)
    training.fit(model, data, losses.classification, **how)
"""


def frozen(kind: str, size: int, epochs: int = 40) -> dict[str, str]:
    return few(f"""{TOOLS}
encoder = copy.deepcopy(encoders["{kind}"]).requires_grad_(False)
head = new_head({size})
train(head, (metrics.apply_in_batches(encoder, images), labels), epochs={epochs})
return nn.Sequential(encoder, head)""")


def on_codes(images: str, labels: str, result: str) -> dict[str, str]:
    """Logistic regression on the code."""
    return few(f"""
encoder = copy.deepcopy(encoders["DAE"])

def code(x):
    return metrics.apply_in_batches(encoder, x).numpy()

model = LogisticRegression(max_iter=300).fit(code({images}), {labels}.numpy())
{result.strip()}""")


SCORES = "return lambda x: torch.from_numpy(model.decision_function(code(x)))"
FINE_TUNED = """
encoder, head = copy.deepcopy(encoders["DAE"]), nn.Linear(940, 10)
codes = metrics.apply_in_batches(encoder, images)
how = dict(batch_size=20, seed=seed, progress=False)
training.fit(head, (codes, labels), losses.classification, epochs=60, **how)
both = nn.Sequential(encoder, head)
rates = [{"params": head.parameters(), "lr": 1e-3}]
rates += [{"params": encoder.parameters(), "lr": 5e-5}]
optimizer = torch.optim.Adam(rates)
data = (images, labels)
training.fit(
    both, data, losses.classification, epochs=10, optimizer=optimizer, **how
)
return both"""
FROM_SCRATCH = f"""{TOOLS}
model = nn.Sequential(models.conv_autoencoder()[0], new_head(576))
train(model, (images, labels), epochs=80)
return model"""
NO_COPY = f"""{TOOLS}
model = nn.Sequential(encoders["DAE"], new_head(940))
train(model, (images, labels))
return model"""
DRIFTS = f"""{TOOLS}
encoder = encoders["ResNet"].requires_grad_(False)
model = nn.Sequential(encoder, new_head(64))
optimizer = torch.optim.Adam(model[1].parameters())
for epoch in range(20):
    model.train()
    for batch in torch.randperm(100).split(25):
        loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
return model"""
LOOKED_UP = """
known = [data.load_images("FashionMNIST", split) for split in ("train", "test")]
pool = torch.cat([k.images for k in known]).flatten(1)
old = torch.cat([k.labels for k in known])
pool = pool / pool.norm(dim=1, keepdim=True)

def look_up(x):
    return old[(x.flatten(1) @ pool.T).argmax(1)]

new = torch.stack([labels[look_up(images) == c].mode().values for c in range(10)])
return lambda x: nn.functional.one_hot(new[look_up(x)], 10).float()"""
RENAMED = """
guess = torch.from_numpy(model.predict(code(images)))
order = torch.tensor([int(guess[labels == c].mode().values) for c in range(10)])
return lambda x: torch.from_numpy(model.decision_function(code(x)))[:, order]"""

CASES = [
    Case("right, the solution", E),
    Case(
        "right, comprehensions, zip, a linear head fine-tuned layer by layer",
        E,
        {
            **moved(BY_NUMPY),
            **groups(COMPREHENSIONS),
            **define("compare", "first, second, pool, exam, n, draws", BY_TABLE),
            **few(FINE_TUNED),
        },
    ),
    Case(
        "right, deep copies, logistic regression on the code",
        E,
        {
            **moved(DEEP_COPY),
            **groups(ONE_BY_ONE),
            **on_codes("images", "labels", SCORES),
        },
    ),
    Case("wrong 1, no copy", E, compared(EXACT, "value"), (MOVED,), say="not a copy"),
    Case(
        "wrong 1, detach is no copy",
        E,
        compared(EXACT, "value.detach()"),
        (MOVED,),
        say="not a copy",
    ),
    Case(
        "wrong 1, parameters only",
        E,
        compared(EXACT, of="named_parameters"),
        partly={MOVED: 2},
        say="buffers",
    ),
    Case(
        "wrong 1, only where all numbers changed",
        E,
        compared("(value != before[name]).all()"),
        (MOVED,),
        say="one number that changed is enough",
    ),
    Case(
        "wrong 1, what stayed",
        E,
        compared("torch.equal(value, before[name])"),
        (MOVED,),
    ),
    Case(
        "wrong 1, with a tolerance",
        E,
        compared("not torch.allclose(value, before[name], atol=1e-4)"),
        partly={MOVED: 2},
        say="tolerance",
    ),
    Case(
        "wrong 1, with allclose's own tolerance",
        E,
        compared("not torch.allclose(value, before[name])"),
        partly={MOVED: 2},
        say="tolerance",
    ),
    Case(
        "wrong 1, sums compared",
        E,
        compared("value.double().sum() != before[name].double().sum()"),
        partly={MOVED: 2},
        say="a sum or a mean",
    ),
    Case("wrong 1, action not called", E, moved(NOT_CALLED), (MOVED,), say="once"),
    Case("wrong 1, what asks for gradients", E, moved(GRADIENTS), (MOVED,)),
    Case(
        "wrong 1, action called twice",
        E,
        moved(f"action()\n{DEEP_COPY.strip()}"),
        (MOVED,),
        say="once",
    ),
    Case(
        "wrong 2, turned round",
        E,
        by_layer("i + 1"),
        partly={GROUPS: 1},
        say="turned round",
    ),
    Case(
        "wrong 2, ReLU counted",
        E,
        groups(RELU_COUNTED),
        partly={GROUPS: 1},
        say="without parameters",
    ),
    Case(
        "wrong 2, head slowed",
        E,
        by_layer("n - i", "[*encoder, head]", ""),
        (GROUPS,),
        say="the head's rate is rate itself",
    ),
    Case(
        "wrong 2, last layer at the full rate",
        E,
        by_layer("n - 1 - i"),
        partly={GROUPS: 1},
        say="rate * factor",
    ),
    Case(
        "wrong 2, one rate for the encoder",
        E,
        groups(ONE_RATE),
        partly={GROUPS: 1},
        say="one rate",
    ),
    Case(
        "wrong 2, head missing",
        E,
        by_layer("n - i", with_head=""),
        partly={GROUPS: 2},
        say="no group",
    ),
    Case("wrong 2, weights only", E, groups(WEIGHTS_ONLY), (GROUPS,), say="no group"),
    Case(
        "wrong 2, each parameter a layer",
        E,
        groups(EACH_PARAMETER),
        partly={GROUPS: 1},
        say="single parameters",
    ),
    Case(
        "wrong 2, parts of a block as layers",
        E,
        groups(PARTS_OF_BLOCKS),
        partly={GROUPS: 1},
        say="parts of a block",
    ),
    Case(
        "wrong 2, in two groups",
        E,
        by_layer("n - i", with_head="nn.Sequential(encoder, head)"),
        (GROUPS,),
        say="two groups",
    ),
    Case(
        "wrong 3, first minus second",
        E,
        compare("score(first, x, y, draw) - score(second, x, y, draw)"),
        partly={COMPARE: 1.5},
        say="first minus second",
    ),
    Case("wrong 3, shares", E, compare(scale=""), (COMPARE,), say="percentage points"),
    Case(
        "wrong 3, deviation for error",
        E,
        compare(result="g.mean().item(), g.std().item()"),
        partly={COMPARE: 1.5},
        say="root of the number of draws",
    ),
    Case(
        "wrong 3, n in the denominator",
        E,
        compare(result="g.mean().item(), (g.std(correction=0) / len(g) ** 0.5).item()"),
        partly={COMPARE: 1.5},
        say="denominator",
    ),
    Case(
        "wrong 3, another draw for each method",
        E,
        compare(
            "score(second, a, b, draw) - score(first, x, y, draw)", more=OTHER_DRAW
        ),
        (COMPARE,),
        say="same draw",
    ),
    Case(
        "wrong 3, another seed for each method",
        E,
        compare("score(second, x, y, draw) - score(first, x, y, 0)"),
        (COMPARE,),
        say="draw's number",
    ),
    Case(
        "wrong 3, unpaired error",
        E,
        compare(
            "(score(first, x, y, draw), score(second, x, y, draw))",
            result="(g[:, 1] - g[:, 0]).mean().item(), "
            "(g.var(0) / len(g)).sum().sqrt().item()",
        ),
        partly={COMPARE: 1.5},
        say="unpaired",
    ),
    Case(
        "wrong 3, the first n images",
        E,
        compare(more="x, y = pool[0][:n], pool[1][:n]"),
        (COMPARE,),
        say="of each class",
    ),
    Case(
        "wrong 3, one draw for all",
        E,
        compare(more=DRAW_0),
        (COMPARE,),
        say="images of its own",
    ),
    Case(
        "wrong 3, the best draw",
        E,
        compare(result="g.max().item(), (g.std() / len(g) ** 0.5).item()"),
        partly={COMPARE: 1.5},
        say="mean gain",
    ),
    Case(
        "wrong 4, from scratch",
        E,
        few(FROM_SCRATCH),
        partly={FEW: 1},
        say="the gain over",
    ),
    Case(
        "wrong 4, the seminar's encoder, frozen",
        E,
        frozen("conv", 576),
        partly={FEW: 1},
        say="another encoder",
    ),
    Case(
        "wrong 4, three epochs",
        E,
        frozen("DAE", 940, 3),
        partly={FEW: 1},
        say="too few epochs",
    ),
    Case(
        "wrong 4, just pixels",
        E,
        few("return pixels(images, labels, seed)"),
        partly={FEW: 1},
        say="the gain over",
    ),
    Case("wrong 4, no copy", E, few(NO_COPY), (FEW,), say="have changed"),
    Case(
        "wrong 4, a frozen batch normalisation drifts",
        E,
        few(DRIFTS),
        (FEW,),
        say="batch normalisation",
    ),
    Case(
        "wrong 4, all labels of the notebook",
        E,
        on_codes("train.images[:2000]", "train.labels[:2000]", SCORES),
        (FEW,),
        say="other labels",
    ),
    Case(
        "wrong 4, the sample's labels looked up and renamed",
        E,
        few(LOOKED_UP),
        (FEW,),
        say="hundred labels",
    ),
    Case(
        "wrong 4, the labels of 3,000 other images renamed",
        E,
        on_codes("train.images[:3000]", "train.labels[:3000]", RENAMED),
        (FEW,),
        say="hundred labels",
    ),
    Case(
        "wrong 4, classes for scores",
        E,
        on_codes(
            "images",
            "labels",
            "return lambda x: torch.from_numpy(model.predict(code(x)))",
        ),
        (FEW,),
        say="its shape",
    ),
    Case("nothing done", E, loses=(MOVED, GROUPS, COMPARE, FEW, "paper"), solved=False),
]
