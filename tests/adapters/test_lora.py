import torch
from torch import nn

from geocobot.adapters.cobot import CobotSite, Relation
from geocobot.adapters.config import AdapterShape
from geocobot.adapters.lora import FusedQkvLora, LoraDelta

SHAPE = AdapterShape(rank=4, alpha=1.0, dropout=0.0)


def make_delta(width, *, site=None, relation=None, alpha=1.0, init="orthogonal"):
    cobot = CobotSite(relation, site, init) if relation is not None else None
    delta = LoraDelta(width, width, AdapterShape(4, alpha, 0.0), init, cobot)
    with torch.no_grad():
        delta.B.normal_()
    return delta


def test_the_delta_is_b_w_diag_a():
    torch.manual_seed(0)
    relation = Relation(rank=4, n_sites=3)
    delta = make_delta(12, site=1, relation=relation, alpha=2.0)
    x = torch.randn(5, 12)
    cobot = delta.cobot
    diagonal = torch.diag(cobot.gamma + (relation.C @ relation.S)[:, 1])
    dense = 2.0 * delta.B @ cobot.W.weight @ diagonal @ delta.A
    torch.testing.assert_close(delta(x), x @ dense.T)


def test_cobot_starts_with_twice_the_size_of_plain_lora():
    torch.manual_seed(0)
    delta = make_delta(12, site=0, relation=Relation(4, 1))
    plain = LoraDelta(12, 12, SHAPE, "orthogonal", None)
    bottleneck = torch.randn(5, 4)
    ratio = delta.cobot(bottleneck).norm(dim=-1) / bottleneck.norm(dim=-1)
    torch.testing.assert_close(ratio, torch.full((5,), 2.0))
    assert plain.cobot is None


def test_only_q_and_v_change():
    torch.manual_seed(0)
    base = nn.Linear(12, 36)
    fused = FusedQkvLora(base, make_delta(12), make_delta(12))
    x = torch.randn(5, 12)
    change = fused(x) - base(x)
    torch.testing.assert_close(change[:, :12], fused.q(x), atol=1e-5, rtol=0)
    assert torch.equal(change[:, 12:24], torch.zeros(5, 12))
    torch.testing.assert_close(change[:, 24:], fused.v(x), atol=1e-5, rtol=0)


def test_b_starts_at_zero_or_as_published_by_xavier():
    torch.manual_seed(0)
    zero = LoraDelta(12, 20, SHAPE, "orthogonal", None)
    published = LoraDelta(12, 20, SHAPE, "published", None)
    assert zero.B.abs().max() == 0
    bound = (6 / (4 + 20)) ** 0.5
    assert 0.5 * bound < published.B.abs().max() <= bound


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    delta = LoraDelta(12, 12, AdapterShape(4, 1.0, 0.5), "published", None)
    x = torch.randn(64, 12)
    assert not torch.equal(delta(x), delta(x))
    delta.eval()
    assert torch.equal(delta(x), delta(x))
