import pytest
import torch
from torch import nn

from geocobot.adapters.cobot import CobotSite, Relation
from geocobot.adapters.config import AdapterConfig, AdapterShape
from geocobot.adapters.lora import DoraLinear, DoraPart, LoraLinear, LowRank

SHAPE = AdapterShape(rank=4, alpha=1.0, dropout=0.0)
THIRDS = {"q": (range(12),), "v": (range(24, 36),)}


def make_part(width, *, cobot=None, alpha=1.0, kind=LowRank):
    part = kind(width, width, AdapterShape(4, alpha, 0.0), "orthogonal", cobot)
    with torch.no_grad():
        part.B.normal_()
    return part


def test_the_product_is_b_w_diag_a():
    torch.manual_seed(0)
    relation = Relation(rank=4, n_sites=3)
    cobot = CobotSite(relation, 1, AdapterConfig())
    with torch.no_grad():
        relation.S.normal_()
        cobot.gamma.normal_()
    part = make_part(12, cobot=cobot, alpha=2.0)
    layer = LoraLinear(nn.Linear(12, 12), {"proj": part}, {"proj": ()}, 0.0)
    x = torch.randn(5, 12)
    diagonal = torch.diag(cobot.gamma + (relation.C @ relation.S)[:, 1])
    dense = 2.0 * part.B @ cobot.W.matrix @ diagonal @ part.A
    torch.testing.assert_close(layer(x), layer.base(x) + x @ dense.T)


def test_cobot_starts_with_twice_the_size_of_plain_lora():
    torch.manual_seed(0)
    cobot = CobotSite(Relation(4, 1), 0, AdapterConfig())
    part = make_part(12, cobot=cobot)
    bottleneck = torch.randn(4)
    torch.testing.assert_close((cobot() @ bottleneck).norm(), 2 * bottleneck.norm())
    torch.testing.assert_close(part.up().norm(), 2 * part.B.norm())


def test_only_q_and_v_change():
    torch.manual_seed(0)
    base = nn.Linear(12, 36)
    fused = LoraLinear(base, {"q": make_part(12), "v": make_part(12)}, THIRDS, 0.0)
    x = torch.randn(5, 12)
    change = fused(x) - base(x)
    torch.testing.assert_close(change[:, :12], x @ (fused.q.up() @ fused.q.A).T, atol=1e-5, rtol=0)
    assert torch.equal(change[:, 12:24], torch.zeros(5, 12))
    torch.testing.assert_close(change[:, 24:], x @ (fused.v.up() @ fused.v.A).T, atol=1e-5, rtol=0)


def test_rows_may_be_scattered():
    torch.manual_seed(0)
    base = nn.Linear(12, 36)
    rows = {"q": (range(6), range(18, 24))}
    layer = LoraLinear(base, {"q": make_part(12)}, rows, 0.0)
    x = torch.randn(5, 12)
    change = layer(x) - base(x)
    delta = x @ (layer.q.up() @ layer.q.A).T
    torch.testing.assert_close(change[:, [*range(6), *range(18, 24)]], delta, atol=1e-5, rtol=0)
    assert not change[:, [*range(6, 18), *range(24, 36)]].any()


def test_b_starts_at_zero_or_as_published_by_xavier():
    torch.manual_seed(0)
    zero = LowRank(12, 20, SHAPE, "orthogonal", None)
    published = LowRank(12, 20, SHAPE, "published", None)
    assert zero.B.abs().max() == 0
    bound = (6 / (4 + 20)) ** 0.5
    assert 0.5 * bound < published.B.abs().max() <= bound


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    layer = LoraLinear(nn.Linear(12, 12), {"proj": make_part(12)}, {"proj": ()}, 0.5)
    x = torch.randn(64, 12)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))


def test_any_number_of_leading_axes():
    torch.manual_seed(0)
    layer = LoraLinear(nn.Linear(12, 36), {"q": make_part(12), "v": make_part(12)}, THIRDS, 0.0)
    x = torch.randn(2, 3, 5, 12)
    torch.testing.assert_close(layer(x)[1, 2, 4], layer(x[1, 2, 4]))
    assert layer(torch.zeros(0, 12)).shape == (0, 36)


def test_under_autocast_the_small_matrices_meet_in_float32():
    torch.manual_seed(0)
    relation = Relation(4, 2)
    part = make_part(12, cobot=CobotSite(relation, 0, AdapterConfig()))
    exact = part.up()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert part.up().dtype == torch.float32
        assert torch.equal(part.up(), exact)
        layer = LoraLinear(nn.Linear(12, 12), {"proj": part}, {"proj": ()}, 0.0)
        assert layer(torch.randn(3, 12)).dtype == torch.bfloat16


# DoRA.


def make_dora(bias=True):
    torch.manual_seed(0)
    parts = {"q": make_part(12, kind=DoraPart), "v": make_part(12, kind=DoraPart)}
    return DoraLinear(nn.Linear(12, 36, bias=bias), parts, THIRDS, 0.0)


def test_dora_scales_every_row_to_its_magnitude():
    layer = make_dora()
    with torch.no_grad():
        layer.q.magnitude.uniform_(0.5, 2)
    x = torch.randn(5, 12)
    rows = layer.base.weight[:12] + layer.q.up() @ layer.q.A
    rows = layer.q.magnitude[:, None] * rows / rows.norm(dim=1, keepdim=True)
    torch.testing.assert_close(layer(x)[:, :12], x @ rows.T + layer.base.bias[:12])
    torch.testing.assert_close(layer(x)[:, 12:24], layer.base(x)[:, 12:24])


def test_dora_takes_its_magnitudes_from_the_frozen_rows():
    layer = make_dora(bias=False)
    torch.testing.assert_close(layer.v.magnitude, layer.base.weight[24:].norm(dim=1))
    assert layer(torch.zeros(1, 12)).abs().max() == 0


def test_doras_norm_is_a_constant_in_the_backward_pass():
    layer = make_dora()
    x, weight = torch.randn(5, 12), torch.randn(5, 36)
    (layer(x) * weight).sum().backward()
    part = layer.q
    norm = (layer.base.weight[:12] + part.up() @ part.A).norm(dim=1).detach()
    scaled = (weight[:, :12] * part.magnitude / norm).T  # d loss / d (W + U A) = scaled @ x
    torch.testing.assert_close(part.B.grad, scaled @ x @ part.A.T)
    torch.testing.assert_close(part.A.grad, part.B.T @ scaled @ x)


def test_small_changes_of_doras_magnitudes_count_in_bfloat16():
    layer = make_dora(bias=False)
    x = torch.randn(200, layer.base.in_features)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        before = layer(x)[:, :12].float()
        layer.q.magnitude.mul_(1.003)
        after = layer(x)[:, :12].float()
    ratio = ((after * before).sum() / before.square().sum()).item()
    assert ratio == pytest.approx(1.003, abs=5e-4)


def test_dora_survives_a_row_of_zeros():
    base = nn.Linear(4, 4)
    nn.init.zeros_(base.weight)
    part = DoraPart(4, 4, SHAPE, "orthogonal", None)
    layer = DoraLinear(base, {"proj": part}, {"proj": ()}, 0.0)
    layer(torch.randn(3, 4)).sum().backward()
    assert torch.isfinite(part.B.grad).all()
