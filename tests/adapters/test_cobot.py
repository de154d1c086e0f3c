import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geocobot.adapters.cobot import CobotSite, HamiltonLinear, PlainLinear, Relation
from geocobot.adapters.config import AdapterConfig

RANKS = st.sampled_from([4, 8, 12, 16, 32])


def quaternion_blocks(letters):
    """W by the rows that the paper prints."""
    e, f, g, h = letters
    rows = [[e, -f, -g, -h], [f, e, -h, g], [g, h, e, -f], [h, -g, f, e]]
    return torch.cat([torch.cat(row, dim=1) for row in rows])


@given(rank=RANKS, seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_w_has_the_hamilton_structure(rank, seed):
    torch.manual_seed(seed)
    layer = HamiltonLinear(rank, "orthogonal")
    assert sum(p.numel() for p in layer.parameters()) == rank * rank // 4
    assert torch.equal(layer.matrix, quaternion_blocks(layer.letters))


@given(rank=RANKS, seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_w_starts_orthogonal(rank, seed):
    torch.manual_seed(seed)
    weight = HamiltonLinear(rank, "orthogonal").matrix
    torch.testing.assert_close(weight @ weight.T, torch.eye(rank), atol=1e-5, rtol=0)


def test_w_of_rank_4_multiplies_quaternions():
    layer = HamiltonLinear(4, "orthogonal")
    with torch.no_grad():
        layer.letters.copy_(torch.tensor([0.0, 1.0, 0.0, 0.0]).view(4, 1, 1))
    # i * (a + bi + cj + dk) = -b + ai - dj + ck
    product = layer.matrix @ torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert product.tolist() == [-2.0, 1.0, -4.0, 3.0]


def test_the_published_w_has_no_real_part_and_is_not_orthogonal():
    torch.manual_seed(0)
    layer = HamiltonLinear(16, "published")
    assert layer.letters[0].abs().max() == 0
    assert layer.letters[1:].min() >= 0
    assert layer.letters[1:].max() <= 1
    assert torch.linalg.cond(layer.matrix) > 1.5


def test_a_site_computes_w_diag_gamma_plus_cs():
    torch.manual_seed(0)
    relation = Relation(rank=8, n_sites=5)
    site = CobotSite(relation, 3, AdapterConfig(rank=8))
    with torch.no_grad():
        for parameter in (relation.C, relation.S, site.gamma):
            parameter.normal_()
    dense = site.W.matrix @ torch.diag(site.gamma + (relation.C @ relation.S)[:, 3])
    torch.testing.assert_close(site(), dense)


def test_coefficients_start_at_two_everywhere():
    relation = Relation(rank=4, n_sites=6)
    site = CobotSite(relation, 2, AdapterConfig())
    assert torch.equal(site.gamma + relation(2), torch.full((4,), 2.0))


def test_a_site_holds_the_relation_without_owning_it():
    relation = Relation(rank=4, n_sites=2)
    site = CobotSite(relation, 0, AdapterConfig())
    assert site.relation is relation
    assert sorted(site.state_dict()) == ["W.letters", "gamma"]


@pytest.mark.parametrize("site", [0, 3])
def test_communication_keeps_float32_under_autocast(site):
    relation = Relation(rank=4, n_sites=4)
    with torch.no_grad():
        relation.S[:, site] += 1e-4
    with torch.autocast("cpu", dtype=torch.bfloat16):
        communicated = relation(site)
    assert communicated.dtype == torch.float32
    torch.testing.assert_close(communicated, torch.full((4,), 1 + 4e-4))


@pytest.mark.parametrize("init", ["orthogonal", "published"])
def test_a_plain_w_has_r_squared_free_values(init):
    torch.manual_seed(0)
    layer = PlainLinear(8, init)
    assert layer.matrix.numel() == 64
    is_orthogonal = torch.allclose(layer.matrix @ layer.matrix.T, torch.eye(8), atol=1e-5)
    assert is_orthogonal == (init == "orthogonal")


def test_without_mixing_a_site_only_reweights():
    site = CobotSite(Relation(rank=6, n_sites=2), 0, AdapterConfig(rank=6, mixing="none"))
    assert torch.equal(site(), 2 * torch.eye(6))
    assert sorted(site.state_dict()) == ["gamma"]


def test_a_frozen_relation_is_the_identity_or_random_and_not_trained():
    torch.manual_seed(0)
    identity, random = (Relation(4, 200, kind) for kind in ("identity", "random"))
    assert torch.equal(identity.S, torch.eye(200))
    assert not identity.S.requires_grad
    assert not random.S.requires_grad
    assert identity.C.requires_grad
    assert random.S.var().item() == pytest.approx(1 / 200, rel=0.05)
