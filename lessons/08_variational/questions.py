# being converted
"""Exercise 8: the reparameterisation, the KL term, an ELBO in balance."""

from __future__ import annotations

import torch

from grading.judging import Question, Wrong, close, number, tensor


def given_moments(random):
    return {"mu": torch.randn(1, 5, generator=random).repeat(20_000, 1) * 2, "log_var": (torch.randn(1, 5, generator=random) - 0.5).repeat(20_000, 1)}


def ask_codes(student, given):
    mu, log_var = given["mu"].clone().requires_grad_(), given["log_var"].clone().requires_grad_()
    codes = student.reparameterise(mu, log_var)
    codes.sum().backward()
    return {"codes": codes.detach(), "to_mu": mu.grad[:1000], "to_log_var": log_var.grad}


def judge_codes(given, answers):
    answer, n = answers[0], len(given["mu"])
    codes = tensor(answer, "codes", (n, 5))
    mean, deviation = given["mu"][0].double(), (0.5 * given["log_var"][0].double()).exp()
    standard = (codes - mean) / deviation
    if (standard.mean(0).abs() > 0.06).any():
        raise Wrong("the codes' mean is not mu")
    spread = codes.std(0)
    if (spread / deviation - 1).abs().max() > 0.05:
        if (spread / deviation**2 - 1).abs().max() < 0.05:
            raise Wrong("the noise was stretched by the variance exp(log_var); its root is the standard deviation")
        raise Wrong("the codes' standard deviation is not exp(log_var / 2)")
    if abs(float((standard**4).mean()) - 3) > 0.3 or (torch.corrcoef(standard.T) - torch.eye(5)).abs().max() > 0.05:
        raise Wrong("the noise is not normal and independent for each unit")
    if (tensor(answer, "to_mu") - 1).abs().max() > 1e-4:
        raise Wrong("the gradient with respect to mu is not 1")
    if (tensor(answer, "to_log_var", (n, 5)) - 0.5 * (codes - mean)).abs().max() > 1e-3:
        raise Wrong("the gradient does not reach log_var as it should")


def given_kl(random):
    return {"mu": 1.5 * torch.randn(40, 7, generator=random), "log_var": 1.2 * torch.randn(40, 7, generator=random)}


def ask_kl(student, given):
    return {"kl": student.kl(given["mu"], given["log_var"]), "zero": student.kl(torch.zeros(3, 4), torch.zeros(3, 4))}


def price(mu, log_var):
    return 0.5 * (mu.double() ** 2 + log_var.double().exp() - log_var.double() - 1)


def judge_kl(given, answers):
    exact = price(given["mu"], given["log_var"])
    got = answers[0].get("kl")
    if not isinstance(got, torch.Tensor) or tuple(got.shape) != (40,):
        raise Wrong("expected one number for each image, shape (N,). Likely cause: a mean over the batch, or a sum over the wrong dimension")
    got = tensor(answers[0], "kl")
    for cause, value in {"the mean over the units instead of the sum": exact.mean(1), "the sign is turned round": -exact.sum(1), "the factor 1/2 is missing": 2 * exact.sum(1)}.items():
        if (got - value).abs().max() < 1e-3:
            raise Wrong(f"not the divergence. Likely cause: {cause}")
    if (got - exact.sum(1)).abs().max() > 1e-3 * exact.sum(1).max():
        raise Wrong("not the divergence of N(mu, exp(log_var)) from N(0, 1), summed over the units")
    if tensor(answers[0], "zero", (3,)).abs().max() > 1e-6:
        raise Wrong("for mu = 0 and log_var = 0 the divergence is zero")


def given_elbo(random):
    n = 9
    return {"images": torch.rand(n, 1, 28, 28, generator=random), "rebuilt": torch.rand(n, 1, 28, 28, generator=random), "mu": torch.randn(n, 6, generator=random), "log_var": torch.randn(n, 6, generator=random)}


def ask_elbo(student, given):
    rebuilt, mu = given["rebuilt"].clone().requires_grad_(), given["mu"].clone().requires_grad_()
    loss = student.negative_elbo(given["images"], rebuilt, mu, given["log_var"])
    value = float(loss.detach())
    loss.backward()
    return {"loss": value, "to_rebuilt": rebuilt.grad, "to_mu": mu.grad}


def judge_elbo(given, answers):
    answer, n = answers[0], len(given["images"])
    squares = float(((given["images"].double() - given["rebuilt"].double()) ** 2).sum()) / n
    cost = float(price(given["mu"], given["log_var"]).sum(1).mean())
    close("the loss", number(answer, "loss"), squares / 2 + cost, 1e-4, causes={
        "the distortion is a mean over the pixels": squares / 784 + cost, "the distortion is a mean over the pixels, halved": squares / 1568 + cost, "the factor 1/2 of the distortion is missing": squares + cost,
        "the price has the wrong sign": squares / 2 - cost, "sums over the images, too": n * (squares / 2 + cost), "the price is a mean over the units": squares / 2 + cost / 6,
        "the price is left out": squares / 2})
    if (tensor(answer, "to_rebuilt", tuple(given["rebuilt"].shape)) - (given["rebuilt"].double() - given["images"].double()) / n).abs().max() > 1e-5:
        raise Wrong("the loss is right, but its gradient does not reach the reconstruction")
    if (tensor(answer, "to_mu", tuple(given["mu"].shape)) - given["mu"].double() / n).abs().max() > 1e-5:
        raise Wrong("the loss is right, but its gradient does not reach mu")


QUESTIONS = [
    Question("check_reparameterise", given_moments, (ask_codes,), judge_codes, seconds=20),
    Question("check_kl", given_kl, (ask_kl,), judge_kl, seconds=20),
    Question("check_negative_elbo", given_elbo, (ask_elbo,), judge_elbo, seconds=20),
]
