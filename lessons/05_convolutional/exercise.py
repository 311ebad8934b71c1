# %% [markdown]
# # Exercise 5. Shapes by hand, and a way back
#
# A convolutional network is first of all bookkeeping: every layer turns one size into
# another, and a decoder has to arrive at exactly the size that the encoder began with.
# Here you do the bookkeeping yourself, for any size, and then build the decoder for an
# encoder that somebody else made.
#
# | | task | difficulty | minutes | points |
# |---|---|---|---|---|
# | worked | one side of a convolution | · | 4 | – |
# | 1 | shape and parameters of a convolution | • | 8 | 3 |
# | 2 | and of its transpose | •• | 8 | 2 |
# | 3 | a decoder for a given encoder | ••• | 15 | 4 |
# | 4 | what is lost on the way? (text) | •• | 7 | 3 |
#
# Training takes about a minute in all. Under every task in code stands a check: run it
# as often as you like. It says what was expected, what came, and the likely cause. Your
# marks come from the same questions, asked with other inputs.

# %% [markdown]
# ## What you need
#
# Run this cell as it is. `epochs` gives about 400 steps, however many images there are.

# %%
import torch
from torch import nn

from course_utils import data, metrics, plots, training
from course_utils.checks import Checks

check = Checks("05_convolutional")
train = data.load_images("FashionMNIST", "train")
validation = data.load_images("FashionMNIST", "validation")
some = train.images[:7000]
epochs = max(1, round(400 * 128 / len(some)))
print(f"{len(some):,} images for training, {len(validation):,} for validation")
print(f"{epochs} epochs")

# %% [markdown]
# ## Worked: one side of a convolution
#
# A kernel of `kernel` pixels is laid on a side of `size` pixels, which `padding` made
# longer at both ends, and moved on by `stride` pixels as often as it fits. Places that
# do not fit are lost: the division is rounded **down**. Pooling follows the same rule.


# %%
def side_after(size, kernel, stride=1, padding=0):
    return (size + 2 * padding - kernel) // stride + 1


print("28 pixels, kernel 3, padding 1:", side_after(28, 3, padding=1))
print("7 pixels, pooled by 2:         ", side_after(7, 2, stride=2))

# %% [markdown]
# ## 1. Shape and parameters of a convolution (•, 3 points)
#
# Images need not be square. For a layer
# `nn.Conv2d(channels_in, channels_out, (kernel height, kernel width), stride, padding)`
# on images of `size = (height, width)` return the output's shape
# `(channels, height, width)` and the number of parameters, biases included. The first
# line stands there.
#
# <details><summary>A nudge</summary>
#
# The worked function gives one side. Which of `size` and `kernel` belongs to the width?
# </details>
# <details><summary>A push</summary>
#
# One output channel has a kernel of its own **for every input channel**, and one bias.
# How many numbers are that? There are `channels_out` of them.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# width = side_after(size[1], …)
# weights = channels_in * kernel[0] * …  # of one output channel
# ```
# </details>


# %% answer="convolution"
def convolution(size, channels_in, channels_out, kernel, stride=1, padding=0):
    """size, kernel: (height, width) -> ((channels, height, width), parameters)."""
    height = side_after(size[0], kernel[0], stride, padding)
    # width = ____
    # parameters = ____ weights for each output channel, and one bias
    ### BEGIN SOLUTION
    width = side_after(size[1], kernel[1], stride, padding)
    parameters = channels_out * (channels_in * kernel[0] * kernel[1] + 1)
    return (channels_out, height, width), parameters
    ### END SOLUTION


# %% check="convolution"
check("convolution", convolution)

# %% [markdown]
# ## 2. And of its transpose (••, 2 points)
#
# A transposed convolution goes the other way: the input's pixels are set `stride`
# pixels apart, each becomes a patch of the kernel's size, and `padding` pixels are cut
# off at both ends. Nothing is rounded. Return the side of the output.
# (`output_padding` stays 0.)
#
# <details><summary>A nudge</summary>
#
# Draw it for 3 pixels, stride 2 and kernel 3: where does the first patch begin, where
# does the last one end?
# </details>
# <details><summary>A push</summary>
#
# From the first pixel's place to the last one's there are `size - 1` strides. The last
# patch reaches further by a whole kernel.
# </details>


# %% answer="side_transposed"
def side_transposed(size, kernel, stride=1, padding=0):
    """Side of the output of nn.ConvTranspose2d on a side of `size` pixels, an int."""
    ### BEGIN SOLUTION
    return (size - 1) * stride + kernel - 2 * padding
    ### END SOLUTION


# %% check="side_transposed"
check("side_transposed", side_transposed)

# %% [markdown]
# ## 3. A decoder for a given encoder (•••, 4 points)
#
# This encoder comes from somebody else. Its strides do the shrinking, there is no
# pooling, and its code is 24 × 4 × 4.


