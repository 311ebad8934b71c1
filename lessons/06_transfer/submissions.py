"""Exercise 6: right answers in other styles, and wrong ones that students hand in."""

from grading.corpus import Case

E = "06_transfer"
MOVED, GROUPS, COMPARE, FEW = (
    "check_moved",
    "check_layer_groups",
    "check_compare",
    "check_few_labels",
)
SKIP = {
    "few_labels": "def few_labels(encoders, images, labels, seed):\n    raise NotImplementedError\n"
}  # leaves the training out where it is not the matter, to save time


def define(name: str, head: str, body: str) -> dict[str, str]:
    return {
        **SKIP,
        name: f"def {name}({head}):\n    "
        + body.strip().replace("\n", "\n    ")
        + "\n",
    }


def moved(body: str) -> dict[str, str]:
    return define("moved", "network, action", body)


def groups(body: str) -> dict[str, str]:
    return define("layer_groups", "encoder, head, rate, factor", body)


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
    x, y = pool[0][index], pool[1][index]{more}
    gains.append({gain})
g = torch.tensor(gains, dtype=torch.float64)
return {result}""",
    )


def few(body: str) -> dict[str, str]:
    return define(
        "few_labels",
        "encoders, images, labels, seed",
        "torch.manual_seed(seed)\n" + body.strip(),
    )


HEAD = """
def new_head(size):
    return nn.Sequential(nn.Flatten(), nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, 10))
def train(model, data, epochs=40, optimizer=None):
    training.fit(model, data, losses.classification, epochs=epochs, batch_size=32, seed=seed, optimizer=optimizer, progress=False)
"""
FROZEN = (
    HEAD
    + """
encoder = copy.deepcopy(encoders["{kind}"]).requires_grad_(False)
head = new_head({size})
train(head, (metrics.apply_in_batches(encoder, images), labels), epochs={epochs})
return nn.Sequential(encoder, head)"""
)

CASES = [
    Case("right, the solution", E),
    Case(
        "right, comprehensions, zip, a linear head fine-tuned layer by layer",
        E,
        {
            **moved(
                "old = {k: v.detach().numpy().copy() for k, v in network.state_dict().items()}\naction()\nreturn sorted(k for k in old if (old[k] != network.state_dict()[k].numpy()).any())"
            ),
            **groups(
                "layers = [layer for layer in encoder if any(True for _ in layer.parameters())]\nreturn [dict(params=layer.parameters(), lr=rate * factor ** (len(layers) - i)) for i, layer in enumerate(layers)] + [dict(params=head.parameters())]"
            ),
            **define(
                "compare",
                "first, second, pool, exam, n, draws",
                """
table = []
for method in (first, second):
    row = []
    for draw in draws:
        chosen = draw_labels(pool[1], n, draw)
        model = method(pool[0][chosen], pool[1][chosen], draw)
        row.append((model(exam[0]).argmax(dim=-1) == exam[1]).float().mean().item())
    table.append(row)
import numpy as np
difference = 100 * (np.array(table[1]) - np.array(table[0]))
return difference.mean(), difference.std(ddof=1) / np.sqrt(len(draws))""",
            ),
            **few("""
encoder, head = copy.deepcopy(encoders["DAE"]), nn.Linear(940, 10)
training.fit(head, (metrics.apply_in_batches(encoder, images), labels), losses.classification, epochs=60, batch_size=20, seed=seed, progress=False)
both = nn.Sequential(encoder, head)
rates = [{"params": head.parameters(), "lr": 1e-3}, {"params": encoder.parameters(), "lr": 5e-5}]
training.fit(both, (images, labels), losses.classification, epochs=10, batch_size=20, seed=seed, optimizer=torch.optim.Adam(rates), progress=False)
return both"""),
        },
    ),
    Case(
        "right, deep copies, logistic regression on the code",
        E,
        {
            **moved(
                "old = copy.deepcopy(network.state_dict())\naction()\nnew = network.state_dict()\nreturn [name for name in new if not bool((new[name] == old[name]).all())]"
            ),
            **groups("""
