"""Whether the small matrices of COBOT stay well-conditioned while they are trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geocobot.adapters.cobot import CobotSite


@torch.no_grad()
def condition_numbers(model: nn.Module) -> dict[str, float]:
    """Condition numbers of the relation matrix S and of the mixing matrices W.

    The ratio of the largest to the smallest singular value: 1 for an orthogonal matrix, infinite
    where directions were lost.

    Args:
        model: with adapters attached.

    Returns:
        "condition_s", and over all sites "condition_w_median" and "condition_w_max"; empty for a
        model without COBOT.
    """
    sites = [module for module in model.modules() if isinstance(module, CobotSite)]
    if not sites:
        return {}
    mixing = torch.stack([_condition(site.mixing) for site in sites])
    return {
        "condition_s": float(_condition(sites[0].relation.S)),
        "condition_w_median": float(mixing.median()),
        "condition_w_max": float(mixing.max()),
    }


def _condition(matrix: Tensor) -> Tensor:
    """Condition number of one matrix, in float64."""
    number: Tensor = torch.linalg.cond(matrix.double())
    return number
