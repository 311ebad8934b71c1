"""What a function that takes images is given."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def images_of(given: Any) -> Tensor:
    """The images of an image set, or the float tensor that was given.

    Raises:
        ValueError: it is neither.
    """
    images = getattr(given, "images", given)
    if isinstance(images, Tensor) and images.is_floating_point():
        return images
    kind = f"a {images.dtype} tensor" if isinstance(images, Tensor) else type(images).__name__
    raise ValueError(
        f"expected images, a float tensor (N, 1, 28, 28) of pixels in [0, 1], got {kind}; "
        "load_images returns such (of pixels from 0 to 255: images.float() / 255)"
    )