result, current = [], rate
for layer in [head, *list(encoder.children())[::-1]]:
    for i, p in enumerate(layer.parameters()):
        result.append({"params": [p], "lr": current})
    if len(list(layer.parameters())):
        current *= factor
return result"""),
            **few("""
encoder = copy.deepcopy(encoders["DAE"])
model = LogisticRegression(max_iter=2000).fit(metrics.apply_in_batches(encoder, images).numpy(), labels.numpy())
def scores(x):
    with torch.no_grad():
        return torch.from_numpy(model.decision_function(encoder(x).numpy())).float()
return scores"""),
        },
    ),
    Case(
        "wrong 1, no copy",
        E,
        moved(
            "before = dict(network.state_dict())\naction()\nreturn [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]"
        ),
        (MOVED, FEW),
        say="not a copy",
    ),
    Case(
        "wrong 1, detach is no copy",
        E,
        moved(
            "before = {name: value.detach() for name, value in network.state_dict().items()}\naction()\nreturn [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]"
        ),
        (MOVED, FEW),
        say="not a copy",
    ),
    Case(
        "wrong 1, parameters only",
        E,
        moved(
            "before = {name: value.clone() for name, value in network.named_parameters()}\naction()\nreturn [name for name, value in network.named_parameters() if not torch.equal(value, before[name])]"
        ),
        (MOVED, FEW),
        say="buffers",
    ),
    Case(
        "wrong 1, only where all numbers changed",
        E,
        moved(
            "before = {name: value.clone() for name, value in network.state_dict().items()}\naction()\nreturn [name for name, value in network.state_dict().items() if (value != before[name]).all()]"
        ),
        (MOVED, FEW),
    ),
    Case(
        "wrong 1, what stayed",
        E,
        moved(
            "before = {name: value.clone() for name, value in network.state_dict().items()}\naction()\nreturn [name for name, value in network.state_dict().items() if torch.equal(value, before[name])]"
        ),
        (MOVED, FEW),
    ),
    Case(
        "wrong 1, action not called",
        E,
        moved(
            "before = {name: value.clone() for name, value in network.state_dict().items()}\nreturn [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]"
        ),
        (MOVED, FEW),
        say="exactly once",
    ),
    Case(
        "wrong 1, what asks for gradients",
        E,
        moved(
            "action()\nreturn [name for name, value in network.named_parameters() if value.requires_grad]"
        ),
        (MOVED, FEW),
    ),
    Case(
        "wrong 2, turned round",
        E,
        groups(
            "layers = [l for l in encoder if list(l.parameters())]\nreturn [{'params': l.parameters(), 'lr': rate * factor ** (i + 1)} for i, l in enumerate(layers)] + [{'params': head.parameters(), 'lr': rate}]"
        ),
        (GROUPS, FEW),
        say="turned round",
    ),
    Case(
        "wrong 2, ReLU counted",
        E,
        groups(
            "n = len(encoder)\nreturn [{'params': l.parameters(), 'lr': rate * factor ** (n - i)} for i, l in enumerate(encoder)] + [{'params': head.parameters(), 'lr': rate}]"
        ),
        (GROUPS, FEW),
        say="without parameters",
    ),
    Case(
        "wrong 2, head slowed",
        E,
        groups(
            "layers = [l for l in [*encoder, head] if list(l.parameters())]\nreturn [{'params': l.parameters(), 'lr': rate * factor ** (len(layers) - i)} for i, l in enumerate(layers)]"
        ),
        (GROUPS, FEW),
        say="the head's rate is rate itself",
    ),
    Case(
        "wrong 2, last layer at the full rate",
        E,
        groups(
            "layers = [l for l in encoder if list(l.parameters())]\nreturn [{'params': l.parameters(), 'lr': rate * factor ** (len(layers) - 1 - i)} for i, l in enumerate(layers)] + [{'params': head.parameters(), 'lr': rate}]"
        ),
        (GROUPS, FEW),
        say="rate * factor",
    ),
    Case(
        "wrong 2, one rate for the encoder",
        E,
        groups(
            "return [{'params': encoder.parameters(), 'lr': rate * factor}, {'params': head.parameters(), 'lr': rate}]"
        ),
        (GROUPS, FEW),
        say="one rate",
    ),
    Case(
        "wrong 2, head missing",
        E,
        groups(
            "layers = [l for l in encoder if list(l.parameters())]\nreturn [{'params': l.parameters(), 'lr': rate * factor ** (len(layers) - i)} for i, l in enumerate(layers)]"
        ),
        (GROUPS, FEW),
        say="no group",
    ),
    Case(
        "wrong 2, weights only",
        E,
        groups(
            "layers = [l for l in encoder if hasattr(l, 'weight')]\nreturn [{'params': [l.weight], 'lr': rate * factor ** (len(layers) - i)} for i, l in enumerate(layers)] + [{'params': head.parameters(), 'lr': rate}]"
        ),
        (GROUPS, FEW),
        say="no group",
    ),
    Case(
        "wrong 2, each parameter a layer",
        E,
        groups(
            "ps = list(encoder.parameters())\nreturn [{'params': [p], 'lr': rate * factor ** (len(ps) - i)} for i, p in enumerate(ps)] + [{'params': head.parameters(), 'lr': rate}]"
        ),
        (GROUPS, FEW),
        say="single parameters",
    ),
    Case(
        "wrong 2, in two groups",
        E,
        groups(
            "layers = [l for l in encoder if list(l.parameters())]\nreturn [{'params': l.parameters(), 'lr': rate * factor ** (len(layers) - i)} for i, l in enumerate(layers)] + [{'params': nn.Sequential(encoder, head).parameters(), 'lr': rate}]"
        ),
        (GROUPS, FEW),
    ),
    Case(
        "wrong 3, first minus second",
        E,
        compare("score(first, x, y, draw) - score(second, x, y, draw)"),
        (COMPARE, FEW),
        say="first minus second",
    ),
    Case(
        "wrong 3, shares", E, compare(scale=""), (COMPARE, FEW), say="percentage points"
    ),
    Case(
        "wrong 3, deviation for error",
        E,
        compare(result="g.mean().item(), g.std().item()"),
        (COMPARE, FEW),
        say="root of the number of draws",
    ),
    Case(
        "wrong 3, n in the denominator",
        E,
        compare(result="g.mean().item(), (g.std(correction=0) / len(g) ** 0.5).item()"),
        (COMPARE, FEW),
        say="denominator",
    ),
    Case(
        "wrong 3, another draw for each method",
        E,
        compare(
            more="\n    other = draw_labels(pool[1], n, draw + 100)",
            gain="score(second, pool[0][other], pool[1][other], draw) - score(first, x, y, draw)",
        ),
        (COMPARE, FEW),
        say="same draw",
    ),
    Case(
        "wrong 3, another seed for each method",
        E,
        compare("score(second, x, y, draw) - score(first, x, y, 0)"),
        (COMPARE, FEW),
        say="draw's number",
    ),
    Case(
        "wrong 3, unpaired error",
        E,
        compare(
            "(score(first, x, y, draw), score(second, x, y, draw))",
            result="(g[:, 1] - g[:, 0]).mean().item(), (g.var(0) / len(g)).sum().sqrt().item()",
        ),
        (COMPARE, FEW),
        say="unpaired",
    ),
    Case(
        "wrong 3, the first n images",
        E,
        compare(more="\n    x, y = pool[0][:n], pool[1][:n]"),
        (COMPARE, FEW),
        say="of each class",
    ),
    Case(
        "wrong 3, one draw for all",
        E,
        compare(
            more="\n    index = draw_labels(pool[1], n, 0)\n    x, y = pool[0][index], pool[1][index]"
        ),
        (COMPARE, FEW),
        say="images of its own",
    ),
    Case(
        "wrong 3, the best draw",
        E,
        compare(result="g.max().item(), (g.std() / len(g) ** 0.5).item()"),
        (COMPARE, FEW),
        say="mean gain",
    ),
    Case(
        "wrong 4, from scratch",
        E,
        few(
            HEAD
            + "model = nn.Sequential(models.conv_autoencoder()[0], new_head(576))\ntrain(model, (images, labels), epochs=80)\nreturn model"
        ),
        (FEW,),
        say="the gain over",
    ),
    Case(
        "wrong 4, the seminar's encoder, frozen",
        E,
        few(FROZEN.format(kind="conv", size=576, epochs=40)),
        (FEW,),
        say="another encoder",
    ),
    Case(
        "wrong 4, three epochs",
        E,
        few(FROZEN.format(kind="DAE", size=940, epochs=3)),
        (FEW,),
        say="too few epochs",
    ),
    Case(
        "wrong 4, just pixels",
        E,
        few("return pixels(images, labels, seed)"),
        (FEW,),
        say="the gain over",
    ),
    Case(
        "wrong 4, no copy",
        E,
        few(
            HEAD
            + "model = nn.Sequential(encoders['DAE'], new_head(940))\ntrain(model, (images, labels))\nreturn model"
        ),
        (FEW,),
        say="have changed",
    ),
    Case(
        "wrong 4, a frozen batch normalisation drifts",
        E,
        few(
            HEAD
            + """
