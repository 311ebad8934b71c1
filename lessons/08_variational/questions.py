"""Exercise 8: the reparameterisation, the KL term, an ELBO in balance."""

from __future__ import annotations

import torch

from course_utils.engine.asking import Question, Wrong, expect, number, tensor

CUT = (
    "the path was cut: .item(), float(…), .detach(), .data, torch.no_grad() "
    "or torch.tensor(…) let no gradient through"
)


def gap(got, right):
    """The largest difference, as a part of the largest right value."""
    return float((got - right.double()).abs().max() / right.double().abs().max())


# 1. the reparameterisation


def given_moments(random):
    return {
        "mu": 2 * torch.randn(20_000, 5, generator=random),
        "log_var": torch.randn(20_000, 5, generator=random) + 0.3,
    }


@torch.no_grad()
def ask_codes(student, given):
    return {"codes": student.reparameterise(given["mu"], given["log_var"])}


def ask_paths(student, given):
    mu = given["mu"][:2000].clone().requires_grad_()
    log_var = given["log_var"][:2000].clone().requires_grad_()
    codes = student.reparameterise(mu, log_var)
    if codes.requires_grad:
        codes.sum().backward()
    nothing = torch.zeros(2000, 5)
    return {
        "codes": codes.detach(),
        "to_mu": nothing if mu.grad is None else mu.grad,
        "to_log_var": nothing if log_var.grad is None else log_var.grad,
    }


def mean_and_spread(given, answers, expected):
    """Normal noise: the codes' mean is mu, their deviation exp(log_var / 2)."""
    mu, log_var = given["mu"].double(), given["log_var"].double()
    noise = tensor(answers[0], "codes", tuple(mu.shape)) - mu
    standard = noise / (0.5 * log_var).exp()
    middle = standard.mean(0)
    if (middle.abs() > 0.06).any():
        what = "the codes' mean, minus mu, in standard deviations"
        raise Wrong(what, [0.0] * 5, middle, "the noise must have the mean 0")
    spread = standard.std(0)
    if ((spread - 1).abs() > 0.05).any():
        as_variance = (noise / log_var.exp()).std(0)
        as_logarithm = (noise / log_var).std(0)
        cause = "exp(log_var / 2) times noise of variance 1 is asked for"
        if ((as_variance - 1).abs() < 0.05).all():
            cause = "exp(log_var) is the variance; the noise is stretched by its root"
        elif ((as_logarithm - 1).abs() < 0.05).all():
            cause = "log_var itself is no standard deviation"
        elif (noise == 0).all():
            cause = "there is no noise"
        what = "the codes' standard deviation, as a multiple of exp(log_var / 2)"
        raise Wrong(what, [1.0] * 5, spread, cause)
    fourth = float((standard**4).mean())
    if abs(fourth - 3) > 0.3:
        what = "the mean of the noise's fourth power"
        raise Wrong(what, 3.0, fourth, "the noise is not normal: torch.randn_like")
    linked = float((torch.corrcoef(standard.T) - torch.eye(5)).abs().max())
    if linked > 0.05:
        what = "the largest correlation between the noise of two units"
        raise Wrong(what, 0.0, linked, "every unit needs noise of its own")


def paths_to_both(given, answers, expected):
    """A gradient flows to mu and to log_var."""
    mu = given["mu"][:2000].double()
    to_mu = tensor(answers[1], "to_mu", (2000, 5))
    to_log_var = tensor(answers[1], "to_log_var", (2000, 5))
    noise = tensor(answers[1], "codes", (2000, 5)) - mu
    for name, path in (("mu", to_mu), ("log_var", to_log_var)):
        if not path.any():
            cause = CUT + "; or it is not used"
            raise Wrong(f"a gradient to {name}", "one that flows", "none", cause)
    if (to_mu - 1).abs().max() > 1e-4:
        what = "the gradient of the codes' sum with respect to mu, on average"
        raise Wrong(what, 1.0, to_mu.mean(), "mu is added, as it is")
    # half of the noise; all of it where the noise was stretched by the variance
    misses = [float((to_log_var - part * noise).abs().max()) for part in (0.5, 1)]
    if min(misses) > 1e-3:
        cause = "the noise must be stretched by exp(log_var / 2), with no detour"
        what = "the largest error of the gradient with respect to log_var"
        raise Wrong(what, 0.0, min(misses), cause)


