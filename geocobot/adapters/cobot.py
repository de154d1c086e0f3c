"""COBOT: the coefficient sets of all adapter sites talk to each other.

Peng et al., "Parameter Efficient Fine-tuning via Cross Block Orchestration for Segment Anything
Model", CVPR 2024 (arXiv 2311.17112). Letters and equation numbers are the paper's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from geocobot.adapters.config import AdapterConfig
from geocobot.adapters.part import AdapterPart
from geocobot.config.values import AdapterInit, MixingName, RelationName

# Quaternion e + fi + gj + hk as a real matrix, by block rows:
# [e -f -g -h], [f e -h g], [g h e -f], [h -g f e].
_LETTERS = ((0, 1, 2, 3), (1, 0, 3, 2), (2, 3, 0, 1), (3, 2, 1, 0))
_SIGNS = ((1, -1, -1, -1), (1, 1, -1, 1), (1, 1, 1, -1), (1, -1, 1, 1))


class Relation(AdapterPart):
    """What all sites share: the coefficients C and the relation matrix S (Eq. 13).

    Args:
        rank: r.
        n_sites: T.
        relation: "learned" trains S from the identity on; "identity" freezes it there, "random" at
            values of variance 1 / T, both as controls.

    Attributes:
        C: (r, T), one column of shared coefficients per site; starts at 1.
        S: (T, T), how much site j speaks to site s in S[j, s].
    """

    def __init__(self, rank: int, n_sites: int, relation: RelationName = "learned") -> None:
        super().__init__()
        self.C = nn.Parameter(torch.ones(rank, n_sites))
        start = torch.eye(n_sites)
        if relation == "random":
            start = torch.randn(n_sites, n_sites) / math.sqrt(n_sites)
        self.S = nn.Parameter(start, requires_grad=relation == "learned")

    def forward(self, site: int) -> Tensor:
        """The communicated set of one site, Lambda^LM (Eq. 13): column `site` of C S, (r,).

        Written as a sum because autocast would round a matrix product to bfloat16, where a
        change of S below 0.4 % is lost.
        """
        return (self.C * self.S[:, site]).sum(dim=1)


class HamiltonLinear(nn.Module):
    """The intra-block enhancement W: an r x r map with the structure of a quaternion, no bias.

    Attributes:
        letters: (4, r/4, r/4), the blocks e, f, g, h; r * r / 4 free values.
    """

    _order: Tensor
    _signs: Tensor

    def __init__(self, rank: int, init: AdapterInit) -> None:
        super().__init__()
        self.register_buffer("_order", torch.tensor(_LETTERS), persistent=False)
        self.register_buffer("_signs", torch.tensor(_SIGNS)[:, :, None, None], persistent=False)
        start = _orthogonal_letters(rank) if init == "orthogonal" else _published_letters(rank)
        self.letters = nn.Parameter(start)

    @property
    def matrix(self) -> Tensor:
        """W as a dense (r, r) matrix."""
        return _assemble(self.letters, self._order, self._signs)


class PlainLinear(nn.Module):
    """W without structure, as the control of the ablation and as in the authors' medical code.

    Attributes:
        matrix: (r, r) free values; starts orthogonal, or as `nn.Linear` does ("published").
    """

    def __init__(self, rank: int, init: AdapterInit) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.empty(rank, rank))
        if init == "orthogonal":
            nn.init.orthogonal_(self.matrix)
        else:
            nn.init.kaiming_uniform_(self.matrix, a=math.sqrt(5))


_MIXINGS: Mapping[MixingName, type[HamiltonLinear | PlainLinear] | None] = {
    "quaternion": HamiltonLinear,
    "linear": PlainLinear,
    "none": None,
}


class CobotSite(nn.Module):
    """One site's part of COBOT: W diag(gamma + (C S)[:, s]), between down- and up-projection.

    The two coefficient sets are added before W, which is Eq. 17 for a linear site and what the
    authors' code does for AdaptFormer. It is handed out as one small matrix, which the projection
    beside it takes in: so its cost does not depend on the number of tokens.

    Args:
        relation: C and S of all sites.
        site: s, its column there.
        config: structure and start of W.

    Attributes:
        gamma: (r,), the site's own coefficients Lambda^MC; starts at 1.
        W: the intra-block enhancement; None where it is left out.
    """

    def __init__(self, relation: Relation, site: int, config: AdapterConfig) -> None:
        super().__init__()
        rank = relation.C.shape[0]
        # In a tuple the relation is no submodule here, so that C and S have one name in the model
        # and are saved once.
        self._shared = (relation,)
        self.site = site
        self.gamma = nn.Parameter(torch.ones(rank))
        kind = _MIXINGS[config.mixing]
        self.W = None if kind is None else kind(rank, config.init)

    @property
    def relation(self) -> Relation:
        """The shared C and S."""
        return self._shared[0]

    @property
    def mixing(self) -> Tensor:
        """W as a dense (r, r) matrix."""
        if self.W is None:
            return torch.eye(len(self.gamma)).to(self.gamma)
        matrix: Tensor = self.W.matrix
        return matrix

    def forward(self) -> Tensor:
        """W diag(gamma + (C S)[:, s]), (r, r): reweights and mixes the bottleneck directions."""
        coefficients = self.gamma + self.relation(self.site)  # Lambda^MC + Lambda^LM (Eq. 17)
        site_matrix: Tensor = self.mixing * coefficients
        return site_matrix


def _assemble(letters: Tensor, order: Tensor, signs: Tensor) -> Tensor:
    """Lay (4, n, n) blocks out as the (4n, 4n) Hamilton matrix."""
    rank = 4 * letters.shape[-1]
    blocks = letters[order] * signs
    return blocks.permute(0, 2, 1, 3).reshape(rank, rank)


def _orthogonal_letters(rank: int) -> Tensor:
    """Letters of a random orthogonal Hamilton matrix, (4, r/4, r/4).

    The polar factor of a Hamilton matrix is orthogonal and keeps the Hamilton structure.
    """
    letters = torch.randn(4, rank // 4, rank // 4, dtype=torch.float64)
    order = torch.tensor(_LETTERS)
    signs = torch.tensor(_SIGNS)[:, :, None, None]
    left, _, right = torch.linalg.svd(_assemble(letters, order, signs))
    polar: Tensor = left @ right
    return polar[:, : rank // 4].reshape(4, rank // 4, rank // 4).float()


def _published_letters(rank: int) -> Tensor:
    """Letters as the authors' code starts them: e = 0, the others uniform in 0..1."""
    letters = torch.rand(4, rank // 4, rank // 4)
    letters[0] = 0
    return letters
