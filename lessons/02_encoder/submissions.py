"""Exercise 2: right answers in other styles, and wrong ones that students hand in."""

from textwrap import indent

from grading.corpus import Case

E = "02_encoder"
HEAD, MOVED, TRAIN = "check_with_head", "check_moved", "check_train_head"


def head(body: str) -> dict[str, str]:
    start = "def with_head(encoder, classes):\n    with torch.no_grad():\n"
    start += "        k = encoder(torch.zeros(2, 1, 28, 28)).shape[1]\n"
    return {"with_head": f"{start}{indent(body.strip(), '    ')}\n"}


def instrument(keep: str, compare: str) -> dict[str, str]:
    first = f"def snapshot(model):\n{indent(keep.strip(), '    ')}\n"
    second = f"def moved(before, model):\n{indent(compare.strip(), '    ')}\n"
    return {"moved": f"{first}\n\n{second}"}


def trainer(body: str) -> dict[str, str]:
    start = "def train_head(encoder, images, labels, epochs, seed):\n"
    start += "    torch.manual_seed(seed)\n"
    return {"train_head": f"{start}{indent(body.strip(), '    ')}\n"}


FREEZE = """
for p in encoder.parameters():
    p.requires_grad = False"""
MODEL = """
model = nn.Sequential(encoder, nn.Linear(encoder(images[:2]).shape[1], 10))"""
FIT = """
loss, pairs = losses.classification, (images, labels)
training.fit(model, pairs, loss, epochs=epochs, lr=1e-2, seed=seed)
return model"""
BY_ITSELF = trainer(FREEZE + MODEL + FIT)  # does not need with_head

CLONE = "return {n: v.clone() for n, v in model.state_dict().items()}"
DEEP_COPY = """
import copy
return copy.deepcopy(dict(model.state_dict()))"""
PARAMETERS = "return {n: p.detach().clone() for n, p in model.named_parameters()}"


def names_where(differs: str, entries: str = "model.state_dict().items()") -> str:
    return f"return sorted(n for n, v in {entries} if {differs})"


EXACT = "not torch.equal(v, before[n])"
ANY = """
now = model.state_dict()
return sorted([n for n in before if (before[n] != now[n]).any()])"""
FEATURES_ONCE = """
with torch.no_grad():
    features = encoder(images)
last = nn.Linear(features.shape[1], 10)
optimizer = torch.optim.Adam(last.parameters(), lr=0.02)
for epoch in range(epochs):
    for index in torch.randperm(len(features)).split(256):
        loss = nn.functional.cross_entropy(last(features[index]), labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
return nn.Sequential(encoder, last)"""
TWO_LAYERS = """
encoder.requires_grad_(False)
layers = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 10))
model = nn.Sequential(encoder, layers)"""
THREE_PARTS = """
encoder.requires_grad_(False)
model = nn.Sequential(encoder, nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 10))"""