# 2. the KL term


def given_kl(random):
    return {
        "mu": 1.5 * torch.randn(6, 4, generator=random),
        "log_var": 1.2 * torch.randn(6, 4, generator=random),
    }


def ask_one_unit(student, given):
    one = student.kl(given["mu"][:, :1], given["log_var"][:, :1])
    return {"one": torch.as_tensor(one).detach()}


def ask_four_units(student, given):
    four = student.kl(given["mu"], given["log_var"])
    return {"four": torch.as_tensor(four).detach()}


def ask_kl_paths(student, given):
    mu = given["mu"][:, :1].clone().requires_grad_()
    log_var = given["log_var"][:, :1].clone().requires_grad_()
    total = torch.as_tensor(student.kl(mu, log_var)).sum()
    if total.requires_grad:
        total.backward()
    nothing = torch.zeros(len(mu), 1)
    return {
        "to_mu": nothing if mu.grad is None else mu.grad,
        "to_log_var": nothing if log_var.grad is None else log_var.grad,
    }


def price(mu, log_var):
    """The divergence from N(0, 1) for each unit."""
    mu, log_var = mu.double(), log_var.double()
    return 0.5 * (mu**2 + log_var.exp() - log_var - 1)


def expected_kl(given):
    mu, log_var = given["mu"].double(), given["log_var"].double()
    exact = price(mu, log_var)
    as_variance = 0.5 * (mu**2 + log_var - log_var.abs().log() - 1)
    as_deviation = 0.5 * (mu**2 + (2 * log_var).exp() - 2 * log_var - 1)
    of_units = {
        "the sign is turned round": -exact,
        "the factor 1/2 is missing": 2 * exact,
        "the − 1 is missing": exact + 0.5,
        "log_var was taken for the variance": as_variance,
        "exp(log_var) was taken for the standard deviation": as_deviation,
        "mu is not squared": exact - 0.5 * mu**2 + 0.5 * mu,
    }
    one = {cause: value[:, 0].tolist() for cause, value in of_units.items()}
    four = {cause: value.sum(1).tolist() for cause, value in of_units.items()}
    batch = "one number for the whole batch; one for each image is asked for"
    return {
        "one": exact[:, 0].tolist(),
        "four": exact.sum(1).tolist(),
        "mistakes": {
            "one": {
                batch: float(exact[:, 0].mean()),
                "the sum ran over the images (dim=0)": [float(exact[:, 0].sum())],
                "not summed: one number for each unit": exact[:, :1].tolist(),
                **one,
            },
            "four": {
                batch: float(exact.sum(1).mean()),
                "the mean over the units instead of the sum": exact.mean(1).tolist(),
                "the sum ran over the images (dim=0)": exact.sum(0).tolist(),
                "not summed: one number for each unit": exact.tolist(),
                **four,
            },
        },
    }


def price_of_one_unit(given, answers, expected):
    """The divergence of six images, for a code of one unit."""
    what = "six images, one unit"
    likely = "compare with the formula, term by term; the shape is (N,)"
    expect(answers[0], "one", expected, what, tolerance=1e-3, likely=likely)


def price_of_four_units(given, answers, expected):
    """The divergence of six images, for a code of four units."""
    what, likely = "six images, four units", "one sum over the units of each image"
    expect(answers[1], "four", expected, what, tolerance=1e-3, likely=likely)


def paths_of_kl(given, answers, expected):
    """A gradient flows to mu and to log_var; for one unit it is the formula's."""
    mu, log_var = given["mu"][:, :1], given["log_var"][:, :1]
    right = {"mu": mu, "log_var": 0.5 * (log_var.exp() - 1)}
    for name, path in right.items():
        got = tensor(answers[2], f"to_{name}", tuple(mu.shape))
        what = f"the gradient with respect to {name}"
        if not got.any():
            cause = CUT + "; or it is not used"
            raise Wrong(what, "one that flows", "none", cause)
        if gap(got, path) > 1e-3:
            cause = "its sign, a factor, or a term of the formula"
            raise Wrong(what, path.flatten(), got.flatten(), cause)


