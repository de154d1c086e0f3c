import logging
from dataclasses import replace

import pytest
import torch
from torch import nn

from geocobot.adapters.attach import adapter_state
from geocobot.adapters.config import AdapterConfig
from geocobot.errors import CheckpointError, ConfigError
from geocobot.models import bases
from geocobot.models.architecture import HeadConfig, SegmenterConfig
from geocobot.models.boxes import Boxes
from geocobot.models.cached_encoder import has_fixed_features
from geocobot.models.dense_head import DenseHead
from geocobot.models.segmenter import Segmenter, build_segmenter
from geocobot.models.weights import sha256_of

CONFIGS = [
    AdapterConfig("lora", cobot=False),
    AdapterConfig("lora"),
    AdapterConfig("adaptformer", cobot=False),
    AdapterConfig("adaptformer"),
    AdapterConfig("none"),
]


@pytest.fixture(params=CONFIGS, ids=lambda c: f"{c.method}{'-cobot' * c.cobot}")
def adapter(request):
    return request.param


class Echo(nn.Module):
    """An encoder or head that hands its last input on."""

    def forward(self, *inputs):
        return inputs[-1]


def test_values_are_normalized_as_sam_does(sam):
    image = torch.rand(2, 3, 32, 32)
    official = (255 * image - sam.pixel_mean) / sam.pixel_std
    torch.testing.assert_close(Segmenter(Echo(), Echo())(image), official)


@pytest.mark.parametrize("shape", [(1, 4, 32, 32), (1, 3, 40, 32), (1, 3, 32, 40)])
def test_an_image_that_tokens_do_not_divide_is_refused(shape):
    with pytest.raises(ValueError, match=r"needed is \(B, 3, H, W\), H and W multiples of 16"):
        Segmenter(Echo(), Echo())(torch.zeros(shape))


def test_a_pretrained_base_is_frozen_but_for_adapters_and_head(mini, adapter):
    segmenter = build_segmenter("mini", 2, adapter)
    assert not segmenter.encoder_trained
    trainable = {n for n, p in segmenter.named_parameters() if p.requires_grad}
    adapters = {f"encoder.{n}" for n in adapter_state(segmenter.encoder)}
    head = {f"head.{n}" for n, _ in segmenter.head.named_parameters()}
    assert trainable == adapters | head
    assert bool(adapters) == (adapter.method != "none")


