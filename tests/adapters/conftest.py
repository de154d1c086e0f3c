import pytest
import torch
from torch import nn

from geocobot.adapters.config import AdapterConfig


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.proj(nn.functional.scaled_dot_product_attention(q, k, v))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """A transformer that is neither SAM nor of one width only in its forward."""

    def __init__(self, width=24, depth=3):
        super().__init__()
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


@pytest.fixture
def transformer():
    torch.manual_seed(0)
    return Transformer()


@pytest.fixture
def tokens():
    return torch.randn(2, 5, 24, generator=torch.Generator().manual_seed(1))


VARIANTS = [
    AdapterConfig("lora", cobot=False),
    AdapterConfig("lora", cobot=True),
    AdapterConfig("lora", cobot=True, rank=8),
    AdapterConfig("adaptformer", cobot=False),
    AdapterConfig("adaptformer", cobot=True),
]


@pytest.fixture(params=VARIANTS, ids=lambda c: f"{c.method}-{c.rank}{'-cobot' * c.cobot}")
def config(request):
    return request.param
