# %% [markdown]
# # Exercise 8. Write the price, and find the mistake
#
# A variational autoencoder pays for every step that its codes take away from the
# middle. Lesson 8 gave the price in closed form. Here you write it yourself, and then
# find what is wrong in a loss that somebody else wrote: a common mistake in public
# code.
#
# | | task | difficulty | minutes | points |
# |---|---|---|---|---|
# | worked | a normal distribution in two numbers | · | 3 | – |
# | 1 | the reparameterisation | • | 6 | 2 |
# | 2 | the KL term | •• | 10 | 3 |
# | 3 | find the mistake in an ELBO | ••• | 15 | 4 |
# | 4 | what would have told you? (text) | •• | 8 | 3 |
#
# Training takes less than a minute in all. Under every task in code stands a check: run
# it as often as you like. It says what was expected, what came, and the likely cause.
# Your marks come from the same questions, asked with other inputs.

# %% [markdown]
# ## What you need
#
# Run this cell as it is. `epochs` gives about 1,500 steps, however many images there
# are.

# %%
import math

import pandas as pd
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from course_utils import data, plots, training
from course_utils.checks import Checks

check = Checks("08_variational")
train = data.load_images("FashionMNIST", "train")
validation = data.load_images("FashionMNIST", "validation")
epochs = max(3, round(1500 * 128 / len(train)))
print(f"{len(train):,} images for training, {len(validation):,} for validation")
print(f"{epochs} epochs")

# %% [markdown]
# ## Worked: a normal distribution in two numbers
#
# The encoder returns, for each unit, a mean `mu` and the logarithm of the variance,
# `log_var`. The standard deviation is therefore `exp(log_var / 2)`, positive whatever
# the network puts out. Three examples:

# %%
examples = pd.DataFrame({"log_var": [0.0, math.log(4), -2.0]})
examples["variance"] = examples["log_var"].map(math.exp)
examples["standard deviation"] = (examples["log_var"] / 2).map(math.exp)
examples.round(3)

# %% [markdown]
# ## 1. The reparameterisation (•, 2 points)
#
# Draw a code from the normal distribution that `mu` and `log_var` describe: noise from
# N(0, 1) of the same shape, stretched and moved. **A gradient must flow** from the code
# back to both; `.detach()`, `.item()` and a finished sample would cut its path. Fill
# the blank.
#
# <details><summary>A nudge</summary>
#
# Which number turns noise of standard deviation 1 into noise of standard deviation σ?
# </details>
# <details><summary>A push</summary>
#
# `exp(log_var)` is the variance. Look at the third column of the table.
# </details>


# %% answer="reparameterise"
def reparameterise(mu, log_var):
    """mu, log_var: float32 (N, k) -> codes (N, k), drawn from N(mu, exp(log_var))."""
    noise = torch.randn_like(mu)
    # return mu + ____ * noise
    ### BEGIN SOLUTION
    return mu + torch.exp(0.5 * log_var) * noise
    ### END SOLUTION


# %% check="reparameterise"
check("reparameterise", reparameterise)

# %% [markdown]
# ## 2. The KL term (••, 3 points)
#
# The price of one image is the Kullback-Leibler divergence of N(µ, σ²) from N(0, 1),
# **summed over the units** of the code:
#
# $$\tfrac12 \sum_j \left(\mu_j^2 + \sigma_j^2 - \log\sigma_j^2 - 1\right)$$
#
# Return it for every image. It is zero exactly where µ = 0 and σ = 1, and never
# negative. It is a part of a loss, so a gradient must flow through it, to `mu` and to
# `log_var`.
#
# <details><summary>A nudge</summary>
#
# Two of the four terms need no work at all: which letters of the formula do you have?
# </details>
# <details><summary>A push</summary>
#
# log σ² is `log_var`, and σ² is `log_var.exp()`. What comes out has one number for each
# image: which dimension has to go?
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# of_units = mu**2 + log_var.exp() - …  # (N, k)
# return 0.5 * of_units.sum(…)          # (N,)
# ```
# </details>


# %% answer="kl"
def kl(mu, log_var):
    """mu, log_var: float32 (N, k) -> for each image the divergence from N(0, I) of its
    distribution, (N,), in nats."""
    ### BEGIN SOLUTION
    return 0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(dim=1)
    ### END SOLUTION


# %% check="kl"
check("kl", kl)

# %% [markdown]
# ## 3. Find the mistake in an ELBO (•••, 4 points)
#
# This loss runs, falls and looks healthy. The model it trains draws ten times the same
# blurred garment: all its codes have collapsed to N(0, 1) and say nothing about the
# image.


