"""More than three bands for an encoder that takes three."""

import pytest
import torch

from geocobot.adapters.config import AdapterConfig
from geocobot.bands import NO_DATA_FILL
from geocobot.models.cached_encoder import has_fixed_features, reusing_features
from geocobot.models.feature_cache import FeatureCache
from geocobot.models.projection import BandProjection
from geocobot.models.segmenter import build_segmenter


@pytest.fixture
def learned():
    """A projection of eight bands that is not at its start any more."""
    torch.manual_seed(0)
    projection = BandProjection(8)
    torch.nn.init.normal_(projection.weight)
    return projection


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_it_starts_as_the_first_three_bands_bit_for_bit(mini, precision):
    image = torch.rand(2, 11, 64, 64) * 2 - 0.5
    of_three = build_segmenter("mini", 2, AdapterConfig()).eval()
    of_many = build_segmenter("mini", 2, AdapterConfig(), n_bands=11).eval()
    with torch.autocast("cpu", dtype=precision, enabled=precision != torch.float32):
        assert torch.equal(of_many(image), of_three(image[:, :3]))


def test_it_is_linear_about_mid_gray(learned):
    image = torch.rand(2, 8, 5, 7)
    expected = image[:, :3] + torch.einsum("oc,bchw->bohw", learned.weight, image - 0.5)
    torch.testing.assert_close(learned(image), expected)
    gray = torch.full((1, 8, 4, 4), NO_DATA_FILL)
    assert torch.equal(learned(gray), gray[:, :3])


def test_it_keeps_its_precision_under_autocast(learned):
    image = torch.rand(2, 8, 5, 7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(learned(image), learned(image.clone()))
        rough = learned(image)
    assert torch.equal(rough, learned(image))


@pytest.mark.parametrize("method", ["lora", "none"])
def test_gradients_reach_it_through_the_frozen_encoder(mini, method):
    segmenter = build_segmenter("mini", 2, AdapterConfig(method), n_bands=5)
    assert segmenter.n_bands == 5
    segmenter(torch.rand(1, 5, 64, 64)).square().mean().backward()
    gradient = segmenter.projection.weight.grad
    assert gradient.abs().min() > 0
    assert segmenter.config.n_bands == 5


def test_three_bands_need_none(mini):
    segmenter = build_segmenter("mini", 2)
    assert segmenter.projection is None
    assert segmenter.n_bands == 3


def test_another_number_of_bands_is_refused(mini):
    segmenter = build_segmenter("mini", 2, n_bands=5)
    with pytest.raises(ValueError, match=r"needed is \(B, 5, H, W\)"):
        segmenter(torch.rand(1, 3, 64, 64))


def test_features_change_with_it(mini, tmp_path):
    segmenter = build_segmenter("mini", 2, AdapterConfig("none"), n_bands=5)
    assert not has_fixed_features(segmenter)
    with (
        pytest.raises(ValueError, match="where it or its input is trained"),
        reusing_features(segmenter, FeatureCache(tmp_path, 10**9)),
    ):
        pass
