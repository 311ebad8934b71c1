# %% [markdown] question="Has it learned the clothes, or the copy?" source="chapter, 4"
# # 3. Denoising: has it learned the clothes, or the copy?
#
# So far a narrow code kept the network from copying. Now we take the narrow place away:
# the code will be *larger* than the picture, and copying would be easy. What we take
# away on one side we demand on the other. Half of the pixels are wiped out before the
# network sees the picture, and it has to give back the whole. A copy is of no use any
# more; something about clothes has to be known.
#
# After this lesson you will be able to
#
# 1. train the chapter's denoising autoencoder, and judge it beside filters and the best
#    affine denoiser;
# 2. recognise, and avoid, the mistake by which a denoiser is scored on pictures without
#    noise;
# 3. show with a control what the corruption in training is good for, in errors, in
#    pictures and in the weights;
# 4. say how far the skill reaches: other strengths of corruption, other kinds.
#
# **Time**: about 50 minutes to read and answer; the code runs for one to two minutes on
# two cores, without a GPU.
#
# **You need**: [lesson 1](01_dense_autoencoder.ipynb). One section refers to the probes
# of [lesson 2](02_encoder.ipynb).
#
# Words with a link are explained in the [glossary](../GLOSSARY.md), which also names
# them in Hebrew and Croatian.

# %% [markdown]
# ## 1. What `nn.Dropout` does to a picture
#
# To spoil pictures the chapter uses a layer that was made for something else: dropout,
# which sets each number to zero with a given probability, one half unless told
# otherwise.

# %%
import torch
from torch import nn

from course_utils import plots
from course_utils.data import load_images, one_of_each

splits = ("train", "validation", "test")
train, validation, test = (load_images("FashionMNIST", split) for split in splits)
ten = one_of_each(test)

original_imgs = ten.images
corruptor = nn.Dropout()
torch.manual_seed(0)
corrupted_imgs = corruptor(original_imgs)

lit_before = (original_imgs > 0).float().mean()
lit_after = (corrupted_imgs > 0).float().mean()
print(f"pixels above zero: {lit_before:.0%} before, {lit_after:.0%} after")

# %% [markdown]
# Half of what was there is gone. And the half that stayed, **did it stay as it was?** A
# pixel of brightness 0.4 survives the [corruption](../GLOSSARY.md). What is its value
# afterwards?

# %% tags=["prediction"]
my_value = 0.4  # change this to your own guess, then run on

# %% [markdown]
# We send an evenly grey picture through the corruptor.

# %%
grey = torch.full((1, 1, 28, 28), 0.4)
values = sorted(round(value, 2) for value in corruptor(grey).unique().tolist())
print(f"your guess: {my_value}    values after the corruptor: {values}")

brightest, now = original_imgs.max(), corrupted_imgs.max()
print(f"brightest pixel of our ten pictures: {brightest:.1f} before, {now:.1f} after")

# %% [markdown]
# And this is how the ten look:

# %%
plots.image_rows(
    {"original_imgs": original_imgs, "corrupted_imgs": corrupted_imgs},
    columns=ten.class_names,
    title="Half of the pixels are gone, and we still see what it is",
    caption="Ten pictures above, the same ten with half of their pixels set to black "
    "below. The survivors are twice as bright; what exceeds white is shown as white.",
)

# %% [markdown]
# Survivors are *doubled*. Dropout was invented for hidden layers, where the next layer
# should receive the same sum on average, so it divides what it keeps by the share that
# it keeps (Srivastava et al., 2014). For a corruption that is odd but harmless, as long
# as training and use agree. Remember it; it will come back more than once before the
# lesson ends.
#
# Now you: write this layer, with the doubling. `torch.rand_like(images)` gives a number
# between 0 and 1 for every pixel.


# %% tags=["fill-in"]
def my_dropout(images, p):
    """Each pixel is zero with probability p; what stays is divided by 1 - p."""
    # which pixels stay: True or False for each
    # … all others to zero
    # … and the division: return it


mine = my_dropout(grey, 0.5)
found = [] if mine is None else [round(value, 2) for value in mine.unique().tolist()]
print("right" if found == values else f"not yet: {found}; wanted {values}")

# %% [markdown]
# <details><summary><b>One way to write it</b></summary>
#
# ```python
# def my_dropout(images, p):
#     stays = torch.rand_like(images) >= p
#     return images * stays / (1 - p)
# ```
# </details>
#
# > **Stop here**: [task 1 of the
# > exercise](../exercises/03_denoising/03_denoising.ipynb),
# > *a corruption that you can repeat*, 6 minutes.

