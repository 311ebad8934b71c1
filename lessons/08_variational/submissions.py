"""Exercise 8: right answers in other styles, and wrong ones that students hand in."""

from grading.corpus import Case

E = "08_variational"
DRAW, KL, ELBO = "check_reparameterise", "check_kl", "check_negative_elbo"


def draw(value: str) -> dict[str, str]:
    head = "def reparameterise(mu, log_var):\n    noise = torch.randn_like(mu)\n"
    return {"reparameterise": f"{head}    return {value}\n"}


def kl(value: str) -> dict[str, str]:
    return {"kl": f"def kl(mu, log_var):\n    return {value}\n"}


def elbo(value: str) -> dict[str, str]:
    head = """
def negative_elbo(images, rebuilt, mu, log_var):
    price = 0.5 * (mu**2 + log_var.exp() - log_var - 1)
    squares = (rebuilt - images) ** 2
"""
    return {"negative_elbo": f"{head.lstrip()}    return {value}\n"}


FORMULA = "0.5 * (mu**2 + log_var.exp() - log_var - 1)"
SAMPLES = """
from torch import distributions

def reparameterise(mu, log_var):
    return distributions.Normal(mu, torch.sqrt(log_var.exp())).rsample()
"""
LIBRARY = """
def kl(mu, log_var):
    code = distributions.Normal(mu, (log_var / 2).exp())
    standard = distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    return distributions.kl_divergence(code, standard).sum(-1)
"""
LIBRARY_LOSS = """
def negative_elbo(images, rebuilt, mu, log_var):
    n = len(images)
    squares = nn.functional.mse_loss(rebuilt, images, reduction="sum")
    return squares / (2 * n) + kl(mu, log_var).sum() / n
"""
NO_PATH = """
def reparameterise(mu, log_var):
    return torch.distributions.Normal(mu, (log_var / 2).exp()).sample()
"""
NUMPYS = """
def kl(mu, log_var):
    mu, log_var = mu.detach().numpy(), log_var.detach().numpy()
    return torch.tensor((mu**2 / 2 + np.exp(log_var) / 2 - log_var / 2 - 0.5).sum(1))
"""

CASES = [
    Case("right, the solution", E),
    Case(
        "right, torch.distributions",
        E,
        {
            "reparameterise": SAMPLES.lstrip(),
            "kl": LIBRARY.lstrip(),
            "negative_elbo": LIBRARY_LOSS.lstrip(),
        },
    ),
    Case(
        "right, einsum and a loss without kl",
        E,
        {
            **draw("torch.addcmul(mu, log_var.mul(0.5).exp(), noise)"),
            **kl("torch.einsum('ij->i', mu * mu + log_var.expm1() - log_var) / 2"),
            **elbo("squares.sum((1, 2, 3)).mean() / 2 + price.sum(-1).mean()"),
        },
    ),
    Case(
        "wrong 1, stretched by the variance",
        E,
        draw("mu + log_var.exp() * noise"),
        partly={DRAW: 1},
        say="is the variance",
    ),
    Case(
        "wrong 1, stretched by log_var",
        E,
        draw("mu + log_var * noise"),
        (DRAW,),
        say="no standard deviation",
    ),
    Case("wrong 1, no noise", E, draw("mu"), (DRAW,), say="no noise"),
    Case(
        "wrong 1, one number of noise for an image",
        E,
        draw("mu + (log_var / 2).exp() * noise[:, :1]"),
        partly={DRAW: 1},
        say="noise of its own",
    ),
    Case(
        "wrong 1, uniform noise",
        E,
        draw("mu + (log_var / 2).exp() * 12**0.5 * (torch.rand_like(mu) - 0.5)"),
        partly={DRAW: 1},
        say="not normal",
    ),
    Case(
        "wrong 1, no gradient",
        E,
        draw("(mu + (log_var / 2).exp() * noise).detach() + 0 * mu"),
        partly={DRAW: 1},
        say="the path was cut",
    ),
    Case(
        "wrong 1, detached samples",
        E,
        {"reparameterise": NO_PATH.lstrip()},
        partly={DRAW: 1},
        say="the path was cut",
    ),
    Case(
        "wrong 2, mean over the units",
        E,
        kl(f"({FORMULA}).mean(1)"),
        partly={KL: 1.5},
        say="mean over the units",
    ),
    Case("wrong 2, the sign", E, kl(f"-({FORMULA}).sum(1)"), (KL,), say="sign"),
    Case("wrong 2, no half", E, kl(f"2 * ({FORMULA}).sum(1)"), (KL,), say="1/2"),
    Case(
        "wrong 2, the wrong axis",
        E,
        kl(f"({FORMULA}).sum(0)"),
        partly={KL: 1},
        say="ran over the images",
    ),
    Case(
        "wrong 2, one number",
        E,
        kl(f"({FORMULA}).sum(1).mean()"),
        (KL,),
        say="one number for the whole batch",
    ),
    Case(
        "wrong 2, the deviation for the variance",
        E,
        kl("0.5 * (mu**2 + (2 * log_var).exp() - 2 * log_var - 1).sum(1)"),
        (KL,),
        say="standard deviation",
    ),
    Case(
        "wrong 2, by numpy, so that no gradient flows",
        E,
        {"kl": "import numpy as np\n\n" + NUMPYS},
        partly={KL: 2},
        say="the path was cut",
    ),
    Case(
        "wrong 3, mean over the pixels",
        E,
        elbo("squares.mean() + price.sum(1).mean()"),
        (ELBO,),
        say="mean over the pixels",
    ),
    Case(
        "wrong 3, no half",
        E,
        elbo("squares.flatten(1).sum(1).mean() + price.sum(1).mean()"),
        (ELBO,),
        say="factor 1/2",
    ),
    Case(
        "wrong 3, the sign of the price",
        E,
        elbo("squares.flatten(1).sum(1).mean() / 2 - price.sum(1).mean()"),
        partly={ELBO: 2},
        say="wrong sign",
    ),
    Case(
        "wrong 3, the price over the wrong dimension",
        E,
        elbo("squares.flatten(1).sum(1).mean() / 2 + price.sum(0).mean()"),
        partly={ELBO: 2},
    ),
    Case(
        "wrong 3, sum over the batch",
        E,
        elbo("squares.sum() / 2 + price.sum()"),
        (ELBO,),
        say="over the images",
    ),
    Case(
        "wrong 3, the price forgotten",
        E,
        elbo("squares.flatten(1).sum(1).mean() / 2"),
        partly={ELBO: 2},
        say="left out",
    ),
    Case(
        "wrong 3, a number without a gradient",
        E,
        elbo("(squares.flatten(1).sum(1).mean() / 2 + price.sum(1).mean()).item()"),
        (ELBO,),
        say="the path was cut",
    ),
    Case(
        "wrong 3, a price without a gradient",
        E,
        elbo("squares.flatten(1).sum(1).mean() / 2 + price.sum(1).mean().item()"),
        partly={ELBO: 2},
        say="the path was cut",
    ),
    Case(
        "wrong 2 and 3, no price at all",
        E,
        {**kl("0 * mu.sum(1)"), **elbo("squares.flatten(1).sum(1).mean() / 2")},
        (KL,),
        partly={ELBO: 2},
        say="left out",
    ),
    Case("nothing done", E, loses=(DRAW, KL, ELBO, "told"), solved=False),
]
