import pytest
import torch

from geocobot.errors import ConfigError
from geocobot.models.architecture import HeadConfig
from geocobot.models.bases import BASES
from geocobot.models.boxes import BoxPromptedHead
from geocobot.models.dense_head import DenseHead
from geocobot.models.heads import head_config, make_head, resolve_head
from geocobot.models.mask_decoder import MaskDecoderHead


@pytest.mark.parametrize("base", BASES)
def test_the_dense_head_has_fewer_than_three_million_parameters(base):
    spec = BASES[base]
    config = head_config(spec, 254, "dense", "pretrained")
    assert config.level_widths == (spec.width,) * 4
    with torch.device("meta"):
        head = make_head(config)
    assert isinstance(head, DenseHead)
    assert sum(p.numel() for p in head.parameters()) < 3e6


@pytest.mark.parametrize(
    ("base", "start", "stem"),
    [
        ("vit_b", "pretrained", False),
        ("vit_b", "random", True),
        ("tiny", "pretrained", True),
        ("tiny", "random", True),
    ],
)
def test_the_mask_decoder_sees_the_image_where_tokens_do_not_carry_it(base, start, stem):
    config = head_config(BASES[base], 2, "mask-decoder", start)
    assert config == HeadConfig(2, image_stem=stem, width=256)
    assert isinstance(make_head(config), MaskDecoderHead)


@pytest.mark.parametrize(
    ("base", "start", "prompt", "kind"),
    [
        ("vit_b", "pretrained", "none", "mask-decoder"),
        ("vit_b", "random", "none", "dense"),
        ("vit_b", "random", "boxes", "mask-decoder"),
        ("tiny", "pretrained", "none", "dense"),
        ("tiny", "random", "none", "dense"),
        ("tiny", "pretrained", "boxes", "mask-decoder"),
    ],
)
def test_auto_is_the_mask_decoder_for_sams_own_weights_and_for_boxes(base, start, prompt, kind):
    assert resolve_head("auto", BASES[base], start, prompt=prompt) == kind
    assert resolve_head("dense", BASES[base], start, prompt=prompt) == "dense"
    assert resolve_head("mask-decoder", BASES[base], start, prompt=prompt) == "mask-decoder"


def test_the_dense_head_takes_no_boxes():
    with pytest.raises(ConfigError, match=r"--head dense is asked for with --prompt boxes"):
        head_config(BASES["vit_b"], 2, "dense", "pretrained", prompt="boxes")
    boxed = head_config(BASES["vit_b"], 2, "mask-decoder", "pretrained", prompt="boxes")
    assert isinstance(make_head(boxed), BoxPromptedHead)
