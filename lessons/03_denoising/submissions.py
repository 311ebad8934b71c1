"""Exercise 3: right answers in other styles, and wrong ones that students hand in."""

from grading.corpus.build import Case

E = "03_denoising"
CORRUPT, SCORE, TRAIN = "check_corrupt", "check_denoising_score", "check_train_denoiser"


def corrupt(body: str) -> dict[str, str]:
    return {"corrupt": "def corrupt(images, p, seed):\n    generator = torch.Generator().manual_seed(seed)\n    " + body.strip().replace("\n", "\n    ") + "\n"}


def score(body: str) -> dict[str, str]:
    return {"denoising_score": "def denoising_score(model, images, corruptor):\n    " + body.strip().replace("\n", "\n    ") + "\n"}


def denoiser(body: str) -> dict[str, str]:
    return {"train_denoiser": "def train_denoiser(images, epochs, seed):\n    torch.manual_seed(seed)\n    " + body.strip().replace("\n", "\n    ") + "\n"}


SKIP = denoiser("raise NotImplementedError")  # leaves the training out where it is not the matter, to save time
MODES = """
def mode(m): return m.training if isinstance(m, nn.Module) else None
was = mode(model), mode(corruptor)
if was[1] is not None: corruptor.train()
model.eval()
with torch.no_grad():
    value = {}
model.train(was[0])
if was[1] is not None: corruptor.train(was[1])
return float(value)"""


def scored(value: str) -> dict[str, str]:
    return {**SKIP, **score(MODES.replace("{}", value))}


CASES = [
    Case("right, the solution", E),
    Case("right, deep copies and a convolution", E, {
        **corrupt("mask = torch.zeros(images.shape).bernoulli_(1 - p, generator=generator)\nreturn torch.where(mask == 1, images, torch.zeros_like(images))"),
        **score("""
import copy
model, corruptor = copy.deepcopy(model).eval(), copy.deepcopy(corruptor)
if hasattr(corruptor, "train"):
    corruptor.train()
total = 0.0
with torch.inference_mode():
    for batch in images.split(64):
        total += nn.functional.mse_loss(model(corruptor(batch)), batch, reduction="sum").item()
return total / images.numel()"""),
        **denoiser("""
model = nn.Sequential(nn.Flatten(), nn.Linear(784, 300), nn.LeakyReLU(), nn.Linear(300, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28)))
training.fit(model, images, lambda model, x, y: nn.functional.mse_loss(model(x * (torch.rand_like(x) > 0.5)), x), epochs=epochs, lr=2e-3, seed=seed)
return model""")}),
    Case("wrong 1, survivors doubled", E, {**SKIP, **corrupt("return images * (torch.rand(images.shape, generator=generator) >= p) / (1 - p)")}, (CORRUPT, TRAIN), say="divided by 1 - p"),
    Case("wrong 1, p turned round", E, {**SKIP, **corrupt("return images * (torch.rand(images.shape, generator=generator) < p)")}, (CORRUPT, TRAIN), say="lose a pixel"),
    Case("wrong 1, one mask for all images", E, {**SKIP, **corrupt("return images * (torch.rand(images.shape[1:], generator=generator) >= p)")}, (CORRUPT, TRAIN), say="one mask"),
    Case("wrong 1, whole images lost", E, {**SKIP, **corrupt("return images * (torch.rand(len(images), 1, 1, 1, generator=generator) >= p)")}, (CORRUPT, TRAIN), say="whole images"),
    Case("wrong 1, everybody's random numbers", E, {**SKIP, **corrupt("torch.manual_seed(seed)\nreturn images * (torch.rand(images.shape) >= p)")}, (CORRUPT, TRAIN), say="random numbers"),
    Case("wrong 1, the images themselves changed", E, {**SKIP, **corrupt("images[torch.rand(images.shape, generator=generator) < p] = 0\nreturn images")}, (CORRUPT, TRAIN)),
    Case("wrong 2, scored on clean images", E, scored("((model(images) - images) ** 2).mean()"), (SCORE, TRAIN), say="did nothing"),
    Case("wrong 2, the eval trap", E, {**SKIP, **score("model.eval()\nwith torch.no_grad():\n    return float(((model(corruptor(images)) - images) ** 2).mean())")}, (SCORE, TRAIN), say="did nothing"),
    Case("wrong 2, against the corrupted images", E, scored("(lambda c: ((model(c) - c) ** 2).mean())(corruptor(images))"), (SCORE, TRAIN), say="corrupted images"),
    Case("wrong 2, sum for mean", E, scored("((model(corruptor(images)) - images) ** 2).flatten(1).sum(1).mean()"), (SCORE, TRAIN), say="sum over the pixels"),
    Case("wrong 2, model in train mode", E, {**SKIP, **score("if isinstance(corruptor, nn.Module):\n    was = corruptor.training\n    corruptor.train()\nmodel_was = model.training\nmodel.train()\nwith torch.no_grad():\n"
         "    value = ((model(corruptor(images)) - images) ** 2).mean()\nmodel.train(model_was)\nif isinstance(corruptor, nn.Module):\n    corruptor.train(was)\nreturn float(value)")}, (SCORE, TRAIN), say="train mode"),
    Case("wrong 2, modes not put back", E, {**SKIP, **score("if isinstance(corruptor, nn.Module):\n    corruptor.train()\nmodel.eval()\nwith torch.no_grad():\n"
         "    return float(((model(corruptor(images)) - images) ** 2).mean())")}, (SCORE, TRAIN), say="mode in which they came"),
    Case("wrong 3, trained on clean images", E, denoiser("model = models.dense_autoencoder(256)\ntraining.fit(model, images, epochs=4, lr=3e-3, seed=seed)\nreturn model"), (TRAIN,)),
    Case("wrong 3, the identity", E, denoiser("return nn.Identity()"), (TRAIN,)),
]
