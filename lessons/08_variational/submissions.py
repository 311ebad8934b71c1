"""Exercise 8: right answers in other styles, and wrong ones that students hand in."""

from grading.corpus.build import Case

E = "08_variational"
DRAW, KL, ELBO = "check_reparameterise", "check_kl", "check_negative_elbo"


def draw(body: str) -> dict[str, str]:
    return {"reparameterise": f"def reparameterise(mu, log_var):\n    noise = torch.randn_like(mu)\n    return {body}\n"}


def kl(body: str) -> dict[str, str]:
    return {"kl": f"def kl(mu, log_var):\n    return {body}\n"}


def elbo(body: str) -> dict[str, str]:
    return {"negative_elbo": f"def negative_elbo(images, rebuilt, mu, log_var):\n    price = 0.5 * (mu**2 + log_var.exp() - log_var - 1)\n    squares = (rebuilt - images) ** 2\n    return {body}\n"}


CASES = [
    Case("right, the solution", E),
    Case("right, torch.distributions", E, {
        "reparameterise": "from torch import distributions\ndef reparameterise(mu, log_var):\n    return distributions.Normal(mu, torch.sqrt(log_var.exp())).rsample()\n",
        "kl": "def kl(mu, log_var):\n    return distributions.kl_divergence(distributions.Normal(mu, (log_var / 2).exp()), distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))).sum(-1)\n",
        "negative_elbo": "def negative_elbo(images, rebuilt, mu, log_var):\n    n = len(images)\n    return nn.functional.mse_loss(rebuilt, images, reduction='sum') / (2 * n) + kl(mu, log_var).sum() / n\n"}),
    Case("wrong 1, stretched by the variance", E, draw("mu + log_var.exp() * noise"), (DRAW,), say="by the variance"),
    Case("wrong 1, stretched by log_var", E, draw("mu + log_var * noise"), (DRAW,)),
    Case("wrong 1, no noise", E, draw("mu"), (DRAW,)),
    Case("wrong 1, one number of noise for an image", E, draw("mu + (log_var / 2).exp() * noise[:, :1]"), (DRAW,)),
    Case("wrong 1, no gradient", E, draw("(mu + (log_var / 2).exp() * noise).detach() + 0 * mu"), (DRAW,)),
    Case("wrong 2, mean over the units", E, {**kl("0.5 * (mu**2 + log_var.exp() - log_var - 1).mean(1)"), **elbo("squares.flatten(1).sum(1).mean() / 2 + price.sum(1).mean()")}, (KL,), say="mean over the units"),
    Case("wrong 2, the sign", E, {**kl("-0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(1)"), **elbo("squares.flatten(1).sum(1).mean() / 2 + price.sum(1).mean()")}, (KL,), say="sign"),
    Case("wrong 2, no half", E, {**kl("(mu**2 + log_var.exp() - log_var - 1).sum(1)"), **elbo("squares.flatten(1).sum(1).mean() / 2 + price.sum(1).mean()")}, (KL,), say="1/2"),
    Case("wrong 2, the wrong axis", E, {**kl("0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(0)"), **elbo("squares.flatten(1).sum(1).mean() / 2 + price.sum(1).mean()")}, (KL,), say="one number for each image"),
    Case("wrong 3, mean over the pixels", E, elbo("squares.mean() + price.sum(1).mean()"), (ELBO,), say="mean over the pixels"),
    Case("wrong 3, no half", E, elbo("squares.flatten(1).sum(1).mean() + price.sum(1).mean()"), (ELBO,), say="factor 1/2"),
    Case("wrong 3, the sign of the price", E, elbo("squares.flatten(1).sum(1).mean() / 2 - price.sum(1).mean()"), (ELBO,), say="wrong sign"),
    Case("wrong 3, sum over the batch", E, elbo("squares.sum() / 2 + price.sum()"), (ELBO,), say="over the images"),
    Case("wrong 3, the price forgotten", E, elbo("squares.flatten(1).sum(1).mean() / 2"), (ELBO,), say="left out"),
]
