import pytest
import torch

from geocobot.adapters.attach import adapter_state
from geocobot.adapters.config import AdapterConfig
from geocobot.bands import BandRange
from geocobot.classes import name_classes
from geocobot.models.architecture import HeadConfig
from geocobot.models.boxes import Boxes, BoxPromptedHead
from geocobot.models.card import ModelCard
from geocobot.models.checkpoint import load_checkpoint
from geocobot.models.encoder import Features
from geocobot.models.modelfile import load_model, save_model
from geocobot.models.segmenter import build_segmenter
from geocobot.progress import SilentProgress

SIDE = 128
CORNERS = torch.tensor([[3.0, 10, 50, 90], [0, 0, 127, 127], [64, 5, 64, 5], [70.5, 20.25, 99, 21]])


def boxes_in(image=(0, 0, 1, 2), plane=(0, 0, 0, 0)):
    return Boxes(CORNERS, torch.tensor(image), torch.tensor(plane))


def make_head(n_classes=1, *, image_stem=False):
    torch.manual_seed(0)
    config = HeadConfig(n_classes, width=32, image_stem=image_stem, prompt="boxes")
    return BoxPromptedHead(config).eval()


@pytest.fixture
def pretrained(mini, checkpoint):
    """Heads that start from the miniature SAM."""

    def make(n_classes=1):
        head = make_head(n_classes)
        load_checkpoint(mini, checkpoint, SilentProgress()).start_head(head)
        return head

    return make


def random_features(batch=3, tokens=8):
    return Features((), torch.randn(batch, 32, tokens, tokens))


def images(batch=3):
    return torch.zeros(batch, 3, SIDE, SIDE)


