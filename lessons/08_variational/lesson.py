# %% [markdown] question="Can the space become a place?" source="seminar, 4.3"
# # 8. The variational autoencoder: make the space a place
#
# Lesson 4 drew new garments by guessing codes, and most guesses failed: between the
# codes of real images lie regions in which the decoder was never trained. Lesson 7 saw
# them as empty patches on the map. This lesson changes the training, so that a code
# drawn from a bell curve, without a look at any image, decodes to a garment. It will
# work most of the time. We count how often it does not, and find out why.
#
# After this lesson you will be able to
#
# 1. say what an encoder with µ and log σ² puts out, and how a gradient passes through a
#    random draw;
# 2. derive the loss, write its two sums and its one mean, and check its KL term against
#    sampling;
# 3. draw new images from N(0, I), judge them by measures whose weaknesses you know, and
#    say why some of them are fog;
# 4. count the units that a model uses, and recognise posterior collapse that a healthy
#    loss curve hides.
#
# **Time**: about 55 minutes to read and answer; the code runs for under two minutes on
# two cores, without a GPU.
#
# **You need**: [lesson 1](01_dense_autoencoder.ipynb), and the failures of [lesson
# 4](04_sampling.ipynb).
#
# Words with a link are explained in the [glossary](../GLOSSARY.md), which also names
# them in Hebrew and Croatian.

# %% [markdown]
# ## 1. Where the plain autoencoder keeps its codes
#
# We train the stacked autoencoder with 20 code numbers and look at them: where in the
# 20-dimensional space do images live?
#
# **Predict.** We never told the encoder how large its numbers should be. What is the
# standard deviation of one of them over the images, roughly?

# %% tags=["prediction"]
my_deviation = 1.0

# %% [markdown]
# The data, and what the lesson needs:

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from course_utils import losses, models, plots, training
from course_utils.data import load_images, one_of_each
from course_utils.metrics import PCABaseline, apply_in_batches, reconstruction_error

train = load_images("FashionMNIST", "train")
validation = load_images("FashionMNIST", "validation")
test = load_images("FashionMNIST", "test")
ten = one_of_each(test)
print(f"{len(train):,} training images ({train.source} data)")

# %% [markdown]
# Six epochs, then the codes of all training images:

# %%
K = 20
torch.manual_seed(0)
plain = models.stacked_autoencoder(K)
training.fit(plain, train, epochs=6)
plain_codes = apply_in_batches(plain[0], train.images)  # (N, 20)
deviation = float(plain_codes.std(dim=0).mean())
print(f"your guess: {my_deviation}    measured: {deviation:.1f}")

# %% [markdown]
# So codes from a standard normal distribution are too small. Is that all? Then it would
# be enough to multiply them by this deviation. But a bell curve has a middle as well,
# and the encoder's units need not have theirs at zero:

# %%
middle, spread = plain_codes.mean(dim=0), plain_codes.std(dim=0)
low, high = float(middle.min()), float(middle.max())
print(f"means of the {K} units: from {low:.1f} to {high:.1f}")
print(f"their deviations:       from {spread.min():.1f} to {spread.max():.1f}")
correlation = torch.corrcoef(plain_codes.T).abs() - torch.eye(K)
print(f"largest |correlation| between two units: {correlation.max():.2f}")

# %% [markdown]
# Let us repair one thing at a time: the scale; then the centre as well, unit by unit;
# then the correlations, too, with the full covariance of the training codes.

# %%
covariance = torch.cov(plain_codes.T.double())
square_root = torch.linalg.cholesky(covariance).float()  # (20, 20)
GUESSES = {  # standard normal noise (n, 20) -> codes (n, 20)
    "N(0, I)": lambda noise: noise,
    "scaled": lambda noise: deviation * noise,
    "centred and scaled": lambda noise: middle + spread * noise,
    "full covariance": lambda noise: middle + noise @ square_root.T,
}


@torch.no_grad()
def decoded(guess, n, seed):
    torch.manual_seed(seed)
    return plain[1](GUESSES[guess](torch.randn(n, K)))


# %% [markdown]
# And a number beside the pictures. **Coverage**: how far is it from a real image to the
# nearest of 1,000 decoded ones, on average? It is large where kinds of garments are
# missing. The scale is 1,000 *other* real images.


# %%
def nearest(images, pool):
    """Mean distance (root mean square per pixel) to the nearest image of the pool."""
    distances = torch.cdist(images.flatten(1), pool.flatten(1)) / 28  # sqrt(784) = 28
    return float(distances.amin(dim=1).mean())


asked = validation.images[:1000]
reach = {
    guess: np.array([nearest(asked, decoded(guess, 1000, seed)) for seed in range(3)])
    for guess in GUESSES
}
real_reach = nearest(asked, train.images[-1000:])
written = {name: f"{r.mean():.3f} ± {r.std(ddof=1):.3f}" for name, r in reach.items()}
pd.Series(written | {"real images": f"{real_reach:.3f}"}, name="coverage").to_frame()

# %% [markdown]
# The pictures, ten draws of each:

# %%
with torch.no_grad():
    rows = {"original": ten.images, "reconstructed": plain(ten.images)}
rows |= {guess: decoded(guess, 10, seed=0) for guess in GUESSES}
naive, fitted = reach["N(0, I)"].mean(), reach["full covariance"].mean()
plots.image_rows(
    rows,
    columns=ten.class_names,
    title="A good autoencoder, a bad generator: its codes are neither of size 1 nor "
    f"centred, and each repair helps (coverage {naive:.3f} down to {fitted:.3f})",
    caption="Ten test images and their recognisable reconstructions; below, random "
    "codes decoded: fog from N(0, I), blotches when scaled, more and more garments "
    "when the centre and the covariance are those of the training codes. The names "
    "above the columns belong to the first two rows.",
)

