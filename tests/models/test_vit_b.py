"""The real shape of ViT-B, in the official format: too heavy for every run."""

import logging

import pytest
import segment_anything
import torch

from geocobot.adapters.attach import AdapterCounts, adapter_state, count_parameters
from geocobot.adapters.config import AdapterConfig
from geocobot.adapters.merge import merge
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
    assert count_parameters(segmenter.encoder) == AdapterCounts(147_456, 864)
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
        assert merge(loaded.encoder, keep=False) == 12
        torch.testing.assert_close(loaded(image), expected, atol=1e-5, rtol=1e-5)
    save_model(path, segmenter, card, "bfloat16")
    assert path.stat().st_size < 10e6


def test_vit_b_is_not_vit_l(official):
    with pytest.raises(CheckpointError, match=r"holds the weights of vit_b. --base vit_l needs"):
        build_segmenter("vit_l", 1, checkpoint=official)