# %% [markdown]
# ## 2. A code wider than the picture
#
# The chapter asks for *redundancy*: more code numbers than pixels, so that what a lost
# pixel would have said can be said by others. The model is the one that we know, the
# number is new.

# %%
from course_utils.models import Decoder, Encoder

latent_dim = int(784 * 1.2)
torch.manual_seed(0)
DAE = nn.Sequential(Encoder(latent_dim), Decoder(latent_dim))

parameters = sum(p.numel() for p in DAE.parameters())
print(f"{latent_dim} code numbers for {original_imgs[0].numel()} pixels")
print(f"{parameters:,} parameters")

# %% [markdown]
# The training loop changes in two lines: the pictures are corrupted, and the network
# receives what that has left of them. The loss compares its output with the
# *originals*, as before.
#
# ![The denoising autoencoder: an original goes through the corruptor, which darkens
# half of its pixels; encoder, a code of 940 numbers, wider than the 784 pixels, and
# decoder turn the corrupted picture into a restored one. The arrow of the loss leads
# from the restored picture to the original, not to what the network saw.](dae.svg)
#
# Here is one pass over the data, written out.

# %%
MSELoss = nn.MSELoss()
# fused: the same steps, faster
optimizer = torch.optim.Adam(DAE.parameters(), lr=1e-3, fused=True)

for batch in torch.randperm(len(train)).split(128):
    original_imgs = train.images[batch]
    corrupted_imgs = corruptor(original_imgs)  # spoiled anew, in another way, each time
    reconstructed = DAE(corrupted_imgs)
    loss = MSELoss(reconstructed, original_imgs)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

print(f"loss of the last batch: {loss.item():.4f}")

# %% [markdown]
# The network never meets the same corrupted picture twice, so it learns less by heart.
# For the other epochs we use the package's loop;
# `denoising(corruptor)` is the loss of the cell above as a function. In the package a
# corruptor is a thing of its own, `Dropout(0.5)`, which spoils whenever it is called;
# section 4 shows why we bothered.

# %%
from course_utils.corruption import Dropout
from course_utils.losses import denoising
from course_utils.training import fit

epochs = 5 if train.source == "full" else 40  # the small sample needs more passes
corruptor = Dropout(0.5)
loss = denoising(corruptor)
saved = f"checkpoints/03_DAE_{train.source}.ckpt"
history = fit(DAE, train, loss, epochs=epochs, validation=validation, checkpoint=saved)

# %% [markdown]
# (A restart costs no training: the checkpoint keeps the state after each epoch on the
# disk, and the same cell goes on from there.)

# %%
plots.loss_curves(
    {"DAE": history},
    ylabel="error per pixel, corruption on",
    title="The error on spoiled pictures falls epoch by epoch, "
    f"to {history.validation_loss[-1]:.4f} on validation pictures",
    caption="Error between restored and original pictures after each epoch; training "
    "solid, validation dashed. Both fall; in the end training lies a little lower.",
)

# %% [markdown]
# Now the chapter's figure: original, corrupted, restored, for pictures from the test
# set.

# %%
original_imgs = ten.images
torch.manual_seed(0)
corrupted_imgs = corruptor(original_imgs)
with torch.no_grad():
    reconstructed = DAE(corrupted_imgs)

rows = {
    "original": original_imgs,
    "corrupted": corrupted_imgs,
    "restored": reconstructed,
}
plots.image_rows(
    rows,
    columns=ten.class_names,
    title="From half of the pixels the network draws the whole garment",
    caption="Ten originals, the same with half of their pixels removed, and what the "
    "denoising autoencoder made of the second row. Outlines and shades return; fine "
    "patterns come out blurred.",
)

# %% [markdown]
# It never saw the upper row. Yet sleeves end where they should and the shades between
# the holes are filled in. A fine sight. By now you will ask what stands beside it.

# %% [markdown]
# ## 3. Beside what?
#
# A denoiser has three kinds of rivals:
#
# * **doing little**: the corrupted picture as it is; or halved, which undoes the
#   doubling; or not looking at it at all, and answering every time with the mean of all
#   training pictures;
# * **filters** that know nothing of clothes: the *median filter* replaces each pixel by
#   the median of its neighbourhood, the *Gaussian filter* by a weighted mean;
# * **the best affine denoiser**: each pixel of the output is a weighted sum of all
#   input pixels, plus a constant. This is for denoising what PCA is for compression.
#
# The last one deserves a look, because it needs no training. Let the rows of $X$ be
# corrupted pictures and those of $Y$ the clean ones, each less its mean. We want the
# weights $W$ for which $\|XW - Y\|^2$ is smallest. There its gradient is zero,
# $X^\top(XW - Y) = 0$, and so
#
# $$X^\top X\, W = X^\top Y.$$
#
# These are the **normal equations**; one call solves them.


