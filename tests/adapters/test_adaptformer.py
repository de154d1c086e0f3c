import torch
from torch import nn

from geocobot.adapters.adaptformer import AdaptFormer, AdaptFormerMlp
from geocobot.adapters.cobot import CobotSite, Relation
from geocobot.adapters.config import AdapterConfig, AdapterShape


def make_adapter(*, cobot):
    torch.manual_seed(0)
    site = CobotSite(Relation(8, 3), 1, AdapterConfig(rank=8)) if cobot else None
    adapter = AdaptFormer(12, AdapterShape(8, 0.1, 0.0), site)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.normal_()
    return adapter


def test_the_branch_is_the_formula_of_the_paper():
    adapter = make_adapter(cobot=True)
    x = torch.randn(5, 12)
    cobot = adapter.cobot
    normed = nn.functional.layer_norm(x, (12,), adapter.norm.weight, adapter.norm.bias)
    down = normed @ adapter.down.weight.T + adapter.down.bias
    diagonal = torch.diag(cobot.gamma + cobot.relation(1))
    hidden = torch.relu(down @ (cobot.W.matrix @ diagonal).T)
    expected = 0.1 * (hidden @ adapter.up.weight.T + adapter.up.bias)
    torch.testing.assert_close(adapter(x), expected)


def test_it_stands_beside_the_mlp_and_sees_its_input():
    adapter = make_adapter(cobot=False)
    mlp = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12))
    x = torch.randn(5, 12)
    torch.testing.assert_close(AdaptFormerMlp(mlp, adapter)(x), mlp(x) + adapter(x))


def test_the_branch_starts_at_zero():
    adapter = AdaptFormer(12, AdapterShape(8, 0.1, 0.1), None)
    assert torch.equal(adapter(torch.randn(5, 12)), torch.zeros(5, 12))
