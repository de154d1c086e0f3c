import pytest
import torch
from torch import nn

from geocobot.adapters.attach import adapter_state
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
    AdapterConfig("lora", cobot=True, rank=8, targets=("q", "k", "v", "proj", "mlp")),
    AdapterConfig("lora", cobot=True, rank=6, mixing="linear"),
    AdapterConfig("lora", cobot=True, rank=5, mixing="none", targets=("mlp",)),
    AdapterConfig("dora", cobot=False),
    AdapterConfig("dora", cobot=True, targets=("k", "proj")),
    AdapterConfig("adaptformer", cobot=False),
    AdapterConfig("adaptformer", cobot=True),
]


def name_of(config):
    """A short name for the report."""
    parts = [config.method, str(config.rank), *config.targets]
    return "-".join([*parts, config.mixing] if config.cobot else parts)


@pytest.fixture(params=VARIANTS, ids=name_of)
def config(request):
    return request.param


@pytest.fixture(params=[c for c in VARIANTS if c.method != "adaptformer"], ids=name_of)
def linear_config(request):
    return request.param


def wake(model, size=0.3):
    """Move every adapter parameter off its start, so that all of them matter."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for tensor in adapter_state(model).values():
            tensor.add_(torch.randn(tensor.shape, generator=generator), alpha=size)
