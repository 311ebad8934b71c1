"""Exercise 2: right answers in other styles, and wrong ones that students hand in."""

from grading.corpus.build import Case

E = "02_encoder"
HEAD, MOVED, TRAIN = "check_with_head", "check_moved", "check_train_head"


def head(body: str) -> dict[str, str]:
    return {"with_head": "def with_head(encoder, classes):\n    with torch.no_grad():\n        k = encoder(torch.zeros(2, 1, 28, 28)).shape[1]\n    " + body.strip().replace("\n", "\n    ") + "\n"}


def instrument(keep: str, compare: str) -> dict[str, str]:
    return {"moved": f"def snapshot(model):\n    {keep}\n\ndef moved(before, model):\n    {compare}\n"}


def trainer(body: str) -> dict[str, str]:
    return {"train_head": "def train_head(encoder, images, labels, epochs, seed):\n    torch.manual_seed(seed)\n    " + body.strip().replace("\n", "\n    ") + "\n"}


CLONE = "return {n: v.clone() for n, v in model.state_dict().items()}"
EXACT = "return sorted(n for n, v in model.state_dict().items() if not torch.equal(v, before[n]))"
FIT = "training.fit(model, (images, labels), losses.classification, epochs=epochs, lr=1e-2, seed=seed)\nreturn model"
OPEN = "model = nn.Sequential(encoder, nn.Linear(encoder(images[:2]).shape[1], 10))\n"

CASES = [
    Case("right, the solution", E),
    Case("right, requires_grad_ and deep copies, features computed once", E, {
        **head("encoder.requires_grad_(False)\nlast = nn.Linear(k, classes)\nreturn nn.Sequential(encoder, last)"),
        **instrument("import copy; return copy.deepcopy(dict(model.state_dict()))", "return sorted([n for n in before if (before[n] != model.state_dict()[n]).any()])"),
        **trainer("""
with torch.no_grad():
    features = encoder(images)
last = nn.Linear(features.shape[1], 10)
optimizer = torch.optim.Adam(last.parameters(), lr=0.02)
for epoch in range(epochs):
    for index in torch.randperm(len(features)).split(256):
        loss = nn.functional.cross_entropy(last(features[index]), labels[index])
        optimizer.zero_grad(); loss.backward(); optimizer.step()
return nn.Sequential(encoder, last)""")}),
    Case("wrong 1, the whole model unfrozen", E, {**head("return nn.Sequential(encoder, nn.Linear(k, classes))"),
         **trainer(f"for p in encoder.parameters(): p.requires_grad = False\n{OPEN}{FIT}")}, (HEAD,), say="not frozen"),
    Case("wrong 1, the head frozen, too", E, {**head("model = nn.Sequential(encoder, nn.Linear(k, classes))\nfor p in model.parameters(): p.requires_grad = False\nreturn model"),
         **trainer(f"for p in encoder.parameters(): p.requires_grad = False\n{OPEN}{FIT}")}, (HEAD,)),
    Case("wrong 1, a softmax at the end", E, {**head("encoder.requires_grad_(False)\nreturn nn.Sequential(encoder, nn.Sequential(nn.Linear(k, classes), nn.Softmax(dim=1)))"),
         **trainer(f"for p in encoder.parameters(): p.requires_grad = False\n{OPEN}{FIT}")}, (HEAD,), say="softmax"),
    Case("wrong 1, always ten classes", E, head("encoder.requires_grad_(False)\nreturn nn.Sequential(encoder, nn.Linear(k, 10))"), (HEAD,)),
    Case("wrong 2, the snapshot shares memory", E, instrument("return dict(model.state_dict())", EXACT), (MOVED,), say="shares its memory"),
    Case("wrong 2, parameters only", E, instrument("return {n: p.detach().clone() for n, p in model.named_parameters()}",
         "return sorted(n for n, p in model.named_parameters() if not torch.equal(p, before[n]))"), (MOVED,), say="buffers"),
    Case("wrong 2, sums compared", E, instrument(CLONE, "return sorted(n for n, v in model.state_dict().items() if v.sum() != before[n].sum())"), (MOVED,)),
    Case("wrong 2, with a tolerance", E, instrument(CLONE, "return sorted(n for n, v in model.state_dict().items() if not torch.allclose(v.float(), before[n].float(), atol=1e-4))"), (MOVED,)),
    Case("wrong 3, the encoder trained, too", E, trainer(f"for p in encoder.parameters(): p.requires_grad = True\n{OPEN}{FIT}"), (TRAIN,), say="moved"),
    Case("wrong 3, not trained", E, trainer("return with_head(encoder, 10)"), (TRAIN,), say="of 100"),
    Case("wrong 3, another encoder put in", E, trainer(f"encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 32))\n{OPEN}{FIT}"), (TRAIN,)),
]