# %%
def make_encoder():
    return nn.Sequential(
        nn.Conv2d(1, 12, 4, stride=2, padding=1),  # 28x28 -> 14x14
        nn.ReLU(),
        nn.Conv2d(12, 24, 4, stride=2, padding=1),  # 14x14 -> 7x7
        nn.ReLU(),
        nn.Conv2d(24, 24, 3, stride=2, padding=1),  # 7x7 -> 4x4
    )


tuple(make_encoder()(validation.images[:5]).shape)

# %% [markdown]
# Return a decoder, of layers from `nn`, that leads from (N, 24, 4, 4) to images
# (N, 1, 28, 28). It must
#
# - give values **in [0, 1]**, whatever the code,
# - have **at most 20,000 parameters**,
# - be trainable to the very end (think of a ReLU as last layer),
# - reach, trained with the encoder for 400 steps, an error below **0.013** per pixel on
#   held-out images. For that it has to use *where* in the code something stands.
#
# <details><summary>A nudge</summary>
#
# Read the encoder from its end: 4 → 7, 7 → 14, 14 → 28. `side_transposed` tells which
# settings do that.
# </details>
# <details><summary>A push</summary>
#
# A transposed layer with the settings of the encoder's layer undoes its shape, if
# nothing was rounded there. Channels shrink on the way: 24, 24, 12, 1. What kind of
# last layer keeps everything in [0, 1]?
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# nn.ConvTranspose2d(24, 24, 3, stride=…, padding=…),  # 4x4 -> 7x7
# nn.ReLU(),
# …                                                    # 7x7 -> 14x14
# …                                                    # 14x14 -> 28x28
# ```
# </details>


# %% answer="make_decoder"
def make_decoder():
    """An nn.Module: codes (N, 24, 4, 4) -> images (N, 1, 28, 28) in [0, 1]."""
    ### BEGIN SOLUTION
    return nn.Sequential(
        nn.ConvTranspose2d(24, 24, 3, stride=2, padding=1),  # 4x4 -> 7x7
        nn.ReLU(),
        nn.ConvTranspose2d(24, 12, 4, stride=2, padding=1),  # 7x7 -> 14x14
        nn.ReLU(),
        nn.ConvTranspose2d(12, 1, 4, stride=2, padding=1),  # 14x14 -> 28x28
        nn.Sigmoid(),
    )
    ### END SOLUTION


# %% [markdown]
# The next cell trains encoder and decoder together. It takes about half a minute.

# %% tags=["wanted"]
ten = data.one_of_each(validation)
rows = {"original": ten.images}
try:
    torch.manual_seed(0)
    autoencoder = nn.Sequential(make_encoder(), make_decoder())
    training.fit(autoencoder, some, epochs=epochs, lr=3e-3)
    rows["yours"] = metrics.apply_in_batches(autoencoder, ten.images)
    error = metrics.reconstruction_error(autoencoder, validation.images)
    title = f"From 384 numbers back to the image: error {error:.4f} per pixel"
except Exception as problem:
    title = f"Not yet: {type(problem).__name__}"

plots.image_rows(
    rows,
    columns=ten.class_names,
    title=title,
    caption="Ten held-out images, one of each class, and what encoder and decoder "
    "make of them.",
)

# %% [markdown]
# The check trains yours once more, with an encoder of its own and on other images. They
# are bent a little, and therefore smoother: the limit there is 0.0115.

# %% check="make_decoder"
check("make_decoder", make_decoder)

# %% [markdown]
# ## 4. What is lost on the way? (••, text, 3 points)
#
# "A transposed convolution is the inverse of the convolution, so the decoder only has
# to run the encoder backwards." In at most ten sentences: what is right about this
# sentence and what is wrong? Say what happens to the shape and what to the values, and
# name one place in an encoder (the one above or the lesson's) where two different
# images give the same output.
#
# *How it is marked.* One point each: the answer tells apart what comes back and what
# does not, and where the decoder's weights come from; it names a real place where
# information goes; it shows this by an example, or says when even the shape does not
# come back by itself.

# %% [markdown] text="inverse" points=3
# Model answer. Right is that it undoes the change of shape: where a convolution leads
# from 14 to 7 pixels, the transposed one with the same settings leads from 7 to 14. The
# values do not come back; it has weights of its own, and these are learned. They could
# not come back, since a ReLU makes one zero of all negative numbers, and 784 pixels
# became 384 numbers. Even the shape is not always determined: with stride 2, kernel 3
# and padding 1 a side of 7 and one of 8 both lead to 4, so the transposed layer has to
# be told which one is meant.

# %% [markdown]
# ## What you have done
#
# You can say what leaves a layer before you run it, and you have built the way back for
# an encoder that was not yours. Exercise 6 puts such an encoder to work with very few
# labels. The last cell asks all questions once more and adds up.

# %% tags=["closing"]
check.all(globals())