CASES = [
    Case("right, the solution", E),
    Case(
        "right, requires_grad_ and deep copies, features computed once",
        E,
        {
            **head("""
encoder.requires_grad_(False)
last = nn.Linear(k, classes)
return nn.Sequential(encoder, last)"""),
            **instrument(DEEP_COPY, ANY),
            **trainer(FEATURES_ONCE),
        },
    ),
    Case(
        "right, a head of two layers, a dictionary of bytes",
        E,
        {
            **instrument(
                CLONE.replace("clone()", "numpy().tobytes()"),
                names_where("v.numpy().tobytes() != before[n]"),
            ),
            **trainer(TWO_LAYERS + FIT),
        },
    ),
    Case(
        "right, a head of three parts, a deep copy of the model",
        E,
        {
            **instrument(
                "import copy\nreturn copy.deepcopy(model).state_dict()",
                names_where("not bool(torch.all(v == before[n]))"),
            ),
            **trainer(THREE_PARTS + FIT.replace("1e-2", "3e-3")),
        },
    ),
    Case(
        "wrong 1, the whole model unfrozen",
        E,
        {**head("return nn.Sequential(encoder, nn.Linear(k, classes))"), **BY_ITSELF},
        partly={HEAD: 1},
        say="not frozen",
    ),
    Case(
        "wrong 1, the head frozen, too",
        E,
        {
            **head("""
model = nn.Sequential(encoder, nn.Linear(k, classes))
for p in model.parameters():
    p.requires_grad = False
return model"""),
            **BY_ITSELF,
        },
        partly={HEAD: 1},
        say="not even the head",
    ),
    Case(
        "wrong 1, a softmax at the end",
        E,
        {
            **head("""
encoder.requires_grad_(False)
last = nn.Sequential(nn.Linear(k, classes), nn.Softmax(dim=1))
return nn.Sequential(encoder, last)"""),
            **BY_ITSELF,
        },
        partly={HEAD: 1},
        say="softmax",
    ),
    Case(
        "wrong 1, an activation behind the head",
        E,
        {
            **head("""
encoder.requires_grad_(False)
return nn.Sequential(encoder, nn.Sequential(nn.Linear(k, classes), nn.ReLU()))"""),
            **BY_ITSELF,
        },
        partly={HEAD: 1},
        say="activation",
    ),
    Case(
        "wrong 1, always ten classes",
        E,
        head(
            "encoder.requires_grad_(False)\n"
            "return nn.Sequential(encoder, nn.Linear(k, 10))"
        ),
        (HEAD,),
        say="whatever classes says",
    ),
    Case(
        "wrong 1, the head alone",
        E,
        {**head("return nn.Linear(k, classes)"), **BY_ITSELF},
        (HEAD,),
    ),
    Case(
        "wrong 2, the snapshot shares memory",
        E,
        instrument("return dict(model.state_dict())", names_where(EXACT)),
        (MOVED,),
        say="shares its memory",
    ),
    Case(
        "wrong 2, parameters only",
        E,
        instrument(PARAMETERS, names_where(EXACT, "model.named_parameters()")),
        partly={MOVED: 2},
        say="buffers",
    ),
    Case(
        "wrong 2, sums compared",
        E,
        instrument(CLONE, names_where("v.sum() != before[n].sum()")),
        partly={MOVED: 2},
        say="a sum does not notice",
    ),
    Case(
        "wrong 2, with a tolerance",
        E,
        instrument(
            CLONE,
            names_where("not torch.allclose(v.float(), before[n].float(), atol=1e-4)"),
        ),
        partly={MOVED: 1},
        say="a tolerance",
    ),
    Case(
        "wrong 2, with allclose's own tolerance",
        E,
        instrument(CLONE, names_where("not torch.allclose(v, before[n])")),
        partly={MOVED: 1},
        say="a tolerance",
    ),
    Case(
        "wrong 2, not sorted",
        E,
        instrument(CLONE, names_where(EXACT).replace("sorted(", "list(")),
        partly={MOVED: 1},
        say="alphabetical",
    ),
    Case(
        "wrong 3, the encoder trained, too",
        E,
        trainer(FREEZE.replace("False", "True") + MODEL + FIT),
        (TRAIN,),
        say="moved",
    ),
    Case(
        "wrong 3, not trained",
        E,
        trainer("return with_head(encoder, 10)"),
        (TRAIN,),
        say="of 100",
    ),
    Case(
        "wrong 3, too small steps",
        E,
        trainer("""
model = with_head(encoder, 10)
loss, pairs = losses.classification, (images, labels)
training.fit(model, pairs, loss, epochs=epochs, lr=1e-4, seed=seed)
return model"""),
        partly={TRAIN: 2},
        say="too small steps",
    ),
    Case(
        "wrong 3, another encoder put in",
        E,
        trainer(
            "encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 32))" + MODEL + FIT
        ),
        (TRAIN,),
        say="another one was put in",
    ),
]