@torch.no_grad()
def sams_own_masks(sam, neck, boxes):
    """What segment-anything's prompt encoder and mask decoder make of each box."""
    masks = []
    for corners, image in zip(boxes.corners, boxes.image, strict=True):
        sparse, dense = sam.prompt_encoder(points=None, boxes=corners[None], masks=None)
        low, _ = sam.mask_decoder(
            image_embeddings=neck[image : image + 1],
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        masks.append(low[0, 0])
    return torch.stack(masks)


@pytest.mark.parametrize("n_classes", [1, 3])
def test_with_sams_weights_the_mask_of_a_box_is_sams_own(sam, pretrained, n_classes):
    boxes = boxes_in(plane=(0, n_classes - 1, 0, n_classes // 2))
    features = random_features()
    masks = pretrained(n_classes).coarse_masks(features, images(), boxes)
    expected = sams_own_masks(sam, features.neck, boxes)
    assert masks.shape == (4, 32, 32)
    torch.testing.assert_close(masks, expected, atol=1e-5, rtol=1e-5)
    full = torch.nn.functional.interpolate(
        expected[None], (SIDE, SIDE), mode="bilinear", align_corners=False
    )
    ours = pretrained(n_classes)(features, images(), boxes)
    torch.testing.assert_close(ours, full[0], atol=1e-5, rtol=1e-5)


def test_sams_whole_way_from_image_to_mask(mini, sam):
    segmenter = build_segmenter("mini", 1, AdapterConfig(), prompt="boxes").eval()
    image, boxes = torch.rand(3, 3, SIDE, SIDE), boxes_in()
    neck = sam.image_encoder((255 * image - sam.pixel_mean) / sam.pixel_std)
    masks = segmenter.head.coarse_masks(*segmenter.encode(image), boxes)
    torch.testing.assert_close(masks, sams_own_masks(sam, neck, boxes), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("image_stem", [False, True])
def test_boxes_do_not_touch_each_other(image_stem):
    head, features = make_head(2, image_stem=image_stem), random_features()
    boxes, image = boxes_in(plane=(0, 1, 1, 0)), torch.randn(3, 3, SIDE, SIDE)
    together = head(features, image, boxes)
    alone = torch.cat([head(features, image, boxes[i : i + 1]) for i in range(4)])
    assert together.shape == (4, SIDE, SIDE)
    torch.testing.assert_close(together, alone)


def test_a_mask_comes_from_the_image_and_the_class_of_its_box():
    head, features = make_head(2), random_features()
    boxes = boxes_in(image=(0, 0, 0, 0))
    moved = Features((), features.neck.clone())
    moved.neck[1:] += 1
    assert torch.equal(head(features, images(), boxes), head(moved, images(), boxes))
    other = boxes_in(image=(1, 1, 1, 1))
    assert not torch.allclose(head(features, images(), boxes), head(features, images(), other))
    two_classes = boxes_in(image=(0, 0, 0, 0), plane=(0, 1, 0, 1))
    before = head(features, images(), two_classes)
    with torch.no_grad():
        head.mask_tokens.weight[1] += 1
    same = (head(features, images(), two_classes) == before).flatten(1).all(dim=1)
    assert same.tolist() == [True, False, True, False]


def test_every_side_of_a_box_counts():
    head, features = make_head(), random_features()
    boxes = boxes_in()
    mask = head(features, images(), boxes)[0]
    for side in range(4):
        moved = Boxes(boxes.corners.clone(), boxes.image, boxes.plane)
        moved.corners[0, side] += 2
        assert not torch.allclose(head(features, images(), moved)[0], mask)


def test_corners_stay_exact_under_autocast():
    head, boxes = make_head(), boxes_in()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = head._corner_tokens(boxes.corners, images().shape[-2:])
    assert torch.equal(rough, head._corner_tokens(boxes.corners, images().shape[-2:]))


def test_each_side_of_an_image_is_measured_by_itself():
    head = make_head()
    wide = head._corner_tokens(torch.tensor([[0.0, 0, 255, 127]]), torch.Size((128, 256)))
    # The middles of the first and the last of 256 columns, in columns twice as wide.
    same = torch.tensor([[-0.25, 0, 127.25, 127]])
    expected = head._corner_tokens(same, torch.Size((128, 128)))
    torch.testing.assert_close(wide, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("method", ["lora", "adaptformer", "none"])
def test_gradients_reach_adapters_and_head_and_nothing_else(mini, method):
    segmenter = build_segmenter("mini", 2, AdapterConfig(method), prompt="boxes")
    with torch.no_grad():
        for tensor in adapter_state(segmenter.encoder).values():
            tensor.add_(torch.randn(tensor.shape), alpha=0.1)
    masks = segmenter(torch.rand(3, 3, SIDE, SIDE), boxes_in(plane=(0, 1, 0, 1)))
    masks.square().mean().backward()
    reached = {n for n, p in segmenter.named_parameters() if p.grad is not None and p.grad.any()}
    assert reached == {n for n, p in segmenter.named_parameters() if p.requires_grad}
    assert "head.companion_tokens.weight" in reached
    assert "head.corner_embeddings.weight" in reached


def test_every_parameter_learns_beside_a_stem():
    head = make_head(2, image_stem=True)
    masks = head(random_features(), torch.randn(3, 3, SIDE, SIDE), boxes_in(plane=(0, 1, 0, 1)))
    masks.square().mean().backward()
    assert [n for n, p in head.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_model_file_knows_its_prompt(mini, tmp_path):
    segmenter = build_segmenter("mini", 2, AdapterConfig(), prompt="boxes").eval()
    card = ModelCard(
        segmenter=segmenter.config,
        classes=name_classes(["roof", "tree"]),
        ranges=tuple(BandRange(i, f"band {i}", "uint8", 0.0, 255.0) for i in (1, 2, 3)),
        ground_pixel_m=(1.0, 1.0),
        patch_px=SIDE,
    )
    save_model(tmp_path / "model.safetensors", segmenter, card)
    loaded, read = load_model(tmp_path / "model.safetensors")
    assert read.segmenter.head.prompt == loaded.prompt == "boxes"
    image, boxes = torch.rand(3, 3, SIDE, SIDE), boxes_in(plane=(0, 1, 0, 1))
    assert torch.equal(loaded(image, boxes), segmenter(image, boxes))