# %% [markdown]
# "Why not multiply by the deviation?" is a good question, and the table answers it:
# the scale is one part of three, and centre and covariance together do more. Even
# the best Gaussian leaves out more than real images do. Nothing in the reconstruction
# loss says *where* codes should lie, how large they are, or that the space between
# them should mean anything. We can measure all this afterwards and imitate it
# (section 5 does so with ten Gaussians). Or we can ask for it in training.
#
# Two wishes, then. First: a code's *neighbourhood* should decode to the same image, so
# that there are no gaps. Second: all codes together should fill a region that we know,
# so that we can draw from it. The variational autoencoder (Kingma and Welling, 2014)
# writes both into the loss.

# %% [markdown]
# ## 2. A cloud instead of a point
#
# The encoder puts out *two* numbers for each code unit: a mean $\mu$ and the logarithm
# of a variance, $\log\sigma^2$. Together they describe a small Gaussian cloud, and the
# decoder must draw the image from *any* point of it.
#
# Why the logarithm? A linear layer may return any real number, a variance must be
# positive, and $e^{\log\sigma^2}$ always is.
#
# ![The variational autoencoder as a graph: the encoder turns an image x into µ and log
# σ²; a code z = µ + σε is computed from them and from a number ε, drawn from N(0, I)
# outside of all that is learned; the decoder draws an image from z. The gradient goes
# back through z to the encoder. The KL term is charged on µ and log σ².](graph.svg)


# %% tags=["beta-table"]
import torch


def draw(mu, log_var):
    """One point of each image's cloud; all (N, latent_dim)."""
    return mu + torch.exp(log_var / 2) * torch.randn_like(mu)


# %% [markdown]
# The encoder is the plain one, with two last layers instead of one:


# %%
class VariationalEncoder(nn.Module):
    def __init__(self, latent_dim):
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, 256), nn.ReLU(),
            nn.Linear(256, 128), nn.ReLU(),
        )  # fmt: skip
        self.mu = nn.Linear(128, latent_dim)
        self.log_var = nn.Linear(128, latent_dim)

    def moments(self, image):  # (N, 1, 28, 28)
        features = self.body(image)  # (N, 128)
        return self.mu(features), self.log_var(features)  # both (N, latent_dim)

    def forward(self, image):
        return self.moments(image)[0]  # as a plain encoder: the middle of the cloud


# %% [markdown]
# A pass in training makes one draw for each image, and keeps the moments for the loss:


# %% tags=["beta-table"]
def forward(model, images):
    """Images -> what is drawn from one point of each image's cloud, µ, log σ²."""
    mu, log_var = model[0].moments(images)
    return model[1](draw(mu, log_var)), mu, log_var


# %% [markdown]
# `draw` is the **reparameterisation trick**. PyTorch can draw from $N(\mu, \sigma^2)$
# by itself, but its `sample()` returns a bare number, and backpropagation ends there.
# We draw a standard normal $\varepsilon$, on which nothing depends, and *compute* $z
# = \mu + \sigma\varepsilon$, which has a slope. (PyTorch's `rsample()` does the same.
# Where no such formula exists, for a code of zeros and ones, say, there are
# score-function estimators, also called REINFORCE: right on average, but much
# noisier.) We try both ways.

# %%
mu = torch.tensor([0.5], requires_grad=True)
log_var = torch.tensor([-1.0], requires_grad=True)
sigma = torch.exp(log_var / 2)

drawn = torch.distributions.Normal(mu, sigma).sample()
epsilon = torch.randn(1)
z = mu + sigma * epsilon
print(f"drawn by sample(): a gradient can pass: {drawn.requires_grad}")
print(f"reparameterised:   a gradient can pass: {z.requires_grad}")

# %% [markdown]
# And the slopes are those that the formula gives: 1 for $\mu$, and
# $\sigma\varepsilon/2$ for $\log\sigma^2$.

# %%
z.backward()
print(f"dz/dµ        = {mu.grad.item():.3f}")
print(f"dz/d(log σ²) = {log_var.grad.item():.3f}")
print(f"σε/2         = {(sigma * epsilon / 2).item():.3f}")

# %% [markdown]
# > **Pitfall.** `torch.exp(log_var)` is the *variance*; the noise must be multiplied by
# > the *deviation*, `torch.exp(log_var / 2)`. With the half forgotten the model still
# > trains, and no error message comes. Only a test of the draw's variance notices.
#
# <details><summary><b>Check yourself.</b> Without anything else in the loss, what would
# training do with σ?</summary>
#
# Shrink it. Noise only makes the decoder's task harder, so the reconstruction loss
# pushes σ towards zero, and we are back at the plain autoencoder. Section 3's term
# holds against it.
# </details>
#
# > **Stop here**: [task 1 of the
# > exercise](../exercises/08_variational/08_variational.ipynb),
# > *the reparameterisation*, 6 minutes.

# %% [markdown]
# ## 3. The price of leaving the middle
#
# The second wish says: *all clouds together* should look like $N(0, I)$. What we can
# charge, image by image, is something else: the distance of *each* cloud from
# $N(0, I)$. (Section 5 shows the difference.)
#
# ![Clouds of codes, one colour for each image, beside a dashed circle for N(0, I).
# Left, reconstruction alone: small clouds far apart, none inside the circle. Right,
# with the KL term: wide clouds near the middle, which overlap.](clouds.svg)
#
# The distance is a **Kullback-Leibler divergence**, and for Gaussians it can be written
# down, unit by unit, in **[nats](../GLOSSARY.md)**, units of information that come with
# natural logarithms (one is 1.44 bits):
#
# $$
# \mathrm{KL}\big(N(\mu,\sigma^2)\,\|\,N(0,1)\big)
# = \tfrac12\big(\mu^2 + \sigma^2 - 1 - \log\sigma^2\big)
# $$
#
# It is zero for $\mu=0,\ \sigma=1$ and positive otherwise. Formulas are easily copied
# wrongly, so we check it: by definition, KL is the mean of $\log q(z) - \log p(z)$ over
# draws $z$ from $q$.
#
# **Predict.** How many draws does it take until the standard error of the sampled value
# is one per cent of it? (A single run may be closer, by luck.)