# %%
def best_affine(corrupted, clean):
    """The denoiser `weighted sums + constant` with the least error on these pairs."""
    x, y = corrupted.flatten(1), clean.flatten(1)  # (N, 784)
    x_mean, y_mean = x.mean(0), y.mean(0)
    x, y = x - x_mean, y - y_mean
    ridge = 1e-4 * len(x) * torch.eye(784)  # some pixels are always black
    W = torch.linalg.solve(x.T @ x + ridge, x.T @ y)  # the normal equations

    def denoise(images):
        restored = (images.flatten(1) - x_mean) @ W + y_mean
        return restored.clamp(0, 1).reshape(images.shape)

    return denoise


torch.manual_seed(0)
affine = best_affine(corruptor(train.images), train.images)

# %% [markdown]
# (The package has the same, with checks, as `AffineDenoiser`.) And why should a network
# do better? By [lesson 1](01_dense_autoencoder.ipynb) the best answer of *all* is
# $\mathbb{E}\,[\,x \mid \text{corrupted } x\,]$, the mean of all pictures that may hide
# behind the holes. The affine denoiser is the best among those that may only add and
# multiply by constants; a network may bend. Now the filters:

# %%
from scipy.ndimage import gaussian_filter, median_filter

from course_utils.metrics import apply_in_batches, mse, psnr


def median(images, size):
    filtered = median_filter(images.numpy(), size=(1, 1, size, size))
    return torch.from_numpy(filtered).clamp(0, 1)


def gaussian(images, width):
    filtered = gaussian_filter(images.numpy(), sigma=(0, 0, width, width))
    return torch.from_numpy(filtered).clamp(0, 1)


# %% [markdown]
# The filters have a setting each. To be fair we choose it for them, on a thousand
# training pictures.

# %%
some = train.images[:1000]
torch.manual_seed(1)
spoiled = corruptor(some)
by_size = {n: mse(median(spoiled, n), some) for n in (3, 5, 7)}
by_width = {w: mse(gaussian(spoiled, w), some) for w in (0.7, 1.0, 1.4, 2.0)}

size = min(by_size, key=by_size.get)
width = min(by_width, key=by_width.get)
print(f"median over {size} x {size} pixels, Gaussian of width {width}")

# %% [markdown]
# **Which of them comes closest to the DAE?**

# %% tags=["prediction"]
# or "Gaussian filter", "affine denoiser", "halved input", "mean image"
my_rival = "median filter"

# %% [markdown]
# All of them under one roof: each is a function from corrupted pictures to restored
# ones.

# %%
denoisers = {
    "corrupted input": lambda x: x,
    "halved input": lambda x: x / 2,
    "mean image": lambda x: train.images.mean(0).expand_as(x),
    "median filter": lambda x: median(x, size),
    "Gaussian filter": lambda x: gaussian(x, width),
    "affine denoiser": affine,
    "DAE": lambda x: apply_in_batches(DAE, x),
}

# %% [markdown]
# Each restores the same spoiled validation pictures, in three draws of the corruption.

# %%
import pandas as pd

errors = pd.DataFrame(columns=list(denoisers), index=range(3), dtype=float)
for draw in errors.index:
    torch.manual_seed(100 + draw)
    spoiled = corruptor(validation.images)
    for name, denoiser in denoisers.items():
        errors.loc[draw, name] = mse(denoiser(spoiled), validation.images)

mean, deviation = errors.mean(), errors.std()
closest = mean.drop("DAE").idxmin()
print(f"your guess: {my_rival}    closest to the DAE: {closest}")
table = {"error": mean, "deviation": deviation, "PSNR (dB)": mean.map(psnr)}
pd.DataFrame(table).round({"error": 4, "deviation": 5, "PSNR (dB)": 1})

# %% [markdown]
# PSNR, the [peak signal-to-noise ratio](../GLOSSARY.md), is the same error on the scale
# that image processing uses: 10 dB more is a tenth of the error. The deviation belongs
# to the draw of the holes and is tiny, because every draw averages over hundreds of
# thousands of pixels or more. (The corrupted input's is zero: dropped or doubled, a
# pixel is wrong by its own value; and the mean image does not look.) Another start of
# the training moves the DAE's error in the fourth decimal, no more; the course's tests
# measure it.