# 3. an ELBO in balance


def given_elbo(random):
    """Nine images with six units; eight with eight units, so that a kl that is summed
    over the wrong dimension can be used, and with variances over 1, so that one that
    takes log_var for the variance can."""
    return {
        "images": torch.rand(9, 1, 28, 28, generator=random),
        "rebuilt": torch.rand(9, 1, 28, 28, generator=random),
        "mu": torch.randn(9, 6, generator=random),
        "log_var": torch.randn(9, 6, generator=random),
        "mu_8": 2 * torch.randn(8, 8, generator=random),
        "log_var_8": 0.5 + torch.rand(8, 8, generator=random),
    }


def ask_distortion(student, given):
    images, mu, log_var = given["images"][:8], given["mu_8"], given["log_var_8"]
    rebuilt = given["rebuilt"][:8].clone().requires_grad_()
    without = student.negative_elbo(images, images, mu, log_var)
    loss = student.negative_elbo(images, rebuilt, mu, log_var)
    if isinstance(loss, torch.Tensor) and loss.requires_grad:
        loss.backward()
    path = torch.zeros(8, 1, 28, 28) if rebuilt.grad is None else rebuilt.grad
    difference = float(torch.as_tensor(loss).detach()) - float(
        torch.as_tensor(without).detach()
    )
    return {"distortion": difference, "to_rebuilt": path}


def ask_loss(student, given):
    mu = given["mu"].clone().requires_grad_()
    log_var = given["log_var"].clone().requires_grad_()
    loss = student.negative_elbo(given["images"], given["rebuilt"], mu, log_var)
    if isinstance(loss, torch.Tensor) and loss.requires_grad:
        loss.backward()
    nothing = torch.zeros(9, 6)
    return {
        "loss": float(torch.as_tensor(loss).detach()),
        "to_mu": nothing if mu.grad is None else mu.grad,
        "to_log_var": nothing if log_var.grad is None else log_var.grad,
    }


def ask_loss_with_own_kl(student, given):
    """The student's kl beside the student's loss, for eight images and eight units."""
    images, rebuilt = given["images"][:8], given["rebuilt"][:8]
    answer = {}
    for name in ("loss", "kl"):
        mu = given["mu_8"].clone().requires_grad_()
        log_var = given["log_var_8"].clone().requires_grad_()
        if name == "kl":
            value = answer["kl values"] = torch.as_tensor(student.kl(mu, log_var))
        else:
            value = student.negative_elbo(images, rebuilt, mu, log_var)
        value = torch.as_tensor(value).mean()
        if value.requires_grad:
            value.backward()
        answer[name] = float(torch.as_tensor(value).detach())
        for path, start in (("mu", mu), ("log_var", log_var)):
            grad = torch.zeros(8, 8) if start.grad is None else start.grad
            answer[f"{name} to {path}"] = grad
    return answer


def squares_of(given, n):
    """Half of the squared error within an image, on average."""
    difference = given["images"][:n].double() - given["rebuilt"][:n].double()
    return float((difference**2).sum()) / (2 * n)


def expected_elbo(given):
    squares, of_8 = 2 * squares_of(given, 9), 2 * squares_of(given, 8)
    cost = float(price(given["mu"], given["log_var"]).sum(1).mean())
    return {
        "distortion": of_8 / 2,
        "loss": squares / 2 + cost,
        "mistakes": {
            "distortion": {
                "the distortion is still a mean over the pixels": of_8 / 784,
                "the distortion is still a mean over the pixels, halved": of_8 / 1568,
                "the factor 1/2 of the distortion is missing": of_8,
                "a sum over the images, too": 4 * of_8,
                "a sum over the images, too, without the factor 1/2": 8 * of_8,
                "the distortion has the wrong sign": -of_8 / 2,
            },
            "loss": {
                "the distortion is still a mean over the pixels": squares / 784 + cost,
                "the distortion is still a mean over the pixels, halved": squares / 1568
                + cost,
                "the factor 1/2 of the distortion is missing": squares + cost,
                "the price has the wrong sign": squares / 2 - cost,
                "sums over the images, too": 9 * (squares / 2 + cost),
                "the price is a sum over the images, too": squares / 2 + 9 * cost,
                "the price is a mean over the units": squares / 2 + cost / 6,
                "the factor 1/2 of the price is missing": squares / 2 + 2 * cost,
                "the price is left out": squares / 2,
            },
        },
    }


