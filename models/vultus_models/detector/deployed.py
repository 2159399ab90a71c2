"""Training pictures as the runtime shows them to the network: whole, enlarged as it enlarges, padded as it pads.

A mosaic shows faces at every size but few pictures at the scale at which they are judged, and never a padded border.
The last steps of a training are spent on what is met afterwards, as YOLOX (Ge et al. 2021) ends without mosaics and
Touvron et al. (2019) mend what differs in size between training and use.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vultus.geometry import resized_shape
from vultus.preprocess import input_size
from vultus.spec import InputSpec
from vultus_models.detector.mosaic import Canvas, Draw, cut, focus_of, mirrored, window_of

__all__ = ["as_deployed", "padded"]

Pixels = npt.NDArray[np.uint8]

SPREAD = 0.25
"""How far the logarithm of the scale strays from that of the runtime."""


def as_deployed(rng: np.random.Generator, draw: Draw, side: int, network_input: InputSpec) -> Canvas:
    """Draw one picture at about the runtime's scale: whole, or as much of it as a square of `side` pixels holds."""
    pixels, labels = draw(rng)
    height, width = pixels.shape[:2]
    wide, tall = input_size(width, height, network_input)
    usual = resized_shape(width, height, wide, tall, network_input.enlarge)[0] / width
    scale = usual * float(np.exp(rng.uniform(-SPREAD, SPREAD)))
    window = window_of(rng, pixels.shape, focus_of(rng, labels, pixels.shape), (side / scale, side / scale))
    size = tuple(min(max(round(part * scale), 2), side) for part in window[2:])
    canvas = cut(rng, pixels, labels, window, (size[0], size[1]))
    return mirrored(canvas) if rng.random() < 0.5 else canvas


def padded(pixels: Pixels, side: int, network_input: InputSpec) -> Pixels:
    """Return a square picture with these pixels at its top left and the network's mean colour elsewhere."""
    whole = np.empty((side, side, 3), np.uint8)
    mean = network_input.mean if network_input.channels == "BGR" else network_input.mean[::-1]
    whole[...] = np.round(mean)
    whole[: pixels.shape[0], : pixels.shape[1]] = pixels
    return whole
