import logging
import pickle
from dataclasses import replace

import pytest
import torch

from geocobot.errors import CheckpointError, MissingFileError
from geocobot.models import bases
from geocobot.models.architecture import HeadConfig
from geocobot.models.base_file import write_base
from geocobot.models.boxes import BoxPromptedHead
from geocobot.models.checkpoint import load_checkpoint
from geocobot.models.encoder import SamEncoder
from geocobot.models.heads import head_config, make_head
from geocobot.models.mask_decoder import MaskDecoderHead
from geocobot.models.weights import sha256_of
from geocobot.progress import SilentProgress

from .mini import MINI, make_parts, make_provenance, official_sam

QUIET = SilentProgress()
HALF = 2**-10
"""Relative difference between neighbours in float16."""


def assert_rounded(part, exact):
    """The tensors of a module are those of another, rounded to float16 at most."""
    for name, tensor in exact.state_dict().items():
        torch.testing.assert_close(part.state_dict()[name], tensor, rtol=HALF, atol=1e-7)


def load(spec, path):
    return load_checkpoint(spec, path, QUIET)


def test_an_official_file_is_read_whole(mini, checkpoint, sam):
    loaded = load(mini, checkpoint)
    assert loaded.sha256 == mini.weights.sha256 == sha256_of(checkpoint)
    assert loaded.tensors.keys() == sam.state_dict().keys()
    encoder = sam.image_encoder.state_dict()
    assert loaded.encoder_state().keys() == encoder.keys()
    assert all(torch.equal(t, encoder[n]) for n, t in loaded.encoder_state().items())


def test_without_a_path_it_comes_from_the_cache(mini, cache):
    assert load(mini, None).sha256 == mini.weights.sha256
    assert (cache / "sam_mini.pth").is_file()


def test_half_precision_is_widened(mini, sam, tmp_path):
    path = tmp_path / "half.pth"
    torch.save({n: t.half() for n, t in sam.state_dict().items()}, path)
    assert {t.dtype for t in load(mini, path).tensors.values()} == {torch.float32}


def test_weights_of_ones_own_are_taken_and_said_aloud(mini, tmp_path, caplog):
    path = tmp_path / "fine_tuned.pth"
    torch.save(official_sam(MINI, seed=7).state_dict(), path)
    with caplog.at_level(logging.WARNING, "geocobot.models"):
        loaded = load(mini, path)
    assert loaded.sha256 != mini.weights.sha256
    assert "is not the official file of mini" in caplog.text


@pytest.mark.parametrize("n_classes", [1, 3, 6])
def test_the_head_starts_from_sams_decoder(mini, checkpoint, sam, n_classes):
    torch.manual_seed(0)
    head = MaskDecoderHead(HeadConfig(n_classes, width=32))
    load(mini, checkpoint).start_head(head)
    decoder = sam.mask_decoder
    for k in range(n_classes):
        assert torch.equal(head.mask_tokens.weight[k], decoder.mask_tokens.weight[k % 4])
        own, sams = head.output_hypernetworks_mlps[k], decoder.output_hypernetworks_mlps[k % 4]
        assert all(map(torch.equal, own.parameters(), sams.parameters()))
    for part in ("transformer", "output_upscaling"):
        own, sams = getattr(head, part), getattr(decoder, part)
        assert all(map(torch.equal, own.parameters(), sams.parameters()))
    prompt = sam.prompt_encoder
    assert torch.equal(head.no_mask_embed.weight, prompt.no_mask_embed.weight)
    grid = "positional_encoding_gaussian_matrix"
    assert torch.equal(getattr(head.pe_layer, grid), getattr(prompt.pe_layer, grid))


def test_an_image_stem_keeps_its_own_start(mini, checkpoint):
    head = MaskDecoderHead(HeadConfig(1, image_stem=True, width=32))
    before = [p.clone() for p in head.image_stem.parameters()]
    load(mini, checkpoint).start_head(head)
    assert all(map(torch.equal, head.image_stem.parameters(), before))


@pytest.fixture(params=[MaskDecoderHead, BoxPromptedHead])
def decoder(request):
    """A mask decoder of three classes, with and without box prompts."""
    torch.manual_seed(0)
    return request.param(HeadConfig(3, image_stem=True, width=32))


def test_a_mask_decoder_starts_from_the_one_token_of_a_base_file(small, base_file, parts, decoder):
    load(small, base_file).start_head(decoder)
    trained = parts["mask_head"]
    assert torch.equal(decoder.mask_tokens.weight, trained.mask_tokens.weight.expand(3, -1))
    for hypernetwork in decoder.output_hypernetworks_mlps:
        assert_rounded(hypernetwork, trained.output_hypernetworks_mlps[0])
    for part in ("transformer", "output_upscaling", "pe_layer", "no_mask_embed", "image_stem"):
        assert_rounded(getattr(decoder, part), getattr(trained, part))
    if isinstance(decoder, BoxPromptedHead):
        assert_rounded(decoder.companion_tokens, trained.companion_tokens)
        assert_rounded(decoder.corner_embeddings, trained.corner_embeddings)


