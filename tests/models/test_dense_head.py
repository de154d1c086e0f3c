import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geocobot.models.architecture import HeadConfig
from geocobot.models.dense_head import DenseHead
from geocobot.models.encoder import Features


def make_head(n_classes=2, level_widths=(24, 24), width=32):
    torch.manual_seed(0)
    return DenseHead(
        HeadConfig(n_classes, kind="dense", width=width, level_widths=level_widths, fused_width=32)
    ).eval()


def random_features(batch, height, width, level_widths=(24, 24), neck=32):
    shape = (height // 16, width // 16)
    levels = tuple(torch.randn(batch, w, *shape) for w in level_widths)
    return Features(levels, torch.randn(batch, neck, *shape))


@settings(max_examples=20, deadline=None)
@given(
    n_classes=st.integers(1, 5),
    rows=st.integers(1, 6),
    cols=st.integers(1, 6),
    level_widths=st.lists(st.integers(1, 40), max_size=4),
)
def test_one_plane_per_class_at_the_images_size(n_classes, rows, cols, level_widths):
    head = make_head(n_classes, tuple(level_widths))
    height, width = 16 * rows, 16 * cols
    features = random_features(2, height, width, level_widths)
    assert head(features, torch.randn(2, 3, height, width)).shape == (2, n_classes, height, width)


def test_images_of_a_batch_do_not_touch_each_other():
    head, image, features = make_head(), torch.randn(3, 3, 64, 64), random_features(3, 64, 64)
    together = head(features, image)
    for i in range(3):
        own = Features(tuple(v[i : i + 1] for v in features.levels), features.neck[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], head(own, image[i : i + 1]))


def test_where_a_tile_was_cut_does_not_matter():
    head, image, features = make_head(), torch.randn(1, 3, 256, 320), random_features(1, 256, 320)
    whole = head(features, image)
    cut = Features(
        tuple(v[..., 2:14, 3:18] for v in features.levels), features.neck[..., 2:14, 3:18]
    )
    part = head(cut, image[..., 32:224, 48:288])
    # What lies within reach of the cut itself sees zeros beyond it.
    inner = slice(48, -48)
    torch.testing.assert_close(
        part[..., inner, inner], whole[..., 32:224, 48:288][..., inner, inner]
    )


@pytest.mark.parametrize("place", [0, 1, "neck"])
def test_every_level_and_the_neck_count(place):
    head, image, features = make_head(), torch.randn(1, 3, 64, 64), random_features(1, 64, 64)
    levels, neck = list(features.levels), features.neck
    if place == "neck":
        neck = torch.randn_like(neck)
    else:
        levels[place] = torch.randn_like(levels[place])
    assert not torch.equal(head(features, image), head(Features(tuple(levels), neck), image))


def test_another_number_of_levels_is_refused():
    head, features = make_head(), random_features(1, 64, 64, (24,))
    with pytest.raises(ValueError, match="shorter than argument 1"):
        head(features, torch.randn(1, 3, 64, 64))


def test_the_scale_of_a_level_does_not_count():
    head, image, features = make_head(), torch.randn(1, 3, 64, 64), random_features(1, 64, 64)
    louder = Features(tuple(1000 * v for v in features.levels), features.neck)
    torch.testing.assert_close(head(louder, image), head(features, image), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("row", [30, 31])
@pytest.mark.parametrize("col", [30, 31])
def test_every_pixel_of_the_image_counts_and_most_around_itself(row, col):
    head, features, image = make_head(), random_features(1, 64, 64), torch.randn(1, 3, 64, 64)
    dotted = image.clone()
    dotted[..., row, col] += 3
    change = (head(features, dotted) - head(features, image)).abs().amax(dim=(0, 1))
    near = change[row - 8 : row + 9, col - 8 : col + 9]
    assert near.max() == change.max() > 0
    assert near.mean() > 3 * change.mean()


@pytest.mark.parametrize("kind", ["row", "col"])
def test_lines_of_one_pixel_are_learned(kind):
    torch.manual_seed(0)
    head = DenseHead(HeadConfig(1, kind="dense", width=32))
    optimizer = torch.optim.AdamW(head.parameters(), lr=3e-3)
    places = torch.randint(0, 32, (61, 3))
    for step in range(61):
        truth = torch.zeros(1, 1, 32, 32)
        truth[..., places[step], :] = 1
        truth = truth if kind == "row" else truth.mT
        image = truth.expand(1, 3, 32, 32) + 0.3 * torch.randn(1, 3, 32, 32)
        logits = head(Features((), torch.zeros(1, 32, 2, 2)), image)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # The last ones were not learned from when these logits were made.
    found, wanted = logits > 0, truth > 0
    assert (found & wanted).sum() / (found | wanted).sum() > 0.95


def test_the_encoder_has_a_gradient_of_its_own():
    head, image, features = make_head(), torch.randn(1, 3, 64, 64), random_features(1, 64, 64)
    features.neck.requires_grad_()
    (gradient,) = torch.autograd.grad(head(features, image).sum(), features.neck)
    for reader in head.readers[:-1]:
        torch.nn.init.zeros_(reader.weight)
    (at_the_end,) = torch.autograd.grad(head(features, image).sum(), features.neck)
    assert gradient.norm() > 5 * at_the_end.norm() > 0


def test_every_parameter_learns():
    head = make_head()
    head(random_features(2, 64, 64), torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert [n for n, p in head.named_parameters() if p.grad is None or not p.grad.any()] == []
