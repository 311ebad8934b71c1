"""Exercise 3: right answers in other styles, and wrong ones that students hand in."""

from textwrap import indent

from grading.corpus import Case

E = "03_denoising"
CORRUPT, SCORE, TRAIN = (
    "check_corrupt",
    "check_denoising_score",
    "check_train_denoiser",
)


def denoiser(body: str) -> dict[str, str]:
    head = "def train_denoiser(images, epochs, seed):\n    torch.manual_seed(seed)\n"
    return {"train_denoiser": f"{head}{indent(body.strip(), '    ')}\n"}


# leaves the training out where it is not the matter, to save time
SKIP = denoiser("raise NotImplementedError")


def corrupt(body: str) -> dict[str, str]:
    head = "def corrupt(images, p, seed):\n"
    head += "    generator = torch.Generator().manual_seed(seed)\n"
    return {"corrupt": f"{head}{indent(body.strip(), '    ')}\n"}


def masked(mask: str, after: str = "") -> dict[str, str]:
    """A wrong corruption, and no training."""
    return {**SKIP, **corrupt(f"mask = {mask}\nreturn images * mask{after}")}


def score(body: str) -> dict[str, str]:
    head = "def denoising_score(model, images, corruptor):\n"
    return {"denoising_score": f"{head}{indent(body.strip(), '    ')}\n"}


MODES = """
def mode(module):
    return module.training if isinstance(module, nn.Module) else None

was = mode(model), mode(corruptor)
if was[1] is not None:
    corruptor.train()
model.eval()
with torch.no_grad():
    corrupted = corruptor(images)
    value = {value}
model.train(was[0])
if was[1] is not None:
    corruptor.train(was[1])
return float(value)"""


def scored(value: str, modes: str = MODES) -> dict[str, str]:
    return {**SKIP, **score(modes.replace("{value}", value))}


ERROR = "((model(corrupted) - images) ** 2).mean()"
NOT_PUT_BACK = """
if isinstance(corruptor, nn.Module):
    corruptor.train()
model.eval()
with torch.no_grad():
    return float(((model(corruptor(images)) - images) ** 2).mean())"""
EVAL_TRAP = """
model.eval()
with torch.no_grad():
    return float(((model(corruptor(images)) - images) ** 2).mean())"""
BERNOULLI = """
mask = torch.zeros(images.shape).bernoulli_(1 - p, generator=generator)
return torch.where(mask == 1, images, torch.zeros_like(images))"""
DEEP_COPIES = """
import copy
model, corruptor = copy.deepcopy(model).eval(), copy.deepcopy(corruptor)
if hasattr(corruptor, "train"):
    corruptor.train()
total = 0.0
with torch.inference_mode():
    for batch in images.split(64):
        restored = model(corruptor(batch))
        total += nn.functional.mse_loss(restored, batch, reduction="sum").item()
return total / images.numel()"""
OWN_MODULES = """
encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 300), nn.LeakyReLU())
decoder = nn.Sequential(nn.Linear(300, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28)))
model = nn.Sequential(encoder, decoder)

def loss(model, x, y):
    return nn.functional.mse_loss(model(x * (torch.rand_like(x) > 0.5)), x)

training.fit(model, images, loss, epochs=epochs, lr=2e-3, seed=seed)
return model"""
ON_CLEAN_IMAGES = """
model = models.dense_autoencoder(256)
training.fit(model, images, epochs=4, lr=3e-3, seed=seed)
return model"""
AGAINST_DAMAGED = """
model = models.dense_autoencoder(256)

def loss(model, x, y):
    damaged = corruption.Masking(0.5)(x)
    return nn.functional.mse_loss(model(damaged), damaged)

training.fit(model, images, loss, epochs=4, lr=3e-3, seed=seed)
return model"""

