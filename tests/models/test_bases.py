import re

import pytest
import segment_anything
import torch

from geocobot.errors import ConfigError
from geocobot.models.bases import BASES, find_base
from geocobot.models.checkpoint import official_shapes


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_names_and_shapes_are_those_of_segment_anything(name):
    with torch.device("meta"):
        official = segment_anything.sam_model_registry[name]().state_dict()
    assert official_shapes(BASES[name]) == {n: tuple(t.shape) for n, t in official.items()}


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_the_size_of_the_file_is_that_of_its_tensors(name):
    values = sum(torch.Size(shape).numel() for shape in official_shapes(BASES[name]).values())
    # The rest is the archive's own: names, alignment, a directory.
    assert 0 < BASES[name].weights.size_bytes - 4 * values < 400_000


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_weights_come_from_the_official_place(name):
    source = BASES[name].weights
    assert source.url == f"https://dl.fbaipublicfiles.com/segment_anything/{source.file_name}"
    assert re.fullmatch(r"[0-9a-f]{64}", source.sha256)
    assert re.fullmatch(rf"sam_{name}_[0-9a-f]{{6}}\.pth", source.file_name)


def test_tiny_needs_no_download_and_no_padding():
    tiny = BASES["tiny"]
    assert tiny.weights is None
    assert tiny.has_weights == (tiny.bundled is not None)
    assert (tiny.width, tiny.depth) == (192, 12)
    assert (64 // 16) % tiny.window_tokens == 0


def test_an_unknown_base_is_refused():
    with pytest.raises(ConfigError, match=r"--base vit_g is not known. Known bases are vit_b"):
        find_base("vit_g")
