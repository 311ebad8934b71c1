# %% [markdown]
# # Exercise 8. Write the price, and find the mistake
#
# A variational autoencoder pays for every step that its codes take away from the middle. Lesson 08 gave the price in closed form. Here you write it yourself, check
# it against sampling, and then find what is wrong in a loss that somebody else wrote: the commonest mistake in public code.
#
# | | task | difficulty | minutes | points |
# |---|---|---|---|---|
# | worked | a normal distribution in two numbers | · | 3 | – |
# | 1 | the reparameterisation | • | 6 | 2 |
# | 2 | the KL term | •• | 10 | 3 |
# | 3 | find the mistake in an ELBO | ••• | 15 | 4 |
# | 4 | what would have told you? (text) | •• | 8 | 3 |
#
# Training takes less than a minute in all. Under every task stands a check that says what was expected, what came and the likely cause.
# The marks come from further checks, on other numbers, that you do not see.

# %% [markdown]
# ## What you need
#
# Run this cell as it is. `epochs` gives about 1,500 steps, however many images there are.

# %%
import math

import torch
from torch import nn

from course_utils import data, metrics, models, plots, training
from course_utils.checks import check

train = data.load_images("FashionMNIST", "train")
validation = data.load_images("FashionMNIST", "validation")
epochs = max(3, round(1500 * 128 / len(train)))
print(f"{len(train):,} images for training, {len(validation):,} for validation, {epochs} epochs")

# %% [markdown]
# ## Worked: a normal distribution in two numbers
#
# The encoder returns, for each unit, a mean `mu` and the logarithm of the variance, `log_var`. The standard deviation is therefore `exp(log_var / 2)`, positive whatever the
# network puts out. Three examples:

# %%
for log_var in (0.0, math.log(4), -2.0):
    print(f"log_var {log_var:5.2f}   variance {math.exp(log_var):.3f}   standard deviation {math.exp(log_var / 2):.3f}")

# %% [markdown]
# ## 1. The reparameterisation (•, 2 points)
#
# Draw a code from the normal distribution that `mu` and `log_var` describe, so that gradients reach both: noise from N(0, 1) of the same shape, stretched and moved. Fill the blank.

# %% nbgrader={"grade": false, "grade_id": "reparameterise", "locked": false, "schema_version": 3, "solution": true, "task": false}
def reparameterise(mu, log_var):
    """mu, log_var: float32 (N, k) -> codes (N, k), drawn from N(mu, exp(log_var))."""
    noise = torch.randn_like(mu)
    # return mu + ____ * noise
    ### BEGIN SOLUTION
    return mu + torch.exp(0.5 * log_var) * noise
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_reparameterise", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
many = torch.ones(200_000, 1)
check("mean of many codes", lambda: float(reparameterise(3 * many, 0 * many).mean()), 3.0, tolerance=0.01)
check("standard deviation for variance 4", lambda: float(reparameterise(0 * many, math.log(4) * many).std()), 2.0,
      {"exp(log_var) is the variance; the noise is stretched by its root": 4.0, "log_var itself is not a deviation": math.log(4)}, tolerance=0.01)
### BEGIN HIDDEN TESTS
import sys, course_utils; sys.path.insert(0, course_utils.__path__[0] + "/..")
from grading.judging import hidden
hidden("08_variational", "check_reparameterise", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. The KL term (••, 3 points)
#
# The price of one image is the Kullback-Leibler divergence of N(µ, σ²) from N(0, 1), **summed over the units** of the code:
#
# $$\tfrac12 \sum_j \left(\mu_j^2 + \sigma_j^2 - \log\sigma_j^2 - 1\right)$$
#
# Return it for every image. It is zero exactly where µ = 0 and σ = 1, and never negative.

# %% nbgrader={"grade": false, "grade_id": "kl", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kl(mu, log_var):
    """mu, log_var: float32 (N, k) -> the divergence from N(0, I) of each image's distribution, (N,), in nats."""
    ### BEGIN SOLUTION
    return 0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(dim=1)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_kl", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
mu, log_var = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.0, 0.0], [0.0, 0.0], [math.log(4), -1.0]])
exact = torch.distributions.kl_divergence(torch.distributions.Normal(mu, (0.5 * log_var).exp()), torch.distributions.Normal(0.0, 1.0))
check("three images, two units", lambda: kl(mu, log_var), exact.sum(1).tolist(), {
    "the mean over the units instead of the sum": exact.mean(1).tolist(), "the sign is turned round": (-exact.sum(1)).tolist(), "the factor 1/2 is missing": (2 * exact.sum(1)).tolist(),
    "one number for the whole batch; one for each image is asked for": float(exact.sum(1).mean()), "the sum ran over the images (dim=0)": exact.sum(0).tolist(),
    "log_var was taken for the variance": (0.5 * (mu**2 + log_var - log_var.abs().clamp_min(1e-9).log() - 1).sum(1)).tolist()}, tolerance=1e-3)