def test_a_dense_head_starts_from_a_base_file_but_for_its_readers(small, base_file, parts):
    torch.manual_seed(0)
    head = make_head(head_config(small, 5, "dense", "pretrained"))
    readers = [p.clone() for p in head.readers.parameters()]
    load(small, base_file).start_head(head)
    for name, part in parts["dense_head"].named_children():
        if name != "readers":
            assert_rounded(getattr(head, name), part)
    assert all(map(torch.equal, head.readers.parameters(), readers))


def test_a_head_that_the_file_lacks_stays_as_it_is(small, mini, checkpoint, parts, tmp_path):
    path = tmp_path / "encoder.safetensors"
    only = {"encoder": parts["encoder"], "dense_head": None, "mask_head": None}
    write_base(path, small, **only, provenance=make_provenance("small"))
    alone, sams = load(small, path), load(mini, checkpoint)
    assert [alone.has_head(kind) for kind in ("dense", "mask-decoder")] == [False, False]
    assert [sams.has_head(kind) for kind in ("dense", "mask-decoder")] == [False, True]
    for loaded, spec, kind in [
        (alone, small, "dense"),
        (alone, small, "mask-decoder"),
        (sams, mini, "dense"),
    ]:
        head = make_head(head_config(spec, 2, kind, "pretrained"))
        before = {n: t.clone() for n, t in head.state_dict().items()}
        loaded.start_head(head)
        assert all(torch.equal(t, before[n]) for n, t in head.state_dict().items())


def test_a_base_file_is_read_for_a_base_with_and_without_official_weights(
    mini, small, base_file, tmp_path
):
    loaded = load(small, base_file)
    assert loaded.sha256 == sha256_of(base_file)
    assert loaded.encoder_state().keys() == SamEncoder(small).state_dict().keys()
    own = tmp_path / "own.safetensors"
    write_base(own, mini, **make_parts(mini), provenance=make_provenance("mini"))
    assert load(mini, own).has_head("dense")
    with pytest.raises(
        CheckpointError, match=r"holds the weights of small\. --base mini needs its own"
    ):
        load(mini, base_file)


def test_an_official_file_is_no_base_file(small, checkpoint):
    with pytest.raises(CheckpointError, match=r"sam_mini.pth cannot be read as a base file"):
        load(small, checkpoint)


def test_without_a_path_the_packages_own_file_is_read(bundled):
    assert load(bases.BASES["small"], None).sha256 == sha256_of(bundled)


def test_a_missing_file(mini, tmp_path):
    with pytest.raises(MissingFileError, match=r"nothing.pth does not exist. --checkpoint names"):
        load(mini, tmp_path / "nothing.pth")


def test_the_weights_of_another_base_are_named(mini, tmp_path, monkeypatch):
    wide = replace(MINI, name="wide", width=36)
    monkeypatch.setitem(bases.BASES, "wide", wide)
    path = tmp_path / "wide.pth"
    torch.save(official_sam(wide).state_dict(), path)
    with pytest.raises(CheckpointError, match=r"holds the weights of wide. --base mini needs its"):
        load(mini, path)


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_a_truncated_file(mini, checkpoint, tmp_path, keep):
    content = checkpoint.read_bytes()
    path = tmp_path / "truncated.pth"
    path.write_bytes(content[: int(len(content) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(CheckpointError, match="cannot be read as PyTorch weights"):
        load(mini, path)


@pytest.mark.parametrize("content", [b"GIF89a not weights at all", b"<html>404</html>\n"])
def test_a_file_of_another_kind(mini, tmp_path, content):
    path = tmp_path / "other.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read as PyTorch weights"):
        load(mini, path)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_nothing_in_the_file_is_run(mini, tmp_path):
    path, sprung = tmp_path / "trap.pth", tmp_path / "sprung"
    torch.save({"image_encoder.pos_embed": Trap(str(sprung))}, path)
    with pytest.raises(CheckpointError, match="cannot be read as PyTorch weights"):
        load(mini, path)
    path.write_bytes(pickle.dumps(Trap(str(sprung)), protocol=2))
    with pytest.raises(CheckpointError, match="cannot be read as PyTorch weights"):
        load(mini, path)
    assert not sprung.exists()


def test_tensors_wrapped_in_something_else(mini, sam, tmp_path):
    path = tmp_path / "wrapped.pth"
    torch.save({"model": sam.state_dict()}, path)
    with pytest.raises(CheckpointError, match="holds something else than named tensors"):
        load(mini, path)


def test_one_missing_tensor_is_named(mini, sam, tmp_path):
    state = sam.state_dict()
    del state["mask_decoder.iou_token.weight"]
    path = tmp_path / "missing.pth"
    torch.save(state, path)
    with pytest.raises(
        CheckpointError, match=r"1 tensors that do not fit mini, such as .*iou_token.*: missing"
    ):
        load(mini, path)


def test_one_unknown_tensor_is_named(mini, sam, tmp_path):
    path = tmp_path / "more.pth"
    torch.save(sam.state_dict() | {"image_encoder.extra": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match=r"image_encoder.extra: \(3,\). There it is unknown"):
        load(mini, path)