def distortion_alone(given, answers, expected):
    """The distortion: half of the squared error, summed within an image."""
    what = "how much the loss rises when eight images are rebuilt badly"
    likely = "a sum within an image, a mean over the images, the factor 1/2"
    expect(answers[0], "distortion", expected, what, tolerance=1e-3, likely=likely)
    right = (given["rebuilt"][:8].double() - given["images"][:8].double()) / 8
    path = tensor(answers[0], "to_rebuilt", tuple(right.shape))
    if not path.any():
        what = "a gradient to the reconstruction"
        raise Wrong(what, "one that flows", "none", CUT)
    if gap(path, right) > 1e-3:
        what = "the largest error of the gradient with respect to the reconstruction"
        raise Wrong(what, 0.0, gap(path, right), "a part of the path was cut")


def right_with_own_kl(given, answers):
    """Whether the loss is right but for a kl that is not: that has its own question."""
    answer, mu, log_var = answers[2], given["mu_8"], given["log_var_8"]
    try:
        got, own = number(answer, "loss"), number(answer, "kl")
        names = [
            f"{one} to {path}" for one in ("loss", "kl") for path in ("mu", "log_var")
        ]
        loss_to_mu, loss_to_var, to_mu, to_var = (
            tensor(answer, n, (8, 8)) for n in names
        )
        values = torch.as_tensor(answer.get("kl values")).double()
    except Wrong:
        return False
    exact = price(mu, log_var).sum(1)
    right = values.shape == exact.shape and gap(values, exact) < 1e-3
    if to_mu.any():  # a price at all: it pulls mu in the right line, wrong as it may be
        pull = torch.cosine_similarity(to_mu.flatten(), mu.double().flatten(), dim=0)
        usable = not right and abs(pull) > 0.5
    else:
        usable = right  # the path is cut in kl
    return (
        usable
        and abs(got - squares_of(given, 8) - own) < 1e-3 * abs(got)
        and float((loss_to_mu - to_mu).abs().max()) < 1e-3
        and float((loss_to_var - to_var).abs().max()) < 1e-3
    )


def balanced(given, answers, expected):
    """The loss: distortion and price in balance, and a gradient flows to the code."""
    if right_with_own_kl(given, answers):
        return
    what = "the loss of nine images"
    likely = "both terms are sums within an image and means over the images"
    expect(answers[1], "loss", expected, what, tolerance=1e-4, likely=likely)
    mu, log_var = given["mu"], given["log_var"]
    right = {"mu": mu / 9, "log_var": 0.5 * (log_var.exp() - 1) / 9}
    for name, path in right.items():
        got = tensor(answers[1], f"to_{name}", (9, 6))
        if not got.any():
            raise Wrong(f"a gradient to {name}", "one that flows", "none", CUT)
        if gap(got, path) > 1e-3:
            what = f"the largest error of the gradient with respect to {name}"
            raise Wrong(what, 0.0, gap(got, path), "a part of the path was cut")


QUESTIONS = [
    Question(
        "reparameterise",
        given=given_moments,
        ask=(ask_codes, ask_paths),
        rules={mean_and_spread: 1, paths_to_both: 1},
        seconds=20,
    ),
    Question(
        "kl",
        given=given_kl,
        ask=(ask_one_unit, ask_four_units, ask_kl_paths),
        expected=expected_kl,
        rules={price_of_one_unit: 0.5, price_of_four_units: 1.5, paths_of_kl: 1},
        seconds=20,
    ),
    Question(
        "negative_elbo",
        needs=("negative_elbo", "kl"),
        given=given_elbo,
        ask=(ask_distortion, ask_loss, ask_loss_with_own_kl),
        expected=expected_elbo,
        rules={distortion_alone: 2, balanced: 2},
        seconds=20,
    ),
]