# %% tags=["prediction"]
my_draws = 100

# %% [markdown]
# The formula first, beside PyTorch's own:


# %% tags=["beta-table"]
def kl_closed_form(mu, log_var):
    """KL(N(mu, sigma^2) || N(0, 1)) of each unit in nats; same shape as mu."""
    return (mu**2 + log_var.exp() - 1 - log_var) / 2


# %% [markdown]
# One cloud, by both:

# %%
mu, log_var = torch.tensor(1.0), torch.tensor(-2.0)
exact = float(kl_closed_form(mu, log_var))
q = torch.distributions.Normal(mu, torch.exp(log_var / 2))
p = torch.distributions.Normal(0.0, 1.0)
from_torch = float(torch.distributions.kl_divergence(q, p))
print(f"closed form {exact:.4f}    torch's own {from_torch:.4f}")

# %% [markdown]
# And by sampling, with more and more draws:

# %%
torch.manual_seed(0)
rows = []
for draws in (10, 100, 1_000, 10_000, 100_000, 1_000_000):
    z = q.sample((draws,))
    ratio = q.log_prob(z) - p.log_prob(z)
    mean, spread = float(ratio.mean()), float(ratio.std())
    off = 100 * (mean / exact - 1)
    row = {"draws": draws, "sampled": mean, "standard error": spread / draws**0.5}
    rows.append(row | {"off by (%)": off})
enough = int((100 * spread / exact) ** 2)  # standard error = 1 % of the value
print(f"your guess: {my_draws}    a standard error of 1 %: about {enough:,} draws")
pd.DataFrame(rows).round({"sampled": 4, "standard error": 4, "off by (%)": 2})

# %% [markdown]
# The estimate circles around the closed form and its error falls with the square root
# of the draws: a hundred times more work for one more digit. The closed form gives the
# exact value for nothing, in every batch, for every unit. That is one reason why nearly
# everybody uses Gaussians here.
#
# > **Stop here**: [task 2 of the
# > exercise](../exercises/08_variational/08_variational.ipynb),
# > *the KL term*, 10 minutes.

# %% [markdown]
# ## 4. One loss: two sums, one mean
#
# Why these two terms, and why their sum? Think of the decoder as a story of how
# images come about: draw $z$ from $p(z)=N(0,I)$, then the image $x$ from $p(x\mid
# z)$. We would like each training image to be likely under this story, that is, a
# large $\log p(x)=\log\int p(x\mid z)\,p(z)\,dz$. The integral is hopeless: almost no
# $z$ gives anything like $x$. The encoder knows which do. So we put its cloud
# $q(z\mid x)$ in, and draw from there:
#
# $$
# \log p(x)=\log\,\mathbb{E}_{z\sim q}\!\left[\frac{p(x\mid z)\,p(z)}{q(z\mid x)}\right]
# \;\ge\;\mathbb{E}_{z\sim q}\!\left[\log\frac{p(x\mid z)\,p(z)}{q(z\mid x)}\right].
# $$
#
# The inequality is Jensen's: the logarithm of a mean is at least the mean of the
# logarithms. The right side splits into our two terms,
#
# $$
# \mathbb{E}_{z\sim q}\big[\log p(x\mid z)\big]
# -\mathrm{KL}\big(q(z\mid x)\,\|\,p(z)\big).
# $$
#
# It is the **[ELBO](../GLOSSARY.md)**, the evidence lower
# bound. What it lacks is exactly $\mathrm{KL}(q(z\mid x)\,\|\,p(z\mid x))$, the error
# of the encoder's cloud as a guess at the true one; so whoever raises the ELBO makes
# images likelier, or the encoder better, or both. One draw of $z$ for each image
# estimates the first term, and section 3 has the second in closed form.
#
# If $p(x\mid z)$ is a coin for each pixel, $-\log p(x\mid z)$ is the cross-entropy, and
# minus the ELBO, our loss in nats for each image, reads
#
# $$
# \underbrace{\sum_{\text{784 pixels}} \text{cross-entropy}}_{\text{draw it well}}
# \;+\;\beta\underbrace{\sum_{\text{20 units}} \mathrm{KL}}_{\text{stay near }N(0,I)}
# \qquad\text{then the mean over the images of a batch.}
# $$
#
# Sum over pixels, sum over units, mean over images: those three words decide whether
# the model works, as section 8 shows. $\beta = 1$ is the bound itself.


# %% tags=["beta-table"]
from torch.nn import functional as F


def summed_cross_entropy(drawn, images):
    """Over the pixels, in nats; the mean over the images."""
    return F.binary_cross_entropy(drawn, images, reduction="sum") / len(images)


def elbo(beta=1.0, distortion=summed_cross_entropy):
    """Minus the evidence lower bound as a loss, in nats for each image."""

    def loss(model, images, labels):
        drawn, mu, log_var = forward(model, images)
        kl = kl_closed_form(mu, log_var).sum(dim=1)  # (N,)
        return distortion(drawn, images) + beta * kl.mean()

    return loss


# %% [markdown]
# The decoder is the plain model's, untrained:

# %%
torch.manual_seed(0)
encoder, decoder = VariationalEncoder(K), models.stacked_autoencoder(K)[1]
variational = nn.Sequential(encoder, decoder)
history = training.fit(variational, train, elbo(), epochs=8, validation=validation)

# %% [markdown]
# Both are in the package from here on, as `models.variational_autoencoder(latent_dim)`
# and `losses.elbo(beta)`. Before we rely on it, we check that the package's loss and
# ours agree, given the same noise.

# %%
both = []
for version in (elbo(), losses.elbo()):
    torch.manual_seed(1)
    with torch.no_grad():
        loss = version(variational, validation.images, validation.labels)
    both.append(loss.item())
print(f"ours {both[0]:.4f}    the package's {both[1]:.4f} nats for each image")
print(f"difference {abs(both[0] - both[1]):.1e}")

# %% [markdown]
# And how did the training go?

# %%
first, last = history.validation_loss[0], history.validation_loss[-1]
plots.loss_curves(
    {"variational": history},
    ylabel="minus ELBO (nats per image)",
    title=f"The validation loss falls from {first:.0f} to {last:.0f} nats, "
    "and cannot fall to zero",
    caption="Minus the ELBO for each image, training solid and validation dashed. "
    "A grey pixel has a cross-entropy above zero even when drawn perfectly.",
)

# %% [markdown]
# > **Pitfall.** Do not read these nats as the likelihood of a grey image. Cross-entropy
# > treats a pixel as a coin that shows black or white; for a pixel of .5 it is .69 at
# > best, not 0. For comparing two such losses on the same images it serves well.
# > (Loaiza-Ganem and Cunningham, 2019, give the correction.)
#
# What did the second wish cost? The errors per pixel, decoded from µ, beside lesson 1's
# baselines of the same size.

# %%
pca = PCABaseline(train.images)
errors = {
    "mean image": pca.error(validation.images, 0),
    f"PCA cut, k = {K}": pca.error(validation.images, K, clip=True),
    "plain stacked": reconstruction_error(plain, validation.images),
    "variational": reconstruction_error(variational, validation.images),
}
plots.bars(
    errors,
    ylabel="mean squared error per pixel",
    fmt="{:.4f}",
    title=f"The price of order: {errors['variational']:.4f} for the variational model, "
    f"{errors['plain stacked']:.4f} for the plain one with the same layers",
    caption=f"Validation error of three ways to keep {K} numbers, and of the mean "
    "image, which keeps none; one training each. The variational bar is higher than "
    "the plain one.",
)

# %% [markdown]
# The variational model has to draw from a noisy code and pays for every nat that it
# stores; on the full data it therefore reconstructs worse than the plain model, though
# it trained two epochs longer. (A part of the difference may be the loss: the plain
# model was trained on the very error that the bars show, the variational one on
# cross-entropy. And after a short training on the small sample the difference may not
# show yet.) The next section shows what the price bought.

# %% [markdown]
# ## 5. New images
#
# Beside the variational model, which gets `torch.randn` and nothing else, other ways
# compete. Four use the plain autoencoder: N(0, I) and the full covariance of section 1;
# the chapter's perturbation of real codes, `encoded * (1 + perturbation)`; and, as in
# lesson 4, a mixture of Gaussians, here ten, fitted on the training codes. And one is a
# control: the variational decoder with codes from the clouds of real training images,
# which it was trained on, instead of from N(0, I).

# %%
from sklearn.mixture import GaussianMixture

some_codes = plain_codes[:10_000].double().numpy()
mixture = GaussianMixture(10, reg_covar=1e-4, random_state=0).fit(some_codes)


def codes_of_mixture(n, seed):
    codes = mixture.set_params(random_state=seed).sample(n)[0]
    return torch.from_numpy(codes).float()[torch.randperm(n)]  # not sorted by Gaussian


def perturbed(n):
    encoded = plain[0](train.images[torch.randperm(len(train))[:n]])
    perturbation = torch.randn_like(encoded)
    return encoded * (1 + perturbation)


# %% [markdown]
# Six ways to a new image:


# %%
def from_clouds(n):
    some = train.images[torch.randperm(len(train))[:n]]
    return draw(*encoder.moments(some))


def fitted_codes(n):
    return GUESSES["full covariance"](torch.randn(n, K))


WAYS = {  # name: n and seed -> images (n, 1, 28, 28)
    "plain, N(0, I)": lambda n, seed: plain[1](torch.randn(n, K)),
    "plain, full covariance": lambda n, seed: plain[1](fitted_codes(n)),
    "plain, perturbed": lambda n, seed: plain[1](perturbed(n)),
    "plain, mixture": lambda n, seed: plain[1](codes_of_mixture(n, seed)),
    "variational, N(0, I)": lambda n, seed: variational[1](torch.randn(n, K)),
    "variational, clouds": lambda n, seed: variational[1](from_clouds(n)),
}


# %% [markdown]
# A seed makes a draw repeatable:


# %%
@torch.no_grad()
def sample(way, n, seed):
    torch.manual_seed(seed)
    return WAYS[way](n, seed)


# %% [markdown]
# Twelve of each:

# %%
drawn = {way: sample(way, 12, seed=1) for way in WAYS}
plots.image_rows(
    drawn | {"real": test.images[:12]},
    title="From bare noise the plain model draws fog, the variational one mostly "
    "garments",
    caption="Twelve samples of each way, not chosen, above twelve real test images. "
    "The plain model needs help to find its codes.",
)