# %%
lead = 1 - mean["DAE"] / mean[closest]
verdict = f"The DAE's error is {lead:.0%} below the best rival's, the {closest}"
if lead < 0:
    verdict = f"The {closest} still leads: the DAE needs more training"

plots.bars(
    mean.drop("corrupted input").to_dict(),
    ylabel="error per pixel, corruption on",
    fmt="{:.4f}",
    title=verdict,
    caption="Error on corrupted validation pictures, mean of three draws. Left out: "
    f"the corrupted input itself, at {mean['corrupted input']:.3f}.",
)

# %% [markdown]
# About nine tenths of the way from the mean image to the DAE are made by a *formula*,
# without any network. The network's own merit is the step from the affine denoiser
# downwards, and only that step may be called nonlinear learning. The median filter, a
# textbook tool against specks, fails here: where half of the pixels are black, the
# median of a neighbourhood often is black, too. Like the halved input, it even loses to
# the mean image, which never saw the picture.
#
# <details><summary><b>Check yourself.</b> Why does the Gaussian filter do so much
# better than the median filter?</summary>
#
# Dropout keeps every pixel's <i>mean</i>: zero or double, half of the time each. A
# weighted mean of neighbours is therefore right on average. The median has no such
# luck: it is asked for the middle of a list of which half are zeros.
# </details>

# %% [markdown]
# ## 4. One model, tested twice
#
# In public notebooks the corruptor is often built *into* the model. It looks tidy, and
# it trains well:

# %%
all_in_one = nn.Sequential(nn.Dropout(), DAE[0], DAE[1])

all_in_one.train()
torch.manual_seed(0)
with torch.no_grad():
    in_train_mode = mse(all_in_one(validation.images), validation.images)

all_in_one.eval()  # as every tutorial says one must, before testing
with torch.no_grad():
    in_eval_mode = mse(all_in_one(validation.images), validation.images)

# %% [markdown]
# Same model, same pictures, same function. **Will the error in `eval()` be larger,
# smaller or equal?**

# %% tags=["prediction"]
my_eval_error = "equal"  # or "larger", "smaller"

# %% [markdown]
# Both numbers, and a look at what the dropout layer does in `eval()`:

# %%
relation = "smaller" if in_eval_mode < in_train_mode else "larger"
print(f"your guess: {my_eval_error}    the error in eval(): {relation}")
print(f"train(): {in_train_mode:.4f}    eval(): {in_eval_mode:.4f}")

some_images = validation.images[:100]
untouched = torch.equal(all_in_one[0](some_images), some_images)
print(f"in eval() the dropout layer returns its input unchanged: {untouched}")

# %% [markdown]
# In `eval()` dropout is the identity. The second number was measured on *clean*
# pictures: the patient was well before the treatment. Nothing warned us; the code
# follows every rule, and the report says "our denoiser reaches" the better of two
# numbers that have nothing to do with each other.
#
# > **Pitfall.** Ask of every denoising result: **was the corruption on while it was
# > measured?** Keep the corruptor outside the model, and make it one that has no off
# > switch, like those in `course_utils.corruption`. Then `eval()` does what it should
# > and the test is a test.
#
# > **Stop here**: [task 2 of the
# > exercise](../exercises/03_denoising/03_denoising.ipynb),
# > *a score that the eval trap cannot fool*, 12 minutes.
#
# How far apart can the two numbers be? For that we need a second model.

# %% [markdown]
# ## 5. The control: the same network, never spoiled
#
# Everything equal (architecture, starting weights, epochs) but for one thing: the
# control is trained without corruption, from clean pictures to the same clean pictures.
# **What will its error be on corrupted pictures?** The DAE's you know, and the mean
# image's, which ignores its input, stands in the table of section 3.

# %% tags=["prediction"]
my_control_error = 0.015  # change this to your own guess, then run on

# %% [markdown]
# The control has the DAE's starting weights, and one epoch more by the loop, since the
# DAE had one by hand.

# %%
torch.manual_seed(0)
control = nn.Sequential(Encoder(latent_dim), Decoder(latent_dim))
saved = f"checkpoints/03_control_{train.source}.ckpt"
fit(control, train, epochs=epochs + 1, checkpoint=saved)

torch.manual_seed(100)
spoiled = corruptor(validation.images)