def test_gradients_reach_adapters_and_head_only(mini, adapter):
    segmenter = build_segmenter("mini", 2, adapter)
    with torch.no_grad():
        for tensor in adapter_state(segmenter.encoder).values():
            tensor.add_(torch.randn(tensor.shape), alpha=0.1)
    segmenter(torch.rand(2, 3, 64, 64)).square().mean().backward()
    reached = {n for n, p in segmenter.named_parameters() if p.grad is not None}
    assert reached == {n for n, p in segmenter.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("size", [128, 96])
def test_at_the_start_the_adapted_segmenter_is_the_frozen_one_bit_for_bit(mini, adapter, size):
    image = torch.rand(1, 3, size, size)
    frozen = build_segmenter("mini", 2, None).eval()
    adapted = build_segmenter("mini", 2, adapter).eval()
    assert torch.equal(adapted(image), frozen(image))


def test_under_autocast_it_starts_at_the_frozen_one_too(mini, adapter):
    image = torch.rand(1, 3, 64, 64)
    frozen = build_segmenter("mini", 2, None).eval()
    adapted = build_segmenter("mini", 2, adapter).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough, also_rough = frozen(image), adapted(image)
    assert torch.equal(also_rough, rough)
    torch.testing.assert_close(rough.float(), frozen(image), atol=0.1, rtol=0.1)


def test_the_pretrained_encoder_is_sams(mini, sam):
    segmenter = build_segmenter("mini", 1, AdapterConfig()).eval()
    image = torch.rand(1, 3, 128, 128)
    normalized = (image - segmenter.pixel_mean) / segmenter.pixel_std
    torch.testing.assert_close(
        segmenter.encoder(normalized).neck, sam.image_encoder(normalized), atol=1e-5, rtol=1e-5
    )


def test_the_configuration_says_what_was_built(mini):
    adapter = AdapterConfig("adaptformer", rank=8)
    segmenter = build_segmenter("mini", 3, adapter)
    assert segmenter.config == SegmenterConfig(
        base="mini",
        base_sha256=mini.weights.sha256,
        adapter=adapter,
        head=HeadConfig(3, width=32),
        encoder_trained=False,
    )


def test_tiny_is_trained_whole_and_says_so(caplog, monkeypatch):
    monkeypatch.setitem(bases.BASES, "tiny", replace(bases.BASES["tiny"], bundled=None))
    with caplog.at_level(logging.INFO, "geocobot.models"):
        segmenter = build_segmenter("tiny", 2, AdapterConfig())
    assert "tiny has no pretrained weights: its encoder is trained as well" in caplog.text
    assert segmenter.encoder_trained
    assert all(p.requires_grad for p in segmenter.parameters())
    assert segmenter.config.base_sha256 is None
    assert segmenter(torch.rand(1, 3, 64, 128)).shape == (1, 2, 64, 128)


def test_a_random_start_takes_no_checkpoint(tmp_path):
    with pytest.raises(
        ConfigError, match=r"--start random is asked for with --checkpoint .*sam.pt"
    ):
        build_segmenter("tiny", 1, start="random", checkpoint=tmp_path / "sam.pth")


@pytest.mark.parametrize("base", ["mini", "small"])
def test_a_random_start_is_trained_whole_on_any_base(base, mini, bundled, caplog):
    with caplog.at_level(logging.INFO, "geocobot.models"):
        segmenter = build_segmenter(base, 2, AdapterConfig(), start="random")
    assert caplog.messages == [f"{base} starts at random, as asked: its encoder is trained as well"]
    assert segmenter.starts_at_random
    assert segmenter.encoder_trained
    assert all(p.requires_grad for p in segmenter.parameters())
    assert segmenter.config.head.kind == "dense"
    decoder = build_segmenter(base, 2, head="mask-decoder", start="random")
    assert decoder.config.head.image_stem


@pytest.mark.parametrize("method", ["none", "lora"])
def test_a_random_encoder_can_be_kept_as_it_is(small, method, caplog):
    with caplog.at_level(logging.INFO, "geocobot.models"):
        segmenter = build_segmenter(
            "small", 1, AdapterConfig(method), start="random", train_encoder=False
        )
    assert "small has no pretrained weights: its encoder stays as it is" in caplog.text
    assert segmenter.starts_at_random
    assert not segmenter.encoder_trained
    assert has_fixed_features(segmenter) == (method == "none")
    adapters = adapter_state(segmenter.encoder)
    trained = {n for n, p in segmenter.encoder.named_parameters() if p.requires_grad}
    assert trained == adapters.keys()


def test_a_pretrained_encoder_can_be_trained_beside_its_adapters(mini):
    segmenter = build_segmenter("mini", 1, AdapterConfig(), train_encoder=True)
    assert segmenter.encoder_trained
    assert not segmenter.starts_at_random
    assert all(p.requires_grad for p in segmenter.encoder.parameters())


def test_full_fine_tuning_of_a_frozen_encoder_is_refused(mini):
    with pytest.raises(ValueError, match='"full" trains the encoder; "none" freezes it'):
        build_segmenter("mini", 1, AdapterConfig("full"), train_encoder=False)


def pixels(size=64):
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("named", [True, False])
def test_a_base_file_gives_back_the_encoder_it_was_written_from(
    small, base_file, parts, named, bundled
):
    segmenter = build_segmenter("small", 1, checkpoint=base_file if named else None).eval()
    assert segmenter.config.base_sha256 == sha256_of(base_file)
    with torch.no_grad():
        found, exact = segmenter.encoder(pixels()), parts["encoder"](pixels())
    for own, expected in zip((found.neck, *found.levels), (exact.neck, *exact.levels), strict=True):
        # float16 has 11 bits; a few layers add their roundings.
        assert (own - expected).abs().max() < 5e-3 * expected.abs().max()


@pytest.mark.parametrize("head", ["dense", "mask-decoder"])
def test_on_a_base_file_adapters_and_head_are_trained(small, base_file, adapter, head):
    segmenter = build_segmenter("small", 2, adapter, head=head, checkpoint=base_file)
    assert not segmenter.encoder_trained
    assert not segmenter.starts_at_random
    assert segmenter.config.head.image_stem == (head == "mask-decoder")
    with torch.no_grad():
        for tensor in adapter_state(segmenter.encoder).values():
            tensor.add_(torch.randn(tensor.shape), alpha=0.1)
    segmenter(pixels()).square().mean().backward()
    reached = {n for n, p in segmenter.named_parameters() if p.grad is not None}
    adapters = {f"encoder.{n}" for n in adapter_state(segmenter.encoder)}
    assert reached == adapters | {f"head.{n}" for n, _ in segmenter.head.named_parameters()}


def test_boxes_start_from_the_mask_that_pretraining_drew(small, base_file, parts):
    segmenter = build_segmenter("small", 1, prompt="boxes", checkpoint=base_file).eval()
    boxes = Boxes(torch.tensor([[3.0, 4.0, 40.0, 50.0]]), torch.tensor([0]), torch.tensor([0]))
    with torch.no_grad():
        features, image = segmenter.encode(pixels())
        drawn = parts["mask_head"](parts["encoder"](image), image, boxes)
        found = segmenter.head(features, image, boxes)
    assert (found - drawn).abs().max() < 2e-2 * drawn.abs().max()


def test_a_head_without_weights_is_said_to_start_at_random(mini, caplog):
    with caplog.at_level(logging.INFO, "geocobot.models"):
        build_segmenter("mini", 1, head="dense")
    assert "The weights of mini have no head dense: it starts at random" in caplog.text


@pytest.mark.parametrize("base", ["mini", "tiny"])
def test_the_dense_head_starts_at_random_on_any_base(base, mini):
    segmenter = build_segmenter(base, 3, AdapterConfig(), head="dense", seed=1)
    assert isinstance(segmenter.head, DenseHead)
    assert segmenter.config.head.kind == "dense"
    assert segmenter(torch.rand(2, 3, 48, 64)).shape == (2, 3, 48, 64)
    other = build_segmenter(base, 3, AdapterConfig(), head="dense", seed=2)
    assert not torch.equal(segmenter.head.readers[0].weight, other.head.readers[0].weight)


def test_the_dense_head_teaches_every_weight_of_an_encoder_from_a_random_start():
    segmenter = build_segmenter("tiny", 1, AdapterConfig(), head="dense", start="random")
    with torch.no_grad():
        for tensor in adapter_state(segmenter.encoder).values():
            tensor.add_(torch.randn(tensor.shape), alpha=0.1)
    segmenter(torch.rand(2, 3, 64, 64)).square().mean().backward()
    assert [n for n, p in segmenter.named_parameters() if p.grad is None] == []


def test_an_unknown_base():
    with pytest.raises(ConfigError, match="--base huge is not known"):
        build_segmenter("huge", 1)


def test_a_checkpoint_of_another_kind(mini, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no weights")
    with pytest.raises(CheckpointError, match="cannot be read as PyTorch weights"):
        build_segmenter("mini", 1, checkpoint=path)


def test_the_seed_decides_and_the_global_generator_is_left_alone():
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    first, again, other = (
        build_segmenter("tiny", 1, AdapterConfig(), start="random", seed=s) for s in (5, 5, 6)
    )
    assert torch.equal(torch.rand(3), expected)
    states = [m.state_dict() for m in (first, again, other)]
    assert all(torch.equal(states[0][n], states[1][n]) for n in states[0])
    for part in ("encoder.", "head."):
        names = [n for n in states[0] if n.startswith(part)]
        assert not all(torch.equal(states[0][n], states[2][n]) for n in names)


def test_a_head_of_many_classes_learns_to_tell_them_apart(mini):
    # Classes beyond the fourth start from the same token; their labels part them.
    torch.manual_seed(0)
    segmenter = build_segmenter("mini", 5, AdapterConfig())
    image = torch.rand(1, 3, 64, 64)
    start = segmenter(image)
    torch.testing.assert_close(start[:, 0], start[:, 4])
    optimizer = torch.optim.SGD([p for p in segmenter.parameters() if p.requires_grad], lr=0.01)
    target = torch.zeros(1, 5, 64, 64)
    target[:, 0] = 1
    nn.functional.binary_cross_entropy_with_logits(start, target).backward()
    optimizer.step()
    after = segmenter(image)
    assert after[:, 0].mean() > after[:, 4].mean()


@pytest.mark.parametrize("recompute", [False, True])
def test_the_encoder_saves_memory_on_request_with_the_same_gradients(mini, recompute):
    image = torch.rand(1, 3, 64, 64)
    plain, asked = (
        build_segmenter("mini", 1, AdapterConfig("adaptformer", dropout=0.0), recompute=r)
        for r in (False, recompute)
    )
    assert asked.encoder.recompute is recompute
    for segmenter in (plain, asked):
        segmenter(image).square().mean().backward()
    expected = dict(plain.named_parameters())
    for name, parameter in asked.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, expected[name].grad, msg=name)