# %% [markdown]
# Looking is not measuring. Beside **coverage** (lesson 4's *real to sample*) we take
# the other direction, its *sample to real*, and call it **closeness**: from each of
# 1,000 samples to the nearest of 5,000 training images. And we count the **fog**: the
# share of samples without a single pixel above one half, which is true of hardly any
# real garment. Real images, measured in the same way, are the scale. The mean image, a
# thousand times, is the trap.


# %%
def fog(images):
    """Share of images without any pixel above one half, in per cent."""
    return 100 * float((images.flatten(1).amax(dim=1) <= 0.5).float().mean())


def candidates(seed):
    """1,000 images of each kind: real ones, the mean image, and each way's samples."""
    rest = train.images[5000:]
    order = torch.randperm(len(rest), generator=torch.Generator().manual_seed(seed))
    mean_image = pca.mean.reshape(1, 1, 28, 28)
    scale = {
        "real images": rest[order[:1000]],
        "real images, half as bright": rest[order[:1000]] / 2,
        "the mean image, repeated": mean_image.expand(1000, -1, -1, -1),
    }
    return scale | {way: sample(way, 1000, seed) for way in WAYS}


# %% [markdown]
# Three draws of each, mean and deviation:

# %%
pool, rows = train.images[:5000], []
for seed in range(3):
    for way, new in candidates(seed).items():
        row = {"way": way, "closeness": nearest(new, pool)}
        row |= {"coverage": nearest(asked, new), "fog (%)": fog(new)}
        rows.append(row)
measured = pd.DataFrame(rows).groupby("way", sort=False).agg(["mean", "std"])
measured.round({(name, part): 1 if "fog" in name else 3 for name, part in measured})

# %% [markdown]
# The two distances as a picture; the lower left is near and complete.

# %%
COLOURS = {
    "plain": plots.colour("stacked"),
    "variational": plots.colour("variational"),
    "the mean image": plots.colour("baseline"),
}
fig, ax = plt.subplots(figsize=(8, 4.8), layout="constrained")
for (way, row), marker in zip(measured.iterrows(), plots.MARKERS):
    look = {"marker": marker, "markersize": 8, "capsize": 3, "linestyle": "none"}
    look["color"] = COLOURS.get(way.split(",")[0], "black")
    x, y = row["closeness"], row["coverage"]
    ax.errorbar(x["mean"], y["mean"], y["std"], x["std"], label=way, **look)
ax.set_xlabel("closeness: distance from a sample to the nearest training image")
ax.set_ylabel("coverage: from a real image to the nearest sample")
ax.legend(loc="best", fontsize=9)
plt.close(fig)

# %% [markdown]
# With fog in the title, since neither axis shows it:

# %%
cover, foggy = measured["coverage"]["mean"], measured["fog (%)"]["mean"]
noise = "variational, N(0, I)"
plots.finish(
    fig,
    title=f"Bare noise covers the garments ({cover[noise]:.3f}; real images "
    f"{cover['real images']:.3f}), yet {foggy[noise]:.0f} % of it is fog",
    caption="To the right is farther from every training image, upwards more kinds are "
    "missed; mean and deviation of three draws of 1,000. Variational and mixture lie "
    "near the real images, N(0, I) in the plain model far above.",
)

# %% [markdown]
# Read the horizontal axis first: **real images lie farther from other real images than
# most samples do**, and the mean image, which resembles no garment, lies about as near
# as they. Such a distance rewards blur, since a blurred image is half-way to
# everything, and darkness, since much of every picture is dark: real images at half
# their brightness lie nearer than as they are. A small distance is no proof of a good
# sample; one aims at the real images' value, not at zero.
#
# The vertical axis is harder to fool (though blur helps here, too): whoever draws one
# thing again and again misses the rest. Random codes in the plain model do just that;
# the variational model, from bare noise, covers the garments about as well as a
# thousand real images do.
#
# The third column tells what neither distance noticed. Some samples of the variational
# model are pale smears without one bright pixel. Its decoder is to blame for a part of
# them: it blurs, and draws some fog even from the *clouds* of real images. But from
# N(0, I) it draws a good deal more. So some codes from N(0, I) must lie where no
# image's cloud lies. All clouds together make the **aggregate posterior** $q(z)$, the
# mean of $q(z\mid x)$ over the images; N(0, I) is the **prior**. The loss compares
# these two only as a part of a larger bill. It charges each cloud alone, and the mean
# of that charge splits in two (Hoffman and Johnson, 2016):
#
# $$
# \underbrace{\text{mean over } x \text{ of }
# \mathrm{KL}(q(z\mid x)\,\|\,p(z))}_{\text{what we pay}}
# =\underbrace{I(x;z)}_{\text{what the code tells of the image}}
# +\underbrace{\mathrm{KL}(q(z)\,\|\,p(z))}_{\text{the second wish}}.
# $$
#
# So a gap between $q(z)$ and $p(z)$ has its price, and a model pays it where the
# drawing gains more. Ours does: it leaves gaps between the kinds of garments, where the
# decoder has to blend.
#
# And the mixture of Gaussians? Honestly measured, it is at least as good, with less
# fog. To know where the codes lie is worth much, and fitting a density *afterwards* is
# a fair rival (Ghosh et al., 2020). But it needs a second model, fitted on stored
# codes; the variational one has a density built in, if not quite the right one, and the
# map of the next section.
#
# > **Pitfall.** Never judge samples by one number, nor by the twelve prettiest. Ask
# > what a cheat would score: here the mean image.

# %% [markdown]
# ## 6. A map, and what lies in its middle
#
# With two code units the whole space fits on a page. We cut the normal distribution
# into 15 × 15 equally likely cells and decode the middle of each.

# %%
from scipy.stats import norm

torch.manual_seed(0)
flat = models.variational_autoencoder(2)
training.fit(flat, train, losses.elbo(), epochs=8)