rows = {}
for name, model in {"DAE": DAE, "control": control}.items():
    from_clean = apply_in_batches(model, validation.images)
    from_spoiled = apply_in_batches(model, spoiled)
    rows[name] = {
        "clean input": mse(from_clean, validation.images),
        "corrupted input": mse(from_spoiled, validation.images),
    }

control_error = rows["control"]["corrupted input"]
print(f"your guess: {my_control_error}    the control's error: {control_error:.4f}")
pd.DataFrame(rows).T.round(4)

# %% [markdown]
# Read the columns one at a time. By the left one, the trap's, the control is the better
# model *by far*. By the right one, the question we care about, it is several times
# worse. A wrong test does not blur the ranking; it turns it around.

# %% tags=["readme"]
torch.manual_seed(0)
corrupted_imgs = corruptor(ten.images)
with torch.no_grad():
    pictures = {
        "original": ten.images,
        "control, from clean": control(ten.images),
        "corrupted": corrupted_imgs,
        "control, from corrupted": control(corrupted_imgs),
        "DAE, from corrupted": DAE(corrupted_imgs),
    }

ratio = control_error / rows["DAE"]["corrupted input"]
plots.image_rows(
    pictures,
    columns=ten.class_names,
    title="The control copies well, and copies the holes: "
    f"its error on corrupted pictures is {ratio:.1f} times the DAE's",
    caption="Five rows of ten pictures: originals; the control's close copies; "
    "corrupted pictures; the control's output for those, full of specks; the DAE's "
    "output, smooth and whole.",
)

# %% [markdown]
# The control has learned to copy, so it copies the holes. Entirely? The error of all
# pixels together hides that. We part them into three: pixels of the garment that were
# wiped out, those that survived, and the black ground, where there was nothing to lose.

# %%
clean = validation.images
regions = {
    "wiped out": (clean > 0) & (spoiled == 0),
    "survived": spoiled > 0,
    "black ground": clean == 0,
}
# %% [markdown]
# Who answers what there? "Left black" fills nothing in.

# %%
answers = {
    "left black": torch.zeros_like(clean),
    "mean image": denoisers["mean image"](clean),
    "control": apply_in_batches(control, spoiled),
    "affine denoiser": affine(spoiled),
    "DAE": apply_in_batches(DAE, spoiled),
}
by_region = {
    name: [mse(answer[place], clean[place]) for place in regions.values()]
    for name, answer in answers.items()
}
table = pd.DataFrame.from_dict(by_region, orient="index", columns=list(regions))
holes = table["wiped out"]
print(f"the control takes {1 - holes['control'] / holes['left black']:.0%} off the")
print(f"error in the holes, the DAE {1 - holes['DAE'] / holes['left black']:.0%}")
table.round(3)

# %% [markdown]
# So the control does fill the holes in part: most of the error there is gone, though no
# one ever asked for it. That sounds like knowledge of clothes. But look at the row
# above: the mean image, which never saw the picture, takes off about as much. The
# control's code numbers are each read from many pixels, so that a lost one leaves a
# gap that is merely shallower. Of the last three it is ahead on the black ground alone,
# where nothing is to be restored; of the survivors, which the dropout has doubled, it
# makes the largest errors. In the holes those that were fitted to corrupted pictures
# are far ahead, the formula and, best of all, the DAE. That is what the corruption in
# training is worth.
#
# > **Stop here**: [task 3 of the
# > exercise](../exercises/03_denoising/03_denoising.ipynb),
# > *a denoiser that beats the affine one*, 10 minutes.

# %% [markdown]
# ## 6. What the first layer looks for
#
# Each unit of the encoder holds one weight for every pixel, so its weights are a
# picture: bright where light switches the unit on, dark where light switches it off,
# grey where it does not care. Let us lay out ten units of each network, and ten of a
# network that was never trained.


# %%
def filters(model):
    """The encoder's weights as pictures (latent_dim, 1, 28, 28)."""
    return model[0].linear.weight.detach().reshape(-1, 1, 28, 28)


def concentration(weights):
    """The share of a filter's squared weights in its best window of 9 x 9 pixels.

    The median over all filters; 0.1 is what even weights would have.
    """
    energy = weights**2
    windows = 81 * nn.functional.avg_pool2d(energy, 9, stride=1)
    shares = windows.amax(dim=(1, 2, 3)) / energy.sum(dim=(1, 2, 3))
    return shares.median().item()


torch.manual_seed(0)
untrained = nn.Sequential(Encoder(latent_dim), Decoder(latent_dim))
networks = {"untrained": untrained, "control": control, "DAE": DAE}
shares = {name: concentration(filters(model)) for name, model in networks.items()}

