import pytest
import torch

from geocobot.errors import ConfigError
from geocobot.models.architecture import HeadConfig
from geocobot.models.bases import BASES
from geocobot.models.boxes import BoxPromptedHead
from geocobot.models.dense_head import DenseHead
from geocobot.models.heads import head_config, make_head
from geocobot.models.mask_decoder import MaskDecoderHead


@pytest.mark.parametrize("base", BASES)
def test_the_dense_head_has_fewer_than_three_million_parameters(base):
    spec = BASES[base]
    config = head_config(spec, 254, "dense", pretrained=spec.weights is not None)
    assert config.level_widths == (spec.width,) * 4
    with torch.device("meta"):
        head = make_head(config)
    assert isinstance(head, DenseHead)
    assert sum(p.numel() for p in head.parameters()) < 3e6


@pytest.mark.parametrize("pretrained", [False, True])
def test_the_mask_decoder_sees_the_image_where_tokens_start_at_random(pretrained):
    config = head_config(BASES["tiny"], 2, "mask-decoder", pretrained=pretrained)
    assert config == HeadConfig(2, image_stem=not pretrained, width=256)
    assert isinstance(make_head(config), MaskDecoderHead)


def test_the_dense_head_takes_no_boxes():
    with pytest.raises(ConfigError, match=r"--head dense is asked for with --prompt boxes"):
        head_config(BASES["vit_b"], 2, "dense", prompt="boxes", pretrained=True)
    boxed = head_config(BASES["vit_b"], 2, "mask-decoder", prompt="boxes", pretrained=True)
    assert isinstance(make_head(boxed), BoxPromptedHead)
