import copy

import pytest
import torch
from torch import nn

from geocobot.adapters.config import AdapterConfig
from geocobot.models import bases
from geocobot.models.architecture import HeadConfig, SegmenterConfig
from geocobot.models.cached_encoder import (
    CachedEncoder,
    has_fixed_features,
    identify,
    kept_bytes,
    reusing_features,
)
from geocobot.models.checkpoint import Checkpoint
from geocobot.models.encoder import Features
from geocobot.models.feature_cache import FeatureCache
from geocobot.models.heads import head_config, make_head
from geocobot.models.modelfile import model_state
from geocobot.models.segmenter import Segmenter, assemble

from .mini import MINI


class Levels(nn.Module):
    """A head that looks at every level."""

    needs_levels = True

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.joined = nn.LazyConv2d(1, 1)

    def forward(self, features, image):
        planes = self.joined(torch.cat([features.neck, *features.levels], dim=1))
        return nn.functional.interpolate(planes, size=image.shape[-2:])


@pytest.fixture
def build(sam, monkeypatch):
    """Build the miniature base with an adapter and a head for two classes."""
    monkeypatch.setitem(bases.BASES, "mini", MINI)

    def build(adapter):
        weights = Checkpoint(sam.state_dict(), "0" * 64)
        head = HeadConfig(2, width=MINI.out_channels)
        config = SegmenterConfig("mini", weights.sha256, adapter, head, encoder_trained=False)
        return copy.deepcopy(assemble(config, weights))

    return build


@pytest.fixture
def segmenter(build):
    return build(AdapterConfig("none"))


@pytest.fixture
def store(tmp_path):
    return FeatureCache(tmp_path / "features", 10**7)


@pytest.fixture
def images():
    return torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def sizes(segmenter):
    """Sizes of the batches that the encoder itself gets."""
    seen = []
    segmenter.encoder.register_forward_hook(lambda _module, x, _out: seen.append(len(x[0])))
    return seen


def test_every_patch_reaches_the_encoder_once(segmenter, store, images, sizes):
    with reusing_features(segmenter, store) as cached:
        first = segmenter(images[:3])
        mixed = segmenter(images[[3, 1, 3, 0]])
        again = segmenter(images[:3])
    assert sizes == [3, 1]
    assert (cached.shown, cached.encoded) == (10, 4)
    torch.testing.assert_close(mixed[3], first[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(mixed[1], first[1], rtol=0, atol=1e-5)
    assert torch.equal(mixed[0], mixed[2])
    assert torch.equal(again, first)


def test_another_run_finds_what_this_one_kept(segmenter, store, images, sizes):
    with reusing_features(segmenter, store):
        first = segmenter(images)
    with reusing_features(segmenter, FeatureCache(store.folder, 10**7)) as cached:
        assert torch.equal(segmenter(images), first)
    assert (cached.shown, cached.encoded) == (4, 0)
    assert sizes == [4]
    assert store.count(cached.prefix) == 4


def test_features_are_those_of_the_encoder_up_to_float16(segmenter, store, images):
    x = (images - 0.5) * 4
    with torch.no_grad():
        expected = segmenter.encoder(x)
    cached = CachedEncoder(segmenter.encoder, store, "some", with_levels=True)
    for _ in range(2):
        found = cached(x)
        assert len(found.levels) == len(expected.levels)
        for a, b in zip(
            [found.neck, *found.levels], [expected.neck, *expected.levels], strict=True
        ):
            assert a.dtype == torch.float32
            torch.testing.assert_close(a, b, rtol=2**-11, atol=1e-6)


def test_only_what_the_head_asks_for_is_kept(segmenter, store, images):
    with reusing_features(segmenter, store):
        assert segmenter.encoder(images).levels == ()
    small = sum(path.stat().st_size for path in store.folder.iterdir())
    segmenter.head = Levels()
    with reusing_features(segmenter, store) as cached:
        assert len(segmenter.encoder(images).levels) == 1
    assert cached.encoded == 4
    assert sum(path.stat().st_size for path in store.folder.iterdir()) > 2.5 * small


@pytest.mark.parametrize("kind", ["mask-decoder", "dense"])
def test_a_head_says_truly_whether_it_looks_at_levels(segmenter, images, kind):
    head = make_head(head_config(MINI, 2, kind, "pretrained")).eval()
    with torch.no_grad():
        features, image = segmenter.encode(images)
        doubled = Features(tuple(2 * level for level in features.levels), features.neck)
        is_same = torch.equal(head(features, image), head(doubled, image))
    assert head.needs_levels == (not is_same)


@pytest.mark.parametrize("with_levels", [False, True])
@pytest.mark.parametrize("side", [64, 96, 128])
def test_the_size_of_files_is_known_beforehand(segmenter, store, with_levels, side):
    if with_levels:
        segmenter.head = Levels()
    foretold = kept_bytes(segmenter, side)
    with reusing_features(segmenter, store):
        segmenter(torch.rand(1, 3, side, side))
    (path,) = store.folder.iterdir()
    assert foretold - 512 < path.stat().st_size <= foretold


def touched(encoder):
    with torch.no_grad():
        list(encoder.parameters())[-1].view(-1)[-1] += 1e-6


@pytest.mark.parametrize("change", [touched, lambda encoder: encoder.double()])
def test_another_base_hits_nothing(segmenter, store, images, change):
    with reusing_features(segmenter, store):
        segmenter(images)
    change(segmenter.encoder)
    with reusing_features(segmenter, store) as cached:
        segmenter.encoder(images.to(next(segmenter.encoder.parameters()).dtype))
    assert cached.encoded == 4


def test_an_identity_is_of_name_and_tensors(segmenter):
    encoder = segmenter.encoder
    assert identify(encoder, "mini") == identify(encoder, "mini")
    assert identify(encoder, "mini") != identify(encoder, "maxi")
    before = identify(encoder, "mini")
    touched(encoder)
    assert identify(encoder, "mini") != before


def test_features_of_another_precision_are_others(segmenter, store, images):
    with reusing_features(segmenter, store) as cached:
        segmenter(images)
        with torch.autocast("cpu", torch.bfloat16):
            half = segmenter(images)
            assert cached.encoded == 8
            assert torch.equal(segmenter(images), half)
    assert cached.encoded == 8


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x + 1e-7 * (torch.arange(x.numel()).reshape(x.shape) == 5),
        lambda x: x.flip(-1),
        lambda x: x.reshape(1, 3, 32, 128),
        lambda x: x.double(),
    ],
)
def test_patches_that_differ_at_all_are_others(segmenter, store, change):
    class Any(nn.Module):
        def forward(self, x):
            return Features((), x)

    cached = CachedEncoder(Any(), store, "any", with_levels=False)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    cached(image)
    cached(change(image))
    cached(image.clone())
    assert cached.encoded == 2