# %% [markdown]
# We draw the first ten filters of each, but leave out units that hardly ever fire.

# %%
rows = {}
for name, model in networks.items():
    fires = apply_in_batches(model[0], validation.images) > 0
    busy = fires.float().mean(dim=0) > 0.02
    chosen = filters(model)[busy][:10]
    largest = chosen.abs().amax(dim=(1, 2, 3), keepdim=True)
    rows[f"{name} ({shares[name]:.0%})"] = 0.5 + 0.5 * chosen / largest

plots.image_rows(
    rows,
    title="Corruption makes the units look at places: "
    f"{shares['DAE']:.0%} of a filter in one window, against {shares['control']:.0%}",
    caption="Weights of ten units of each encoder; grey is zero. In brackets the "
    "median share of a filter's squared weights in its best 9 x 9 window, a tenth of "
    "the area. Untrained: grains. Control: mostly grains. DAE: mostly spots, edges "
    "and strokes.",
)

# %% [markdown]
# Most of the control's weights still resemble the random ones they started from: from a
# wide random code a picture can be copied, and there was little reason to go further.
# The DAE's units look at *neighbourhoods*. A missing pixel can only be guessed from
# those around it, so spots, edges and strokes pay. No one asked for them; the
# corruption did. (Vincent et al., who introduced this training in 2008, show the same
# on digits.)
#
# Does that make a better *code*? Lesson 2's probe, with 1,000 labels and five draws,
# gives an answer.

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def probe(encode, draw):
    """Accuracy of a linear probe that saw 1,000 labels, on the validation images."""
    generator = torch.Generator().manual_seed(draw)
    few = torch.randperm(len(train), generator=generator)[:1000]
    codes = apply_in_batches(encode, train.images[few])
    held_out = apply_in_batches(encode, validation.images)
    regression = LogisticRegression(C=0.01, max_iter=500)
    classifier = make_pipeline(StandardScaler(), regression)
    classifier.fit(codes.numpy(), train.labels[few].numpy())
    return classifier.score(held_out.numpy(), validation.labels.numpy())


# %% [markdown]
# The last row is the difference between the two codes, draw by draw.

# %%
encoders = {"pixels": nn.Flatten(), "untrained code": untrained[0]}
encoders |= {"control's code": control[0], "DAE's code": DAE[0]}
accuracy = pd.DataFrame()
for name, encode in encoders.items():
    accuracy[name] = [probe(encode, draw) for draw in range(5)]

together = accuracy["DAE's code"].corr(accuracy["control's code"])
gain = accuracy["DAE's code"] - accuracy["control's code"]
accuracy["DAE's minus control's code"] = gain
print(f"correlation of the two over the draws: {together:.2f}")
print(f"draws in which the DAE's code is ahead: {(gain > 0).sum()} of {len(gain)}")
accuracy.agg(["mean", "std"]).T.round(3)

# %% [markdown]
# A small step, but the DAE's code is ahead on every draw, and the step is several times
# as large as its own deviation. How much does it help to compare on the same draws?
# Were the two columns independent, the deviation of their difference would be about 1.4
# times that of one of them; it is about that of one, or less. A good draw is good for
# both, but only in part, as the correlation says.
#
# And mind the second row, the control of the controls: an untrained layer of this width
# is a little ahead of the pixels already, and a network that learned to copy hardly
# ahead of that. So nearly all that was learned here is the DAE's step above the two.
# (Recall that the chapter's ten numbers reached about 0.7. A code of 940 numbers
# compresses nothing, and is good for something all the same.)

# %% [markdown]
# ## 7. How far does the skill reach?
#
# The DAE was trained with half of the pixels gone. What does it do where a tenth is
# gone, or nine tenths? We ask the control and the affine denoiser the same; they, too,
# stay as they are.

# %%
candidates = {
    "corrupted input": lambda x: x,
    "control": lambda x: apply_in_batches(control, x),
    "affine denoiser": affine,
    "DAE": lambda x: apply_in_batches(DAE, x),
}
levels = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]

by_level = pd.DataFrame(index=levels, columns=list(candidates), dtype=float)
for p in levels:
    torch.manual_seed(200)
    spoiled = Dropout(p)(validation.images)
    for name, denoiser in candidates.items():
        by_level.loc[p, name] = mse(denoiser(spoiled), validation.images)

# %% [markdown]
# Four lines, one for each candidate:

# %%
won = int((by_level.idxmin(axis=1) == "DAE").sum())
plots.lines(
    levels,
    by_level.to_dict("list"),
    xlabel="share of pixels dropped",
    ylabel="error per pixel",
    log_y=True,
    title=f"Trained at one level, the DAE is the best of the four at {won} of "
    f"{len(levels)}",
    caption="Error on validation pictures, logarithmic scale. DAE and affine denoiser "
    "were fitted at 0.5 only. The DAE's line is flat up to 0.5 and then rises steeply.",
)

# %% [markdown]
# Towards less corruption the skill carries over nearly for free. But mind the left end:
# the line does not go down to zero. Given a nearly perfect picture, the DAE still
# redraws it, blurred, as it has learned to; at a tenth the control, which copies, does
# better. Towards more corruption the error climbs
# ever faster, and at the right end the plain formula overtakes it: what is left of
# nine-tenths-empty pictures, each pixel now *ten* times as bright, resembles nothing
# that the network was trained on.
#
# Now other *kinds* of damage. **Gaussian noise of standard deviation 0.3: who restores
# best?**

# %% tags=["prediction"]
my_best = "DAE"  # or "control", "median filter", "affine denoiser"

# %% [markdown]
# The same candidates and a small median filter, on five kinds of damage:

# %%
from course_utils.corruption import Gaussian, Masking, RandomErasing, SaltAndPepper

kinds = {
    "dropout 0.5": Dropout(0.5),
    "masking 0.5": Masking(0.5),
    "Gaussian 0.3": Gaussian(0.3),
    "salt and pepper 0.25": SaltAndPepper(0.25),
    "random erasing 12": RandomErasing(12),
}
rivals = candidates | {"median filter": lambda x: median(x, 3)}

by_kind = pd.DataFrame(index=list(kinds), columns=list(rivals), dtype=float)
for kind, damage in kinds.items():
    torch.manual_seed(300)
    spoiled = damage(validation.images)
    for name, denoiser in rivals.items():
        by_kind.loc[kind, name] = mse(denoiser(spoiled), validation.images)

best = by_kind.drop(columns="corrupted input").idxmin(axis=1)
print(f"your guess: {my_best}    best against Gaussian noise: {best['Gaussian 0.3']}")
by_kind.round(4).assign(best=best)

# %% [markdown]
# The last column names the restorer with the smallest error. (On random erasing the
# affine denoiser and the DAE are close; another start may change their order.) Outside
# its trade the DAE wins little. Against Gaussian noise and against specks it is beaten
# by a median filter of nine pixels, and even by the control, which was never taught to
# repair anything. Why? In the DAE's world *every pixel that is not black is true*, and
# doubled. So a speck on the black ground counts as a piece of cloth, and the ground
# lights up; and the garment's own pixels, at their plain brightness, count as dark
# ones, and the garment turns grey.
#
# > **Pitfall.** "Robust to noise" says nothing until the kind and the strength of the
# > noise are named. By the first row of this table the DAE is the best of the four
# > restorers, by the third it is the worst.
#
# See for yourself:

# %%
one = ten.images[[2]]
restorers = ("DAE", "control", "median filter")
rows = {}
for kind, damage in kinds.items():
    torch.manual_seed(4)
    spoiled = damage(one)
    restored = [rivals[name](spoiled) for name in restorers]
    rows[kind] = torch.cat([one, spoiled, *restored])

won = int((best == "DAE").sum())
plots.image_rows(
    rows,
    columns=["original", "damaged", "DAE", "control", "median"],
    title="One kind of repair was learned: the DAE is the best of four on "
    f"{won} of {len(kinds)} kinds of damage",
    caption="A pullover, one row for each kind of damage: the original, the damaged "
    "picture, and what three restorers make of it. The DAE restores dropout well; "
    "noise and specks it turns into an even grey.",
)

# %% [markdown]
# The second row deserves a closer look. Masking removes exactly as many pixels as
# dropout; it merely does not double the rest. **Can you mend the DAE's result there
# with one multiplication?**

# %%
torch.manual_seed(300)
masked = Masking(0.5)(validation.images)
as_it_is = mse(apply_in_batches(DAE, masked), validation.images)
doubled = mse(apply_in_batches(DAE, 2 * masked), validation.images)
print(f"the DAE on masked input: {as_it_is:.4f}; doubled: {doubled:.4f}")

# %% [markdown]
# There is the doubling again. With the survivors twice as bright, masking *is* dropout,
# and the error is back at its old value. A denoiser is trained for a corruption to the
# letter.
#
# Then let us train one on several: the same network, the same epochs, and for each
# batch one of the five kinds, drawn at random. **On how many of the five will the
# specialist for dropout still be ahead of it?**

