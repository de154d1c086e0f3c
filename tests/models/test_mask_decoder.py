import pytest
import torch
from segment_anything.modeling import MaskDecoder, TwoWayTransformer

from geocobot.models.architecture import HeadConfig
from geocobot.models.encoder import Features
from geocobot.models.mask_decoder import MaskDecoderHead


def random_features(*shape):
    """What an encoder without levels would hand out."""
    return Features((), torch.randn(*shape))


def make_head(n_classes=2, *, image_stem=False):
    torch.manual_seed(0)
    return MaskDecoderHead(HeadConfig(n_classes, image_stem=image_stem, width=32)).eval()


@pytest.mark.parametrize("n_classes", [1, 2, 7])
@pytest.mark.parametrize("image_stem", [False, True])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 128)])
def test_one_plane_per_class_at_the_images_size(n_classes, image_stem, height, width):
    head = make_head(n_classes, image_stem=image_stem)
    image = torch.randn(2, 3, height, width)
    features = random_features(2, 32, height // 16, width // 16)
    assert head(features, image).shape == (2, n_classes, height, width)


def test_images_of_a_batch_do_not_touch_each_other():
    head = make_head(image_stem=True)
    image, features = torch.randn(3, 3, 64, 64), random_features(3, 32, 4, 4)
    together = head(features, image)
    alone = torch.cat(
        [head(Features((), features.neck[i : i + 1]), image[i : i + 1]) for i in range(3)]
    )
    torch.testing.assert_close(together, alone)


def test_without_a_stem_only_features_count():
    head, features = make_head(), random_features(1, 32, 4, 4)
    images = torch.randn(2, 1, 3, 64, 64)
    assert torch.equal(head(features, images[0]), head(features, images[1]))


def test_with_a_stem_one_pixel_counts():
    head, features = make_head(image_stem=True), random_features(1, 32, 4, 4)
    image = torch.randn(1, 3, 64, 64)
    dotted = image.clone()
    dotted[0, 0, 20, 40] += 3
    change = (head(features, dotted) - head(features, image)).abs().amax(dim=(0, 1))
    # Norms over the whole image carry a little of it everywhere.
    near = change[12:29, 32:49]
    assert near.max() == change.max()
    assert near.mean() > 5 * change.mean()


def test_it_is_sams_decoder_without_the_iou_token():
    torch.manual_seed(0)
    sam = MaskDecoder(transformer_dim=32, transformer=TwoWayTransformer(2, 32, 8, 2048)).eval()
    head = make_head(n_classes=4)
    head.load_state_dict(sam.state_dict(), strict=False)
    features = random_features(1, 32, 4, 4)
    positions = head.pe_layer((4, 4)).unsqueeze(0)
    prompt = head.no_mask_embed.weight.reshape(1, -1, 1, 1)
    hidden, source = sam.transformer(
        features.neck + prompt, positions, sam.mask_tokens.weight[None]
    )
    fine = sam.output_upscaling(source.transpose(1, 2).reshape(1, 32, 4, 4))
    kernels = [mlp(hidden[:, k]) for k, mlp in enumerate(sam.output_hypernetworks_mlps)]
    masks = (torch.stack(kernels, dim=1) @ fine.flatten(2)).reshape(1, 4, 16, 16)
    full = torch.nn.functional.interpolate(masks, (64, 64), mode="bilinear")
    torch.testing.assert_close(head(features, torch.zeros(1, 3, 64, 64)), full)


def test_positions_stay_exact_under_autocast():
    head = make_head()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = head._positions(4, 4)
    assert torch.equal(rough, head._positions(4, 4))


def test_every_parameter_learns():
    head = make_head(image_stem=True)
    head(random_features(2, 32, 4, 4), torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert [n for n, p in head.named_parameters() if p.grad is None or not p.grad.any()] == []
