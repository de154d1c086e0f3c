from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from geocobot.models.bases import BASES
from geocobot.models.cost import encoder_flop, encoder_parameters
from geocobot.models.encoder import SamEncoder
from geocobot.models.stem import ConvPatchEmbed

from .mini import official_encoder


@pytest.mark.parametrize("name", sorted(BASES))
def test_parameters_are_those_of_the_module(name):
    with torch.device("meta"):
        encoder = SamEncoder(BASES[name])
    assert encoder_parameters(BASES[name]) == sum(p.numel() for p in encoder.parameters())


@pytest.mark.parametrize("name", sorted(BASES))
@pytest.mark.parametrize("tile_px", [1024, 448])
def test_operations_are_those_of_the_official_encoder(name, tile_px):
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        official = official_encoder(replace(BASES[name], image_px=tile_px))
        if BASES[name].conv_stem:
            official.patch_embed = ConvPatchEmbed(BASES[name].width)
        official(torch.empty(1, 3, tile_px, tile_px))
    assert encoder_flop(BASES[name], tile_px) == counter.get_total_flops()


@pytest.mark.parametrize(("name", "tflop"), [("vit_b", 0.97), ("vit_l", 2.99), ("vit_h", 5.96)])
def test_one_tile_costs_what_was_measured(name, tflop):
    assert round(encoder_flop(BASES[name]) / 1e12, 2) == tflop