# %% tags=["prediction"]
my_specialist = 3  # change this to your own guess, then run on

# %% [markdown]
# A corruptor is a function from pictures to pictures, so that a mixture is quickly
# written:


# %%
def any_kind(images):
    """Spoil a batch in one of the five ways."""
    kind = int(torch.randint(len(kinds), ()))
    return list(kinds.values())[kind](images)


torch.manual_seed(0)
generalist = nn.Sequential(Encoder(latent_dim), Decoder(latent_dim))
saved = f"checkpoints/03_generalist_{train.source}.ckpt"
options = {"epochs": epochs + 1, "checkpoint": saved}
fit(generalist, train, denoising(any_kind), **options)

for kind, damage in kinds.items():
    torch.manual_seed(300)
    restored = apply_in_batches(generalist, damage(validation.images))
    by_kind.loc[kind, "generalist"] = mse(restored, validation.images)

ahead = int((by_kind["DAE"] < by_kind["generalist"]).sum())
print(
    f"your guess: {my_specialist}    the specialist is ahead on {ahead} of {len(kinds)}"
)
best = by_kind.drop(columns="corrupted input").idxmin(axis=1)
by_kind.round(4).assign(best=best)

# %% [markdown]
# The generalist wins on the other four, and by far; but it pays for that. On dropout,
# which it saw in one batch of five, it loses clearly to the specialist, and does no
# better than the affine formula, give or take a start. Robustness does not come with
# denoising. It is bought, kind by kind, with training on that kind.
#
# <details><summary><b>Check yourself.</b> You are handed photographs with an unknown
# kind of damage. Which experiment of this lesson would you do first, before training
# anything?</summary>
#
# Spoil clean pictures in the ways you suspect and put the simple rivals beside each
# other, as in the table: the corrupted input, a median filter, an affine denoiser. They
# tell which kind of damage calls for a network at all, and what it has to beat.
# </details>

# %% [markdown]
# ## 8. Try it
#
# Choose a picture, a kind of damage and its strength. The sliders move (also with the
# arrow keys) in JupyterLab, in Colab and on the course's site; on GitHub you see where
# they start.

# %%
from course_utils import widgets

damages = {
    "dropout": Dropout,
    "masking": Masking,
    "Gaussian noise": Gaussian,
    "salt and pepper": SaltAndPepper,
    "random erasing": lambda level: RandomErasing(round(28 * level)),
}
widgets.corrupt_and_restore({"DAE": DAE, "control": control}, ten.images, damages)

# %% [markdown]
# ## 9. The last number
#
# All choices are made. The test pictures, spoiled once:

# %%
torch.manual_seed(500)
spoiled = corruptor(test.images)
rows = {}
for name, denoiser in candidates.items():
    error = mse(denoiser(spoiled), test.images)
    rows[name] = {"error": error, "PSNR (dB)": psnr(error)}
pd.DataFrame(rows).T.round({"error": 4, "PSNR (dB)": 1})

# %% [markdown]
# ## What you have seen
#
# 1. With a wide code and corrupted input the chapter's model becomes a denoiser, one
#    that beats the best affine denoiser. Most of the way, though, a formula goes as
#    well.
# 2. `nn.Dropout` doubles the survivors in `train()` and does nothing in `eval()`. A
#    denoiser scored on clean pictures has not been tested, and by that test the
#    control wins, whose error on corrupted pictures is several times as large.
# 3. The control shows what corruption is good for: it forces units to look at
#    neighbourhoods instead of grains, and improves the code a little for other uses.
# 4. What was learned is one kind of repair. It reaches to weaker damage of its kind and
#    less to stronger; other kinds it lessens, too, but on most of them something
#    simpler does better. A network trained on five kinds mends all five, dropout less
#    well than the specialist.
#
# **Your turn**: the [exercise](../exercises/03_denoising/03_denoising.ipynb) to this
# lesson. How wide does the code have to be? That is the question of the chapter's own
# exercises, on [Fashion-MNIST][fashion] and on [MNIST][mnist].
#
# [fashion]: ../exercises/latent_sweep_fashion_mnist/latent_sweep_fashion_mnist.ipynb
# [mnist]: ../exercises/latent_sweep_mnist/latent_sweep_mnist.ipynb
#
# **Next**: the DAE has an encoder and a decoder. [Lesson 4](04_sampling.ipynb) feeds
# the decoder with codes that belong to no picture. What will it draw?