encoder = encoders["ResNet"].requires_grad_(False)
model, head = nn.Sequential(encoder, new_head(64)), None
optimizer = torch.optim.Adam(model[1].parameters())
for epoch in range(20):
    model.train()
    for batch in torch.randperm(100).split(25):
        loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad(); loss.backward(); optimizer.step()
return model"""
        ),
        (FEW,),
        say="batch normalisation",
    ),
    Case(
        "wrong 4, all labels of the notebook",
        E,
        few("""
encoder = copy.deepcopy(encoders["DAE"])
model = LogisticRegression(max_iter=30).fit(metrics.apply_in_batches(encoder, train.images[:2000]).numpy(), train.labels[:2000].numpy())
return lambda x: torch.from_numpy(model.decision_function(metrics.apply_in_batches(encoder, x).numpy()))"""),
        (FEW,),
        say="the gain over",
    ),
    Case(
        "wrong 4, the sample's labels looked up and renamed",
        E,
        few("""
known = [data.load_images("FashionMNIST", split) for split in ("train", "test")]
pool, old = torch.cat([k.images for k in known]).flatten(1), torch.cat([k.labels for k in known])
pool = pool / pool.norm(dim=1, keepdim=True)
def look_up(x):
    return old[(x.flatten(1) @ pool.T).argmax(1)]
