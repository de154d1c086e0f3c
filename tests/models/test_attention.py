import pytest
import torch
from segment_anything.modeling.image_encoder import (
    add_decomposed_rel_pos,
    get_rel_pos,
    window_partition,
    window_unpartition,
)

from geocobot.models import attention, blocked
from geocobot.models.attention import attend, choose_kernel, relative_table

HEADS, WIDTH = 3, 4
KERNELS = ["dense", "blocked", "sdpa"]


def official(qkv, pad, rel_pos_h, rel_pos_w, span):
    """segment-anything's attention of (B, H, W, 3, heads, D) in windows, by its own functions."""
    height, width = qkv.shape[1:3]
    rows, columns = -(-height // span) * span, -(-width // span) * span
    whole = pad.expand(len(qkv), rows, columns, *pad.shape).clone()
    whole[:, :height, :width] = qkv
    windows, _ = window_partition(whole.flatten(3), span)
    n = len(windows)
    q, k, v = windows.view(n, span**2, 3, HEADS, -1).permute(2, 0, 3, 1, 4).flatten(1, 2)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    shape = (span, span)
    scores = add_decomposed_rel_pos(scores, q, rel_pos_h, rel_pos_w, shape, shape)
    attended = (scores.softmax(dim=-1) @ v).view(n, HEADS, span, span, -1)
    joined = attended.permute(0, 2, 3, 1, 4).flatten(3)
    tokens = window_unpartition(joined, span, (rows, columns), (height, width))
    return tokens.unflatten(-1, (HEADS, -1))


@pytest.fixture
def inputs():
    """Of 2 images of 5 x 7 tokens in windows of 4, in float64, with gradients."""
    torch.manual_seed(0)
    made = {
        "qkv": torch.randn(2, 5, 7, 3, HEADS, WIDTH, dtype=torch.float64),
        "pad": torch.randn(3, HEADS, WIDTH, dtype=torch.float64),
        "rel_pos_h": torch.randn(7, WIDTH, dtype=torch.float64),
        "rel_pos_w": torch.randn(7, WIDTH, dtype=torch.float64),
    }
    return {name: tensor.requires_grad_() for name, tensor in made.items()}


def ours(qkv, pad, rel_pos_h, rel_pos_w, *, span, kernel):
    tables = relative_table(rel_pos_h, span), relative_table(rel_pos_w, span)
    return attend(qkv, pad, *tables, kernel)


def with_gradients(out, inputs):
    direction = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)
    return out, torch.autograd.grad(out, list(inputs.values()), direction)


@pytest.mark.parametrize("kernel", KERNELS)
def test_windows_with_padding_are_those_of_segment_anything(inputs, kernel):
    expected = with_gradients(official(**inputs, span=4), inputs)
    found = with_gradients(ours(**inputs, span=4, kernel=kernel), inputs)
    torch.testing.assert_close(found, expected)


# One row of queries, one head, some windows, everything: what is computed at once.
@pytest.mark.parametrize("at_a_time", [20, 300, 256 * HEADS, 256 * HEADS * 2, 10**6])
@pytest.mark.parametrize("least_added_keys", [1, 100])
def test_blocks_of_any_size_give_the_same(inputs, monkeypatch, at_a_time, least_added_keys):
    monkeypatch.setattr(blocked, "_SCORES_AT_A_TIME", at_a_time)
    monkeypatch.setattr(blocked, "_LEAST_ADDED_KEYS", least_added_keys)
    expected = with_gradients(official(**inputs, span=4), inputs)
    found = with_gradients(ours(**inputs, span=4, kernel="blocked"), inputs)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kernel", KERNELS)
def test_gradients_are_those_of_finite_differences(kernel):
    torch.manual_seed(0)
    shapes = [(1, 3, 3, 3, 2, 2), (3, 2, 2), (2, 2, 2), (2, 2, 2)]
    arguments = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes]
    assert torch.autograd.gradcheck(lambda *given: attend(*given, kernel), arguments)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_attention_gives_the_same(inputs):
    single = {n: t.detach().float() for n, t in inputs.items()}
    expected = ours(**single, span=4, kernel="dense")
    torch.testing.assert_close(ours(**single, span=4, kernel="flex"), expected)


@pytest.mark.parametrize("kernel", KERNELS)
def test_bfloat16_stays_bfloat16_beside_float32_tables(inputs, kernel):
    half = {n: t.detach().bfloat16() for n, t in inputs.items()}
    tables = [half.pop(n).float() for n in ("rel_pos_h", "rel_pos_w")]
    tables = [relative_table(t, 4).requires_grad_() for t in tables]
    found = attend(*half.values(), *tables, kernel)
    assert found.dtype == torch.bfloat16
    found.sum().backward()
    assert all(t.grad.dtype == torch.float32 for t in tables)
    expected = official(**{n: t.detach().float() for n, t in inputs.items()}, span=4)
    torch.testing.assert_close(found.float(), expected, atol=0.1, rtol=0.1)


def test_autocast_leaves_the_precision_of_the_arguments(inputs):
    single = {n: t.detach().float() for n, t in inputs.items()}
    expected = ours(**single, span=4, kernel="blocked")
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ours(**single, span=4, kernel="blocked"), expected)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_the_blocked_operator_keeps_to_the_rules_of_custom_operators(inputs):
    tables = [relative_table(inputs[n], 4).detach() for n in ("rel_pos_h", "rel_pos_w")]
    arguments = inputs["qkv"], inputs["pad"], *(t.requires_grad_() for t in tables)
    torch.library.opcheck(torch.ops.geocobot.blocked_attention, arguments)


@pytest.mark.parametrize("kernel", ["blocked", "sdpa"])
def test_no_scores_are_kept_for_the_gradients(kernel):
    qkv = torch.randn(1, 32, 32, 3, 2, 8, requires_grad=True)
    pad, table = torch.randn(3, 2, 8), torch.randn(32, 32, 8)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()), id):
        attend(qkv, pad, table, table, kernel)
    n_scores = 2 * 1024**2
    assert max(kept) < n_scores / 10


def test_the_kernel_follows_device_and_size():
    small = torch.empty(1, 64, 64, 3, 12, 64)
    assert choose_kernel(small[:, :14, :14], (14, 14)) == "dense"
    assert choose_kernel(small, (14, 14)) == "blocked"
    assert choose_kernel(small, (64, 64)) == "blocked"
    assert choose_kernel(small.to("meta"), (64, 64)) == "sdpa"


@pytest.mark.parametrize("span", [4, 3, 6])
def test_a_relative_table_is_that_of_segment_anything(span):
    table = torch.randn(7, WIDTH)
    torch.testing.assert_close(relative_table(table, span), get_rel_pos(span, span, table))


def test_flash_kernels_get_widths_that_they_take(inputs, monkeypatch):
    seen = []

    def fused(q, k, v, **options):
        seen.extend(x.shape[-1] for x in (q, k, v))
        return v

    monkeypatch.setattr(attention.nn.functional, "scaled_dot_product_attention", fused)
    assert ours(**inputs, span=4, kernel="sdpa").shape[-1] == WIDTH
    assert seen == [16, 16, 16]