N = 15
steps = torch.from_numpy(norm.ppf((np.arange(N) + 0.5) / N)).float()
up, right = torch.meshgrid(steps.flip(0), steps, indexing="ij")  # upwards is more
grid = torch.stack([right, up], dim=-1).reshape(-1, 2)  # (225, 2)
with torch.no_grad():
    drawn = flat[1](grid).reshape(N, N, 28, 28)
sheet = drawn.permute(0, 2, 1, 3).reshape(N * 28, N * 28)
brightest = float(drawn[N // 2, N // 2].max())  # of the code (0, 0)

# %% [markdown]
# All of them on one sheet, dark on white:

# %% tags=["readme"]
fig, ax = plt.subplots(figsize=(7.5, 8), layout="constrained")
ax.imshow(sheet, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
middles = np.arange(N)[::2] * 28 + 14
ax.set_xticks(middles, [f"{value:.1f}" for value in steps[::2]])
ax.set_yticks(middles, [f"{value:.1f}" for value in steps.flip(0)[::2]])
ax.set(xlabel="first number of the code", ylabel="second number of the code")

plots.finish(
    fig,
    title="One sheet of garments that pass into one another; but the middle, the "
    f"likeliest code of all, is fog: no pixel above {brightest:.2f}",
    caption="225 images decoded from a grid of two-dimensional codes. Shoes, bags, "
    "trousers, tops and coats pass into one another; the middle is pale.",
)

# %% [markdown]
# Walk from one corner to another. One garment turns into the next, sometimes through
# something that nobody would wear: where shoes border on trousers there is no garment,
# but the decoder must draw one, and draws a pale average of both. Neighbours on the
# sheet are mostly alike; that is what the noise in the code enforces.
#
# The middle is the surprise. N(0, I) has its greatest density there, so a generator
# should be at its best. Do images live there? We count codes within a small circle
# around the middle, those of real images against those drawn from N(0, I).

# %%
RADIUS = 0.3
with torch.no_grad():
    flat_mu, flat_log_var = flat[0].moments(validation.images)
    clouds = draw(flat_mu, flat_log_var)
in_prior = 1 - np.exp(-(RADIUS**2) / 2)  # of a two-dimensional standard normal
in_clouds = float((clouds.norm(dim=1) < RADIUS).float().mean())
print(f"within {RADIUS} of the middle: {in_prior:.1%} of N(0, I),", end=" ")
print(f"{in_clouds:.1%} of the codes of validation images")
print(f"fog in 10,000 draws from N(0, I): {fog(flat[1](torch.randn(10_000, 2))):.1f} %")

# %% [markdown]
# (From two other random starts the middle came out pale as well, with a brightest pixel
# just above one half.)
#
# The kinds of garments have moved apart and left the middle between them nearly empty:
# section 5's gap between prior and aggregate posterior, to be seen with the eye. A hole
# in a variational map is not black, it is pale.

# %% [markdown]
# ## 7. Which units work?
#
# Our larger model has twenty units. Does it use them? A unit that works has a $\mu$
# that differs from image to image. Burda, Grosse and Salakhutdinov (2016) call a unit
# **active** when the variance of $\mu$ over the images exceeds .01.
#
# **Predict.** How many of the twenty are active?

# %% tags=["prediction"]
my_active = 20

# %% [markdown]
# First the clouds of all images, a batch at a time:


# %% tags=["beta-table"]
@torch.no_grad()
def moments_of(model, images):
    """mu and log sigma^2 for all images, each (N, latent_dim)."""
    batches = [model[0].moments(batch) for batch in images.split(1000)]
    return tuple(torch.cat(moments) for moments in zip(*batches))


# %% [markdown]
# We count by this rule, and weigh each unit by its KL besides:

# %%
mu, log_var = moments_of(variational, validation.images)
spread = mu.var(dim=0)
order = spread.argsort(descending=True)
active = int((spread > 0.01).sum())
kl_of_unit = kl_closed_form(mu, log_var).mean(dim=0)
print(f"your guess: {my_active}    active units: {active} of {K}")
print(f"KL in all: {kl_of_unit.sum():.1f} nats for each image")

# %% [markdown]
# Unit by unit, the most active first:

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
rank, brown = range(1, K + 1), plots.colour("variational")
axes[0].bar(rank, spread[order], color=brown)
axes[0].axhline(0.01, linestyle="--", color="black", label="active above .01")
axes[0].set(ylabel="variance of µ over images", yscale="log")
axes[0].set(xlabel="code unit, most active first", xticks=rank[::2])
axes[0].legend()
axes[1].bar(rank, kl_of_unit[order], color=brown)
axes[1].set(ylabel="KL (nats for each image)")
axes[1].set(xlabel="code unit, same order", xticks=rank[::2])

busy = kl_of_unit > 0.1
busiest, carried = int(busy.sum()), float(kl_of_unit[busy].sum() / kl_of_unit.sum())
plots.finish(
    fig,
    title=f"{busiest} of {K} units carry {carried:.0%} of all nats that are known of "
    "an image",
    caption="Left: variance of each unit's mean over the validation images, with the "
    f"limit of .01, which {active} units pass. Right: KL of the same units. A few "
    "units are far above the rest.",
)

# %% [markdown]
# Which of the two counts would you report? The course's table (section 8) holds three
# more trainings with this loss, of half the length. There the count of active units
# depends on the seed:

# %%
from importlib.resources import files

table = pd.read_csv(files("course_utils") / "tables" / "beta.csv")
same_loss = table.query("distortion == 'cross-entropy, summed' and beta == 1")
print("active units:", *same_loss["active_units"].sort_values())
print("KL (nats):   ", *same_loss["kl"].sort_values().round(1))

# %% [markdown]
# The limit of .01 cuts through units that carry next to nothing, so its count wavers
# from seed to seed; the nats hardly do, and nor do the few units that hold them.
#
# Now you: count by the nats instead. How many units carry more than a tenth of a nat
# for each image?


# %% tags=["fill-in"]
def my_busy(mu, log_var):
    """The number of units whose mean KL exceeds 0.1 nats; both (N, 20)."""
    # the KL of each image and unit, (N, 20) …
    # … its mean over the images, (20,) …
    # … and how many of these exceed 0.1: return it


mine = my_busy(mu, log_var)
right = mine is not None and int(mine) == busiest
print("right" if right else f"not yet: {mine}; the figure's title says how many")

# %% [markdown]
# <details><summary><b>One way to write it</b></summary>
#
# ```python
# def my_busy(mu, log_var):
#     kl = kl_closed_form(mu, log_var)
#     of_unit = kl.mean(dim=0)
#     return int((of_unit > 0.1).sum())
# ```
# </details>
#
# A unit at rest costs nothing: with $\mu = 0$ and $\sigma = 1$ for every image its KL
# is zero, its number is pure noise, and the decoder has learned to ignore it. The model
# chose for itself how many numbers it needs at this price for a nat. A **traversal**
# makes it visible: hold a code, move a single unit from −3 to 3, decode.

# %%
pullovers = validation.labels == validation.class_names.index("Pullover")
start = mu[int(pullovers.nonzero()[0, 0])]  # the code of the first pullover
values = torch.linspace(-3, 3, 9)


@torch.no_grad()
def traverse(unit):
    codes = start.repeat(len(values), 1)
    codes[:, unit] = values
    return variational[1](codes)


rows = {f"unit no. {i + 1}": traverse(order[i]) for i in (0, 1, 2, 3, K - 1)}
change = [float((row[-1] - row[0]).square().mean()) for row in rows.values()]

# %% [markdown]
# The four most active units, and the least active one:

# %%
plots.image_rows(
    rows,
    columns=[f"{value:.1f}" for value in values],
    title="From end to end a busy unit changes the picture by up to "
    f"{max(change[:4]):.3f} (squared, per pixel), the quietest by {change[-1]:.4f}",
    caption="One pullover's code; in each row a single unit runs from -3 to 3. Busy "
    "units change shape, brightness or kind; the last row hardly changes.",
)

# %% [markdown]
# ## 8. One word changed
#
# Now change one word. In much public code the reconstruction term is PyTorch's
# `F.mse_loss(reconstructed, images)`, which takes the *mean* over pixels, while the KL
# term is a sum. It looks harmless: only a constant factor. Our `elbo` left its first
# term open, so we can try.
#
# **Predict.** How many of the twenty units will be active?

# %% tags=["prediction"]
my_active_with_mean = 10

# %% [markdown]
# The two sums, and the mistake. The summed squared error is a bound, too: for pixels
# from $N(\hat x, \sigma^2)$ minus the log-likelihood is $\sum(x-\hat x)^2/2\sigma^2$
# and a constant, so that leaving out the ½ says $\sigma^2 = ½$. Choosing the factor
# in front of the squares *is* choosing how exact a drawing has to be.

# %% tags=["beta-table"]
from course_utils import models, training
from course_utils.metrics import reconstruction_error


def summed_squared_error(drawn, images):
    return F.mse_loss(drawn, images, reduction="sum") / len(images)


DISTORTION = {  # of a batch, for each image
    "cross-entropy, summed": summed_cross_entropy,
    "squared error, summed": summed_squared_error,
    "squared error, averaged": F.mse_loss,  # the mistake
}

# %% [markdown]
# One function trains with such a loss and reports on the validation images; the table
# further down was made by it.


# %% tags=["beta-table"]
def train_with(distortion, beta, seed, train, validation, epochs=4, latent_dim=20):
    """One variational autoencoder and what it does on the validation images."""
    torch.manual_seed(seed)
    model = models.variational_autoencoder(latent_dim)
    loss = elbo(beta, DISTORTION[distortion])
    history = training.fit(model, train, loss, epochs=epochs, seed=seed)

    mu, log_var = moments_of(model, validation.images)
    kl = kl_closed_form(mu, log_var).sum(dim=1)
    row = {"distortion": distortion, "beta": beta, "seed": seed}
    row["active_units"] = int((mu.var(dim=0) > 0.01).sum())
    row["kl"] = float(kl.mean())
    row["error"] = reconstruction_error(model, validation.images)
    row |= {"epochs": epochs, "seconds": sum(history.seconds)}
    return row, model, history


# %% [markdown]
# Four epochs with the mean in place of the sum:

# %%
mistake = "squared error, averaged"
row, collapsed, history = train_with(mistake, 1.0, 0, train, validation)
left = row["active_units"]
print("loss from epoch to epoch:", *(f"{loss:.4f}" for loss in history.train_loss))
print(f"your guess: {my_active_with_mean}    active units: {left} of {K}")
mean_image_error = errors["mean image"]
print(f"validation error {row['error']:.4f}, of the mean image {mean_image_error:.4f}")

# %% [markdown]
# The loss falls. What does the model draw?

# %%
with torch.no_grad():
    rows = {
        "original": ten.images,
        "summed": variational(ten.images),
        "averaged": collapsed(ten.images),
    }
plots.image_rows(
    rows,
    columns=ten.class_names,
    title=f"With the mean in place of the sum {left} units are active: "
    "every garment becomes the same grey ghost",
    caption="Originals, the variational model trained with the summed cross-entropy, "
    "and the same network with the averaged squared error: ten times about the mean "
    "image.",
)

# %% [markdown]
# This is **[posterior collapse](../GLOSSARY.md)**. The loss fell, it was small, nothing
# crashed, and the model has stopped encoding: every cloud is N(0, I), whatever the
# image. The reason is bookkeeping. Averaging divides the first term by 784 and leaves
# the KL whole, which is the same as a $\beta$ of 784 that nobody asked for. At that
# price no piece of information about an image is worth its nats. (Three things
# differ between the rows of the figure: squares, the mean, and four epochs instead of
# eight. The table below has the squared error *summed* after four epochs, too: units
# are active, and garments are drawn. It was the mean.)
#
# > **Pitfall.** Whenever a published $\beta$ looks strange (.00025, say), look for a
# > mean over pixels in the other term. A $\beta$ has no meaning until the sums and
# > means beside it are stated.
#
# > **Stop here**: [task 3 of the
# > exercise](../exercises/08_variational/08_variational.ipynb),
# > *find the mistake in an ELBO*, 15 minutes.

# %% [markdown]
# ### The balance, measured
#
# $\beta$ is the price of a nat. The table that comes with the course holds three seeds
# for each setting; `table.py` in this lesson's folder made it with the cells above.

# %%
RECOMPUTE = False  # True trains everything again, on the data that you have
if RECOMPUTE:
    settings = table[["distortion", "beta", "seed"]].itertuples(index=False)
    rows = [train_with(*setting, train, validation)[0] for setting in settings]
    table = pd.DataFrame(rows)

minutes = table["seconds"].sum() / 60
print(f"{len(table)} models, {minutes:.0f} minutes of training where it was made")
groups = table.groupby(["distortion", "beta"], sort=False)
summary = groups[["active_units", "kl", "error"]].agg(["mean", "std"])
summary.round(4)

# %% [markdown]
# The rows with cross-entropy as three curves over $\beta$:

# %%
swept = summary.loc["cross-entropy, summed"].sort_index()
labels = {
    "active_units": f"active units (of {K})",
    "kl": "KL (nats for each image)",
    "error": "validation error per pixel",
}


# %% [markdown]
# Side by side:

# %%
fig, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
look = {"marker": "h", "capsize": 3, "color": plots.colour("variational")}
for ax, (column, label) in zip(axes, labels.items()):
    values = swept[column]
    ax.errorbar(swept.index, values["mean"], values["std"], **look)
    ax.set(xlabel="β (logarithmic)", ylabel=label, xscale="log")
    ax.set_xticks(list(swept.index), [f"{beta:g}" for beta in swept.index])
    ax.minorticks_off()
axes[0].set_ylim(0, K + 1)
grey = plots.colour("baseline")
axes[2].axhline(mean_image_error, linestyle="--", color=grey, label="mean image")
axes[2].legend()
plt.close(fig)

# %% [markdown]
# And what a nat's price does:

# %%
nats = swept["kl"]["mean"]
bought = f"{nats[0.1]:.0f} for each image at β = 0.1, {nats[1.0]:.0f} at 1"
plots.finish(
    fig,
    title=f"The dearer a nat, the fewer are bought: {bought}, "
    f"{nats.iloc[-1]:.1f} at {nats.index[-1]:g}",
    caption="Mean over three seeds, one standard deviation. KL falls all the way, the "
    "error rises towards the mean image's; the count of active units falls at first "
    "and then says nothing.",
)

# %% [markdown]
# There is no right $\beta$, only a purpose. A small one gives a good autoencoder whose
# space has holes; a large one gives a few tidy units (Higgins et al., 2017, hoped that
# each would mean one thing) and blurred images; too large a one gives nothing at all.
#
# > **Pitfall.** The limit of .01 is a convention. At the right end of the figure some
# > units still pass it, although all of them together carry next to nothing: they only
# > tremble. Report the KL beside the count.
#
# <details><summary><b>Check yourself.</b> Is an inactive unit always a
# defect?</summary>
#
# No. At β = 1 the bound itself says that the unit is not worth its price: the model is
# as wide as it needs to be. It is a defect when *all* units sleep, or when a better
# solution exists that training did not reach; warming β up from 0 during the first
# epochs then helps.
# </details>
#
# <details><summary><b>Check yourself.</b> Halving the batch size halves a squared error
# that is summed over the batch. Does the balance with KL change?</summary>
#
# Not if both terms are summed over the batch, or both averaged over it. It does when
# only one is: then the balance depends on the batch size, a second version of the same
# mistake.
# </details>

# %% [markdown]
# ## What you have seen
#
# 1. An encoder that puts out a cloud, µ and log σ², and a draw written as µ + σε so
#    that a gradient can pass.
# 2. A bound on the likelihood, and from it a loss of two sums and one mean; its KL term
#    in closed form agrees with sampling and with PyTorch's own.
# 3. Garments drawn from N(0, I), and some fog: each cloud is held near the prior, all
#    clouds together do not fill it. Blur fools a distance; only a count found the fog.
# 4. Units that sleep by choice, and a model that collapsed behind a falling loss curve
#    because of a mean in place of a sum.
#
# Where to go from here: the images are soft, because the model hedges pixel by pixel.
# Generative adversarial networks (Goodfellow et al., 2014) replace the pixel loss by a
# critic; VQ-VAE (van den Oord et al., 2017) replaces the Gaussian by a code book;
# diffusion models (Ho et al., 2020) are, in a sense, a denoising autoencoder (lesson 3)
# applied many times over, often *inside* the code space of an autoencoder like yours.
#
# **Exercise**: [8. Write the price, and find the
# mistake](../exercises/08_variational/08_variational.ipynb). Back to the beginning:
# [lesson 1](01_dense_autoencoder.ipynb).