# %%
def wrong_elbo(images, rebuilt, mu, log_var):
    squares = (rebuilt - images) ** 2
    distortion = squares.mean()  # over images and pixels
    codes = Normal(mu, (log_var / 2).exp())
    of_units = kl_divergence(codes, Normal(0.0, 1.0))  # the same price, by torch
    price = of_units.sum(dim=1).mean()  # sum over units, mean over images
    return distortion + price


# %% [markdown]
# Write `negative_elbo` with the balance of lesson 8: **both terms are sums within an
# image and means over the images**, and the distortion is the squared error with the
# factor ½ that a normal distribution of variance 1 brings (lesson 8 took the
# cross-entropy in its place; constants are left out). Return one number, a tensor from
# which a gradient flows to the reconstruction, to `mu` and to `log_var`. The check asks
# for `kl` as well: a mistake there costs its own points, and none here.
#
# <details><summary>A nudge</summary>
#
# Of `squares.mean()` and `of_units.sum(dim=1).mean()`, one is a mean over more than the
# images.
# </details>
# <details><summary>A push</summary>
#
# First one number for each image, of the distortion as of the price. `flatten(1)` makes
# of each image one row. Then add them, and then take the mean.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# squares = ((rebuilt - images) ** 2).flatten(1)  # (N, 784)
# distortion = … * squares.sum(…)                 # (N,)
# return (… + kl(…)).mean()
# ```
# </details>


# %% answer="negative_elbo"
def negative_elbo(images, rebuilt, mu, log_var):
    """images, rebuilt: float32 (N, 1, 28, 28); mu, log_var: (N, k) -> the loss in nats
    per image, a tensor with one number."""
    ### BEGIN SOLUTION
    distortion = 0.5 * ((rebuilt - images) ** 2).flatten(1).sum(dim=1)
    return (distortion + kl(mu, log_var)).mean()
    ### END SOLUTION


# %% [markdown]
# The next two cells train one small model with the wrong loss and one with yours. It
# takes about half a minute.


# %%
class SmallVAE(nn.Module):
    def __init__(self, k=8):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU())
        self.mu, self.log_var = nn.Linear(128, k), nn.Linear(128, k)
        self.decoder = nn.Sequential(
            nn.Linear(k, 128),
            nn.ReLU(),
            nn.Linear(128, 784),
            nn.Sigmoid(),
            nn.Unflatten(1, (1, 28, 28)),
        )

    def forward(self, images):
        hidden = self.body(images)
        mu, log_var = self.mu(hidden), self.log_var(hidden)
        codes = Normal(mu, (log_var / 2).exp()).rsample() if self.training else mu
        return self.decoder(codes), mu, log_var


def trained_with(loss):
    def loss_of_batch(model, images, labels):
        return loss(images, *model(images))

    torch.manual_seed(0)
    model = SmallVAE()
    training.fit(model, train, loss_of_batch, epochs=epochs, lr=2e-3)
    return model


# %% tags=["wanted"]
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
    title = f"In balance, the code costs {float(price):.1f} nats for each image"
except Exception as error:
    title = f"Not yet: {type(error).__name__}"

plots.image_rows(
    rows,
    columns=ten.class_names,
    title=title,
    caption="Ten held-out images and what two variational autoencoders with 8 code "
    "numbers make of them.",
)

# %% check="negative_elbo"
check("negative_elbo", negative_elbo, kl)

# %% [markdown]
# ## 4. What would have told you? (••, text, 3 points)
#
# The wrong loss falls from epoch to epoch. In at most ten sentences: why does a mean
# over the pixels make the codes collapse? By which factor is the balance off for
# 28 × 28 pixels? Which two things would you look at, other than the loss curve, to
# notice it?
#
# *How it is marked.* One point each: the answer says what becomes the cheapest thing to
# do, and why; it gives the factor, and says where it comes from; it names two signs
# that a person would really see.

# %% [markdown] text="told" points=3
# Model answer. With a mean over pixels the distortion is 784 times smaller than the sum
# that the derivation asks for (392 times smaller than with its factor one half), while
# the price of a code stays in nats. Saying something about the image then costs more
# than it saves, so the optimum is the prior itself, whatever the image. The loss still
# falls, because the decoder learns the mean image. I would look at the KL of each unit,
# which is near zero for all of them, and at reconstructions of different garments,
# which all look the same.

# %% [markdown]
# ## What you have done
#
# You can write the price, check it, and see when a loss that runs is not the loss that
# was meant. This was the last lesson's exercise; the two sweeps are still to be done.
# The last cell asks all questions once more and adds up.

# %% tags=["closing"]
check.all(globals())