def test_gradients_reach_the_head_alone_and_are_the_same(segmenter, store, images):
    def gradients():
        segmenter.zero_grad(set_to_none=True)
        segmenter(images).square().mean().backward()
        return {n: p.grad for n, p in segmenter.head.named_parameters() if p.grad is not None}

    expected = gradients()
    total = torch.stack([gradient.norm() for gradient in expected.values()]).norm()
    with reusing_features(segmenter, store):
        for _ in range(2):
            found = gradients()
            assert all(p.grad is None for p in segmenter.encoder.parameters())
            assert found.keys() == expected.keys()
            for name, gradient in found.items():
                assert (gradient - expected[name]).norm() < 2e-3 * total, name


def test_what_is_kept_does_not_hang_on_dropout(store):
    class Dropping(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def forward(self, x):
            return Features((), self.drop(x))

    segmenter = Segmenter(Dropping(), Levels())
    image = torch.rand(1, 3, 32, 32)
    with reusing_features(segmenter, store):
        segmenter.train()
        assert segmenter.head.training
        assert torch.equal(segmenter.encoder(image).neck, image.half().float())
        assert segmenter.encoder.encoder.drop.training


def test_the_segmenter_is_itself_again(segmenter, store, images):
    encoder, state = segmenter.encoder, model_state(segmenter)
    names = [name for name, p in segmenter.named_parameters() if p.requires_grad]
    with reusing_features(segmenter, store):
        assert model_state(segmenter).keys() == state.keys()
        assert [n for n, p in segmenter.named_parameters() if p.requires_grad] == names
    assert segmenter.encoder is encoder
    with pytest.raises(ValueError, match="multiples of 16"), reusing_features(segmenter, store):
        segmenter(torch.zeros(1, 3, 8, 8))
    assert segmenter.encoder is encoder


@pytest.mark.parametrize("adapter", [AdapterConfig("lora"), AdapterConfig("adaptformer")])
def test_features_that_are_trained_are_not_kept(build, store, adapter):
    segmenter = build(adapter)
    assert not has_fixed_features(segmenter)
    with (
        pytest.raises(ValueError, match="where it or its input is trained"),
        reusing_features(segmenter, store),
    ):
        pass


def test_features_are_computed_all_the_same_where_nothing_can_be_kept(segmenter, tmp_path, images):
    expected = segmenter(images)
    with reusing_features(segmenter, FeatureCache(tmp_path / "features", 1)) as cached:
        for _ in range(2):
            torch.testing.assert_close(segmenter(images), expected, rtol=0, atol=0.02)
    assert cached.encoded == 8


def test_a_damaged_file_is_computed_again(segmenter, store, images):
    with reusing_features(segmenter, store) as cached:
        first = segmenter(images)
        path = next(store.folder.iterdir())
        path.write_bytes(path.read_bytes()[:100])
        again = segmenter(images)
        assert cached.encoded == 5
        torch.testing.assert_close(again, first, rtol=0, atol=1e-5)
        segmenter(images)
    assert cached.encoded == 5