new = torch.stack([labels[look_up(images) == c].mode().values for c in range(10)])
return lambda x: nn.functional.one_hot(new[look_up(x)], 10).float()"""),
        (FEW,),
        say="hundred labels",
    ),
    Case(
        "wrong 4, the labels of 3,000 other images renamed",
        E,
        few("""
encoder, some = copy.deepcopy(encoders["DAE"]), data.load_images("FashionMNIST", "train")
model = LogisticRegression(max_iter=100).fit(metrics.apply_in_batches(encoder, some.images[:3000]).numpy(), some.labels[:3000].numpy())
guess = torch.from_numpy(model.predict(metrics.apply_in_batches(encoder, images).numpy()))
order = torch.tensor([int(guess[labels == c].mode().values) for c in range(10)])
return lambda x: torch.from_numpy(model.decision_function(metrics.apply_in_batches(encoder, x).numpy()))[:, order]"""),
        (FEW,),
        say="hundred labels",
    ),
    Case(
        "wrong 4, classes for scores",
        E,
        few(
            HEAD
            + """
encoder = copy.deepcopy(encoders["DAE"])
model = LogisticRegression(max_iter=500).fit(metrics.apply_in_batches(encoder, images).numpy(), labels.numpy())
return lambda x: torch.from_numpy(model.predict(metrics.apply_in_batches(encoder, x).numpy()))"""
        ),
        (FEW,),
    ),
]
