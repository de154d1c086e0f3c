"""What cameras of many kinds make of it: haze, blur, bands that do not meet, noise, stretch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 # PyTorch's own name for it

from geocobot.synthetic.world.canvas import Canvas, Cover
from geocobot.synthetic.world.dice import Dice
from geocobot.synthetic.world.view import View

_REACH = 3
_SATELLITE_PIXEL_M = 1.5


def expose(canvas: Canvas, view: View) -> Tensor:
    """Take pictures, (B, 3, S, S), stretched as scenes are: mostly 0 to 1."""
    dice = view.dice
    image = _band_mix(canvas, view)
    haze = dice.uniform(0.0, 0.25, 1, 1, 1) * dice.chance(0.5).unsqueeze(1)
    air = dice.uniform(0.55, 0.8, 3, 1, 1)
    image = torch.lerp(image, air.expand_as(image), haze)
    image = _blur(image, dice)
    image = image + _noise(image, dice)
    return _stretch(image, dice)


def _band_mix(canvas: Canvas, view: View) -> Tensor:
    """Bands other than red, green and blue: near infrared, in which plants shine, or gray."""
    color, dice = canvas.color, view.dice
    green = (
        (canvas.cover == Cover.GRASS) | (canvas.cover == Cover.TREE) | (canvas.cover == Cover.CROP)
    )
    wet = canvas.cover == Cover.WATER
    # Straw and ripe crops shine less than what grows.
    fresh = 0.3 + 2.5 * (color[:, 1:2] - color[:, :1]) / color.mean(1, keepdim=True).clamp(0.05)
    vigor = green.unsqueeze(1) * fresh.clamp(0.0, 1.0)
    gain = 1 + vigor * dice.uniform(0.4, 3.0, 1, 1, 1) - 0.7 * wet.unsqueeze(1)
    infrared = color[:, 1:2] * gain
    false = torch.cat([infrared, color[:, :2]], dim=1)
    # Cameras so far away that pixels are metres wide are mostly satellites'.
    is_false = dice.uniform(0, 1) < torch.where(view.pixel_m > _SATELLITE_PIXEL_M, 0.35, 0.1)
    mixed = torch.where(is_false.unsqueeze(1), false, color)
    weights = dice.uniform(0.1, 1.0, 3, 1, 1)
    gray = (mixed * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True)
    pale = torch.where(dice.chance(0.15), 0.0, dice.uniform(0.3, 1.2)).unsqueeze(1)
    return torch.lerp(gray.expand_as(mixed), mixed, pale)


def _blur(image: Tensor, dice: Dice) -> Tensor:
    """Blur by a Gaussian whose middle lies elsewhere in every band."""
    n, bands, side, _ = image.shape
    sigma = torch.where(dice.chance(0.15), dice.uniform(0.8, 1.6), dice.uniform(0.25, 0.8))
    apart = torch.where(dice.chance(0.2), 0.7, 0.1)
    at = torch.arange(-_REACH, _REACH + 1, device=image.device).view(1, 1, -1)
    for dims in ((1, 2 * _REACH + 1), (2 * _REACH + 1, 1)):
        middle = dice.normal(bands, 1) * apart
        kernel = torch.exp(-0.5 * ((at - middle) / sigma) ** 2)
        kernel = (kernel / kernel.sum(-1, keepdim=True)).view(n * bands, 1, *dims)
        pad = (0, 0, _REACH, _REACH) if dims[1] == 1 else (_REACH, _REACH, 0, 0)
        flat = F.pad(image.reshape(1, n * bands, side, side), pad, mode="replicate")
        image = F.conv2d(flat, kernel, groups=n * bands).view(n, bands, side, side)
    return image


def _noise(image: Tensor, dice: Dice) -> Tensor:
    """Noise of the sensor, alike in all bands or not."""
    strength = dice.log_uniform(0.002, 0.04).unsqueeze(1)
    share = dice.uniform(0, 1, 1, 1, 1)
    own = dice.noise(*image.shape[1:])
    common = own[:, :1]
    return (
        strength
        * torch.lerp(common.expand_as(own), own, share)
        * (image.clamp(min=0) + 0.1).sqrt()
        * 2
    )


def _stretch(image: Tensor, dice: Dice) -> Tensor:
    """Stretch the values between two percentiles, of each band or of all, and miss a little."""
    seen = image[..., ::4, ::4].flatten(2)
    low, high = (torch.quantile(seen, q, dim=2) for q in (0.02, 0.98))
    joint = dice.chance(0.5).view(-1, 1)
    low = torch.where(joint, low.amin(1, keepdim=True), low) - dice.uniform(-0.02, 0.15, 1)
    high = torch.where(joint, high.amax(1, keepdim=True), high) + dice.uniform(-0.02, 0.3, 1)
    image = (image - low[..., None, None]) / (high - low).clamp(min=0.08)[..., None, None]
    gamma = dice.uniform(-0.35, 0.35, 1, 1, 1).exp()
    image = image.clamp(min=1e-3) ** gamma
    return image.clamp(-0.5, 1.5)
