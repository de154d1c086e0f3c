"""The model as maps use it: merged adapters, and tiles seen from several sides."""

from __future__ import annotations

import pytest
import torch

from geocobot.adapters.adaptformer import AdaptFormer
from geocobot.adapters.attach import adapter_state
from geocobot.adapters.config import AdapterConfig
from geocobot.adapters.lora import AdaptedLinear
from geocobot.bands import BandRange
from geocobot.classes import name_classes
from geocobot.inference.predictor import PredictorSource, Views
from geocobot.models.card import ModelCard
from geocobot.models.modelfile import save_model
from geocobot.models.segmenter import build_segmenter


def saved(folder, method):
    """A model file whose adapters have learned something, and what is in it."""
    segmenter = build_segmenter("tiny", 1, AdapterConfig(method)).eval()
    with torch.no_grad():
        for tensor in adapter_state(segmenter.encoder).values():
            tensor.add_(torch.randn(tensor.shape), alpha=0.1)
    card = ModelCard(
        segmenter=segmenter.config,
        classes=name_classes(["bright"]),
        ranges=tuple(BandRange(i, f"band {i}", "uint8", 0.0, 255.0) for i in (1, 2, 3)),
        ground_pixel_m=(1.0, 1.0),
        patch_px=64,
    )
    model = folder / "model.safetensors"
    save_model(model, segmenter, card)
    return model, segmenter


@pytest.mark.parametrize(("method", "merged"), [("lora", True), ("adaptformer", False)])
def test_linear_adapters_are_merged_on_load(tmp_path, method, merged):
    model, segmenter = saved(tmp_path, method)
    loaded = PredictorSource(str(model)).load()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(loaded(image), segmenter(image), atol=1e-4, rtol=1e-4)
    adapters = [m for m in loaded.modules() if isinstance(m, AdaptedLinear | AdaptFormer)]
    assert bool(adapters) != merged


class Lopsided(torch.nn.Module):
    """Says of a pixel what its place in the tile and its neighbors to one side are."""

    def forward(self, image):
        left = torch.roll(image[:, :1], 1, -1)
        place = torch.arange(image.shape[-1])[None, None, :, None] * 0.1
        return torch.cat([image[:, :1] + left, image[:, 1:2] * place], dim=1)


def turned(image, quarters):
    return torch.rot90(image, quarters, (-2, -1))


@pytest.mark.parametrize(("tta", "quarters"), [("flips", (0, 2)), ("dihedral", (0, 1, 2, 3))])
def test_the_side_from_which_a_scene_is_seen_does_not_matter(tta, quarters):
    views = Views(Lopsided(), tta)
    image = torch.rand(2, 3, 12, 12)
    for quarter in quarters:
        for axes in ((), (-1,)):
            seen = turned(torch.flip(image, axes), quarter)
            expected = turned(torch.flip(views(image), axes), quarter)
            torch.testing.assert_close(views(seen), expected)


@pytest.mark.parametrize(("tta", "n"), [("flips", 4), ("dihedral", 8)])
def test_what_a_model_says_from_everywhere_stays(tta, n):
    shown = []

    class Pixels(torch.nn.Module):
        def forward(self, image):
            shown.append(image)
            return image[:, :2] * 3 - 1

    image = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(Views(Pixels(), tta)(image), image[:, :2] * 3 - 1)
    assert len(shown) == n
    assert len({tuple(view.flatten().tolist()) for view in shown}) == n


def test_views_come_with_the_model_file(tmp_path):
    model, segmenter = saved(tmp_path, "lora")
    image = torch.rand(1, 3, 64, 64)
    views = PredictorSource(str(model), tta="flips").load()
    with torch.no_grad():
        mirrored = [torch.flip(segmenter(torch.flip(image, a)), a) for a in ((-1,), (-2,))]
        both = torch.flip(segmenter(torch.flip(image, (-2, -1))), (-2, -1))
        mean = (segmenter(image) + sum(mirrored) + both) / 4
        torch.testing.assert_close(views(image), mean, atol=1e-4, rtol=1e-4)