### BEGIN HIDDEN TESTS
hidden("08_variational", "check_kl", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Find the mistake in an ELBO (•••, 4 points)
#
# This loss runs, falls and looks healthy. The model it trains draws ten times the same blurred garment: all its codes have collapsed to N(0, 1) and say nothing about the image.
#
# ```python
# def wrong_elbo(images, rebuilt, mu, log_var):
#     distortion = ((rebuilt - images) ** 2).mean()                       # over images and pixels
#     price = 0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(dim=1).mean()   # sum over units, mean over images
#     return distortion + price
# ```
#
# Write `negative_elbo` with the balance of lesson 08: **both terms are sums within an image and means over the images**, and the distortion is the squared error with the factor ½ that a
# normal distribution of variance 1 brings (lesson 08 took the cross-entropy in its place; constants are left out). Return one number that can be differentiated.

# %% nbgrader={"grade": false, "grade_id": "negative_elbo", "locked": false, "schema_version": 3, "solution": true, "task": false}
def negative_elbo(images, rebuilt, mu, log_var):
    """images, rebuilt: float32 (N, 1, 28, 28); mu, log_var: (N, k) -> the loss, a tensor with one number, in nats per image."""
    ### BEGIN SOLUTION
    distortion = 0.5 * ((rebuilt - images) ** 2).flatten(1).sum(dim=1)
    return (distortion + kl(mu, log_var)).mean()
    ### END SOLUTION

# %% [markdown]
# The next cell trains one small model with the wrong loss and one with yours. It takes about half a minute.

# %% tags=["wanted"]
class SmallVAE(nn.Module):
    def __init__(self, k=8):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU())
        self.mu, self.log_var = nn.Linear(128, k), nn.Linear(128, k)
        self.decoder = nn.Sequential(nn.Linear(k, 128), nn.ReLU(), nn.Linear(128, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28)))

    def forward(self, images):
        hidden = self.body(images)
        mu, log_var = self.mu(hidden), self.log_var(hidden)
        noisy = mu + torch.exp(0.5 * log_var) * torch.randn_like(mu)
        return self.decoder(noisy if self.training else mu), mu, log_var


def wrong_elbo(images, rebuilt, mu, log_var):
    return ((rebuilt - images) ** 2).mean() + 0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(dim=1).mean()


def trained_with(loss):
    torch.manual_seed(0)
    model = SmallVAE()
    training.fit(model, train, lambda model, images, labels: loss(images, *model(images)), epochs=epochs, lr=2e-3)
    return model


ten = data.one_of_each(validation)
rows = {"original": ten.images}
collapsed = trained_with(wrong_elbo)
with torch.no_grad():
    rows["wrong ELBO"] = collapsed(ten.images)[0]
try:
    model = trained_with(negative_elbo)
    with torch.no_grad():
        rows["yours"] = model(ten.images)[0]
        price = kl(*model(validation.images)[1:]).mean()
    title = f"With the balance put right the code carries {float(price):.1f} nats for each image; the wrong loss carries nothing"
except Exception as error:
    model, title = None, f"Not yet: {type(error).__name__}"
plots.image_rows(rows, title, "Ten held-out images and what two variational autoencoders with 8 code numbers make of them.", ten.class_names)

# %% nbgrader={"grade": true, "grade_id": "check_negative_elbo", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
a, b = validation.images[:6], validation.images[6:12]
m, v = torch.linspace(-1, 1, 12).reshape(6, 2), torch.linspace(-2, 1, 12).reshape(6, 2)
price = 0.5 * (m**2 + v.exp() - v - 1).sum(1).mean()
squares = float(((a - b) ** 2).sum() / 6)
check("the loss of six images", lambda: negative_elbo(a, b, m, v), float(squares / 2 + price), {
    "the distortion is still a mean over the pixels": float(squares / 784 + price), "half of that: the distortion is still a mean over the pixels": float(squares / 1568 + price),
    "the factor 1/2 of the distortion is missing": float(squares + price), "the price has the wrong sign": float(squares / 2 - price), "sums over the images, too": float(6 * (squares / 2 + price)),
    "the price is a mean over the units": float(squares / 2 + price / 2)}, tolerance=1e-3)
### BEGIN HIDDEN TESTS
hidden("08_variational", "check_negative_elbo", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 4. What would have told you? (••, text, 3 points)
#
# The wrong loss falls from epoch to epoch. In at most ten sentences: why does a mean over the pixels make the codes collapse? By which factor is the balance off for 28 × 28 pixels? Which two
# things would you look at, other than the loss curve, to notice it?
#
# *How it is marked.* One point: the distortion shrinks by the number of pixels while the price keeps its size, so that the cheapest thing is to pay no price: µ = 0, σ = 1. One point: the
# factor (784, or 392 with the ½). One point: two real signs (KL near zero for each unit, reconstructions that are all alike, the error of the mean image, codes that do not
# depend on the image).

# %% [markdown] nbgrader={"grade": true, "grade_id": "told", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# Model answer. With a mean over pixels the distortion is 784 times smaller than the sum that the derivation asks for (392 times smaller than with its factor one half), while the price of a code
# stays in nats. Saying something about the image then costs more than it saves, so the optimum is the prior itself, whatever the image. The loss still falls, because the decoder learns the mean image.
# I would look at the KL of each unit, which is near zero for all of them, and at reconstructions of different garments, which all look the same.

# %% [markdown]
# ## What you have done
#
# You can write the price, check it, and see when a loss that runs is not the loss that was meant. This was the last lesson's exercise; the two sweeps are still to be done.
