"""Pictures within a page, as small as they can be without losing what they show."""

from __future__ import annotations

import base64
from html import escape
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

_QUALITY = 82


def embedded(
    picture: npt.NDArray[np.uint8], *, longest_px: int | None = None, quality: int = _QUALITY
) -> str:
    """A picture as an address that holds it (JPEG).

    Args:
        picture: (H, W, 3) RGB.
        longest_px: its longer side is shrunk to this where it is longer.
        quality: 1 to 95.
    """
    image = Image.fromarray(picture)
    if longest_px is not None:
        image.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    image.save(buffer, format="JPEG", quality=quality, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def png(content: bytes) -> str:
    """A finished PNG as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"


def image(address: str, said: str) -> str:
    """A picture, and what it shows for those who do not see it."""
    return f'<img src="{address}" alt="{escape(said)}">'


def swipe(below: str, above: str, *, said: tuple[str, str], name: str) -> str:
    """Two pictures of one place and one size on top of each other, and a slider between them.

    In print both are shown, side by side.

    Args:
        below: address of the one on the left of the slider.
        above: address of the one on its right.
        said: what each of them shows.
        name: what the slider is called for those who do not see it.
    """
    first, second = said
    return (
        f'<div class="swipe">{image(below, first)}'
        f'<img class="over" src="{above}" alt="{escape(second)}"><div class="edge"></div>'
        f'<input type="range" min="0" max="100" value="50" aria-label="{escape(name)}" '
        "oninput=\"this.parentNode.style.setProperty('--cut',this.value+'%')\"></div>"
    )
