"""The real shape of ViT-B, in the official format: too heavy for every run."""

import logging

import pytest
import segment_anything
import torch

from geocobot.adapters.attach import adapter_state
from geocobot.adapters.config import AdapterConfig
from geocobot.classes import name_classes
from geocobot.errors import CheckpointError
from geocobot.models.modelfile import ModelCard, load_model, save_model
from geocobot.models.segmenter import build_segmenter

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("official") / "sam_vit_b.pth"
    torch.save(segment_anything.sam_model_registry["vit_b"]().state_dict(), path)
    yield path
    path.unlink()


def test_lora_and_cobot_on_vit_b_from_checkpoint_to_model_file(official, tmp_path, caplog):
    caplog.set_level(logging.CRITICAL)
    segmenter = build_segmenter("vit_b", 1, AdapterConfig(), checkpoint=official).eval()
    adapters = adapter_state(segmenter.encoder)
    cobot = sum(t.numel() for n, t in adapters.items() if "cobot" in n)
    assert (sum(t.numel() for t in adapters.values()) - cobot, cobot) == (147_456, 864)
    image = torch.rand(1, 3, 192, 256)
    with torch.no_grad():
        for tensor in adapters.values():
            tensor.add_(torch.randn(tensor.shape), alpha=0.01)
        expected = segmenter(image)
    path = tmp_path / "model.safetensors"
    card = ModelCard(
        segmenter=segmenter.config,
        classes=name_classes(["roads"]),
        ranges=(),
        ground_pixel_m=(0.3, 0.3),
        patch_px=256,
    )
    save_model(path, segmenter, card)
    assert path.stat().st_size < 20e6
    loaded, _ = load_model(path, checkpoint=official)
    with torch.no_grad():
        assert torch.equal(loaded(image), expected)


def test_vit_b_is_not_vit_l(official):
    with pytest.raises(CheckpointError, match=r"holds the weights of vit_b. --base vit_l needs"):
        build_segmenter("vit_l", 1, checkpoint=official)