CASES = [
    Case("right, the solution", E),
    Case(
        "right, deep copies and a mask by Bernoulli, own modules",
        E,
        {**corrupt(BERNOULLI), **score(DEEP_COPIES), **denoiser(OWN_MODULES)},
    ),
    Case(
        "wrong 1, survivors doubled",
        E,
        masked("torch.rand(images.shape, generator=generator) >= p", " / (1 - p)"),
        (TRAIN,),
        partly={CORRUPT: 1},
        say="divided by 1 - p",
    ),
    Case(
        "wrong 1, p turned round",
        E,
        masked("torch.rand(images.shape, generator=generator) < p"),
        (TRAIN,),
        partly={CORRUPT: 1},
        say="lose a pixel",
    ),
    Case(
        "wrong 1, one mask for all images",
        E,
        masked("torch.rand(images.shape[1:], generator=generator) >= p"),
        (TRAIN,),
        partly={CORRUPT: 1},
        say="one mask",
    ),
    Case(
        "wrong 1, whole images lost",
        E,
        masked("torch.rand(len(images), 1, 1, 1, generator=generator) >= p"),
        (TRAIN,),
        partly={CORRUPT: 1},
        say="whole images",
    ),
    Case(
        "wrong 1, everybody's random numbers",
        E,
        {
            **SKIP,
            **corrupt("""
torch.manual_seed(seed)
return images * (torch.rand(images.shape) >= p)"""),
        },
        (TRAIN,),
        partly={CORRUPT: 1.5},
        say="random numbers",
    ),
    Case(
        "wrong 1, the generator not used",
        E,
        masked("torch.rand(images.shape) >= p"),
        (TRAIN,),
        partly={CORRUPT: 1},
        say="do not come from the generator",
    ),
    Case(
        "wrong 1, the seed typed in",
        E,
        masked(
            "torch.rand(images.shape, generator=torch.Generator().manual_seed(1)) >= p"
        ),
        (TRAIN,),
        partly={CORRUPT: 1.5},
        say="seed is not used",
    ),
    Case(
        "wrong 1, the images themselves changed",
        E,
        {
            **SKIP,
            **corrupt("""
images[torch.rand(images.shape, generator=generator) < p] = 0
return images"""),
        },
        (TRAIN,),
        partly={CORRUPT: 1.5},
        say="in-place",
    ),
    Case(
        "wrong 1, nothing corrupted",
        E,
        {**SKIP, **corrupt("return images")},
        (CORRUPT, TRAIN),
        say="nothing is set to zero",
    ),
    Case(
        "wrong 2, scored on clean images",
        E,
        scored("((model(images) - images) ** 2).mean()"),
        (SCORE, TRAIN),
        say="did nothing",
    ),
    Case(
        "wrong 2, the eval trap",
        E,
        {**SKIP, **score(EVAL_TRAP)},
        (TRAIN,),
        partly={SCORE: 1},
        say="did nothing",
    ),
    Case(
        "wrong 2, against the corrupted images",
        E,
        scored(ERROR.replace("- images", "- corrupted")),
        (SCORE, TRAIN),
        say="corrupted images",
    ),
    Case(
        "wrong 2, sum for mean",
        E,
        scored(ERROR.replace(".mean()", ".flatten(1).sum(1).mean()")),
        (SCORE, TRAIN),
        say="sum over the pixels",
    ),
    Case(
        "wrong 2, model in train mode",
        E,
        scored(ERROR, MODES.replace("model.eval()", "model.train()")),
        (SCORE, TRAIN),
        say="train mode",
    ),
    Case(
        "wrong 2, modes not put back",
        E,
        {**SKIP, **score(NOT_PUT_BACK)},
        (TRAIN,),
        partly={SCORE: 3},
        say="mode in which it came",
    ),
    Case(
        "wrong 2, only modules as corruptors",
        E,
        {
            **SKIP,
            **score("""
was = model.training, corruptor.training
corruptor.train()
model.eval()
with torch.no_grad():
    value = ((model(corruptor(images)) - images) ** 2).mean()
model.train(was[0])
corruptor.train(was[1])
return float(value)"""),
        },
        (TRAIN,),
        partly={SCORE: 3.5},
    ),
    Case(
        "wrong 2, always one number",
        E,
        {**SKIP, **score("return 0.05")},
        (SCORE, TRAIN),
    ),
    Case(
        "wrong 3, trained on clean images",
        E,
        denoiser(ON_CLEAN_IMAGES),
        (TRAIN,),
        say="on clean images",
    ),
    Case("wrong 3, against the damaged images", E, denoiser(AGAINST_DAMAGED), (TRAIN,)),
    Case("wrong 3, the identity", E, denoiser("return nn.Identity()"), (TRAIN,)),
]
