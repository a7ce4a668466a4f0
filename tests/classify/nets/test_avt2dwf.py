"""AVT2-DWF against FACTS.md, section 10, and straight float64 transcriptions of its equations."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from classify.nets.avt2dwf import AVT2DWF, FaceTransformer
from classify.nets.avt2dwf_encoder import ClassTransformer
from classify.nets.avt2dwf_fusion import DynamicWeights, received
from classify.nets.avt2dwf_options import AVT2DWFOptions, FusionShape, TransformerShape
from classify.nets.pixels import frame_tokens, imagenet_scaled, mixed_patches, patches

SMALL = TransformerShape(width=8, depth=2, heads=2, head_dim=3, feed_forward=5)
TINY = AVT2DWFOptions(
    width=8, depth=1, heads=2, head_dim=4, feed_forward=8, fusion_heads=2, fusion_intermediate=6
)
FRAMES, SIZE_PX, STEPS, COEFFICIENTS = 4, 6, 5, 3


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def network(options: AVT2DWFOptions = TINY, **more: object) -> AVT2DWF:
    torch.manual_seed(0)
    return AVT2DWF((FRAMES, SIZE_PX), (STEPS, COEFFICIENTS), options, **more)


def blocks(number: int = 3, seed: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (number, FRAMES, SIZE_PX, SIZE_PX, 3)
    return {
        "video": torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8),
        "video_mask": torch.ones(number, FRAMES, dtype=torch.bool),
        "audio": torch.randn(number, STEPS, COEFFICIENTS, generator=generator),
        "audio_mask": torch.ones(number, STEPS, dtype=torch.bool),
    }


# Counts and shapes of FACTS.md, 10.1 and 10.2.


def test_the_face_transformer_has_the_published_size():
    with torch.device("meta"):
        faces = FaceTransformer(30, 224, AVT2DWFOptions())
    assert count(faces) == 204_860_416  # about 204.9 M
    assert count(faces.encoder.embedding.linear) == 154_141_696
    assert faces.encoder.positions.shape == (1, 31, 1024)
    assert faces.encoder.blocks[0].attention.qkv.weight.shape == (3072, 1024)


def test_audio_is_a_token_a_step_or_one_token():
    with torch.device("meta"):
        steps = AVT2DWF(None, (30, 30), AVT2DWFOptions()).audio.encoder
        one = AVT2DWF(None, (30, 30), AVT2DWFOptions(audio_tokens="one")).audio.encoder
    assert steps.positions.shape == (1, 31, 1024)
    assert steps.embedding.linear.in_features == 30
    assert one.positions.shape == (1, 2, 1024)
    assert one.embedding.linear.in_features == 900


def test_the_head_reads_both_class_vectors():
    with torch.device("meta"):
        whole = AVT2DWF((30, 224), (30, 30), AVT2DWFOptions())
        said = whole(
            torch.zeros(2, 30, 224, 224, 3, dtype=torch.uint8),
            torch.ones(2, 30, dtype=torch.bool),
            torch.zeros(2, 30, 30),
            torch.ones(2, 30, dtype=torch.bool),
        )
    assert whole.head.weight.shape == (2, 2048)
    assert (said.logits.shape, said.fused.shape, said.weights.shape) == ((2, 2), (2, 2048), (2, 2))


def test_with_one_modality_there_is_nothing_to_fuse():
    said = AVT2DWF((FRAMES, SIZE_PX), None, TINY)(
        video=blocks()["video"], video_mask=blocks()["video_mask"]
    )
    assert said.fused.shape == (3, TINY.width)


# The encoder: equations 1 to 4.


def layer_norm(x, norm):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + norm.eps) * array(norm.weight) + array(norm.bias)


def array(tensor):
    return tensor.detach().double().numpy()


def linear(x, layer):
    out = x @ array(layer.weight).T
    return out if layer.bias is None else out + array(layer.bias)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def gelu(x):
    return np.array([v * 0.5 * (1 + math.erf(v / np.sqrt(2))) for v in x.flat]).reshape(x.shape)


def written_out(encoder: ClassTransformer, tokens: np.ndarray, shape: TransformerShape):
    """Class vector of one sequence [tokens, size], head by head and token by token."""
    e = encoder.embedding
    embedded = layer_norm(linear(layer_norm(tokens, e.norm), e.linear), e.after)
    x = np.concatenate([array(encoder.class_token)[0], embedded]) + array(encoder.positions)[0]
    for block in encoder.blocks:
        qkv = linear(layer_norm(x, block.attention.norm), block.attention.qkv)
        inner, d = shape.heads * shape.head_dim, shape.head_dim
        heads = []
        for h in range(shape.heads):
            q, k, v = (qkv[:, p * inner + h * d : p * inner + (h + 1) * d] for p in range(3))
            heads.append(softmax(q @ k.T / np.sqrt(d)) @ v)
        x = x + linear(np.concatenate(heads, axis=1), block.attention.out)
        f = block.feed_forward
        x = x + linear(gelu(linear(layer_norm(x, f.norm), f.up)), f.down)
    return layer_norm(x, encoder.norm)[0]


def test_the_encoder_is_its_equations():
    torch.manual_seed(0)
    encoder = ClassTransformer(5, 7, SMALL).double().eval()
    tokens = torch.randn(2, 5, 7, dtype=torch.float64)
    said = encoder(tokens, torch.ones(2, 5, dtype=torch.bool))
    for vector, sequence in zip(said, tokens, strict=True):
        np.testing.assert_allclose(
            array(vector), written_out(encoder, array(sequence), SMALL), rtol=0, atol=1e-12
        )


def test_what_an_invalid_token_holds_does_not_matter():
    torch.manual_seed(0)
    encoder = ClassTransformer(5, 7, SMALL).eval()
    tokens, valid = torch.randn(1, 5, 7), torch.tensor([[True, True, False, True, False]])
    other = tokens.where(valid[..., None], torch.randn(1, 5, 7))
    assert torch.equal(encoder(tokens, valid), encoder(other, valid))
    assert not torch.allclose(encoder(tokens, valid), encoder(tokens, torch.ones_like(valid)))


# Frames and patches as tokens.


def test_a_token_is_a_frame():
    frames = torch.arange(2 * 3 * 4 * 4 * 3).reshape(2, 3, 4, 4, 3)
    tokens = frame_tokens(frames)
    assert torch.equal(tokens[1, 2], frames[1, 2].flatten())


def test_the_codes_reshape_mixes_frames_and_channels():
    """(B, T, C, H, W) → (B, C, T·H, W) without exchanging axes, then patches of a frame's size."""
    rng = np.random.default_rng(0)
    t, c, h, w = 4, 3, 2, 2
    frames = rng.normal(size=(1, t, c, h, w))
    stacked = frames.reshape(1, c, t * h, w)
    wanted = [stacked[0, :, i * h : (i + 1) * h].transpose(1, 2, 0).ravel() for i in range(t)]
    pictures = torch.from_numpy(frames.transpose(0, 1, 3, 4, 2).copy())
    np.testing.assert_array_equal(frame_tokens(pictures, "reshape")[0].numpy(), np.stack(wanted))
    assert not torch.equal(frame_tokens(pictures, "reshape"), frame_tokens(pictures))


def test_pictures_are_scaled_by_imagenets_numbers():
    pixel = torch.tensor([[[255, 0, 128]]], dtype=torch.uint8)
    wanted = [(1 - 0.485) / 0.229, -0.456 / 0.224, (128 / 255 - 0.406) / 0.225]
    np.testing.assert_allclose(imagenet_scaled(pixel, torch.float64).flatten(), wanted, atol=1e-12)


def test_patches_are_squares_row_by_row():
    frames = torch.arange(36).reshape(1, 1, 6, 6, 1).expand(-1, -1, -1, -1, 3)
    cells = patches(frames, 3)
    assert cells.shape == (1, 1, 4, 27)
    assert cells[0, 0, 1].reshape(3, 3, 3)[:, :, 0].tolist() == [
        [3, 4, 5],
        [9, 10, 11],
        [15, 16, 17],
    ]


def test_patches_in_their_places_make_one_picture_of_valid_frames():
    cells = torch.arange(5)[None, :, None, None] * 100 + torch.arange(9)[None, None, :, None]
    valid = torch.tensor([[True, False, True, True, False]])
    mixed = mixed_patches(cells, valid, torch.rand(1, 5, 9))[0, :, 0]
    assert (mixed % 100).tolist() == list(range(9))
    assert set((mixed // 100).tolist()) <= {0, 2, 3}


def test_drawn_patches_are_never_taken_twice():
    cells = torch.arange(5 * 9).reshape(1, 5, 9, 1)
    valid = torch.tensor([[True, False, False, True, False]])
    for seed in range(5):
        torch.manual_seed(seed)
        mixed = mixed_patches(cells, valid, torch.rand(1, 45))[0, :, 0]
        assert len(set(mixed.tolist())) == 9
        assert set((mixed // 9).tolist()) <= {0, 3}


@pytest.mark.parametrize("places", ["kept", "drawn"])
def test_the_patch_wise_network_is_random_in_training_only(places):
    options = replace(TINY, face_tokens="patches", patch_px=3, patch_places=places)
    made = network(replace(options, dropout=0.0, embedding_dropout=0.0))
    assert made.video.tokens == 4
    assert not torch.equal(made(**blocks()).logits, made(**blocks()).logits)
    made.eval()
    assert torch.equal(made(**blocks()).logits, made(**blocks()).logits)


def test_patches_that_do_not_fill_the_picture_are_refused():
    with pytest.raises(ValueError, match="4 px do not fill"):
        FaceTransformer(4, 6, replace(TINY, face_tokens="patches", patch_px=4))


# Dynamic weights: FACTS.md, 10.3.


def weights_written_out(module: DynamicWeights, x: np.ndarray, heads: int):
    """Weights of one sample's class vectors [modalities, width]."""
    n, d = len(x), x.shape[1] // heads

    def shares(part, x):
        q, k = linear(x, part.query), linear(x, part.key)
        cut = [slice(h * d, (h + 1) * d) for h in range(heads)]
        return [softmax(q[:, c] @ k[:, c].T / np.sqrt(d)) for c in cut], cut

    for layer in module.layers:
        probabilities, cut = shares(layer.attending, x)
        v = linear(x, layer.value)
        mixed = np.concatenate([p @ v[:, c] for p, c in zip(probabilities, cut, strict=True)], 1)
        x = layer_norm(x + linear(mixed, layer.out), layer.norm)
        up, _, down, _ = layer.feed_forward
        x = layer_norm(x + linear(gelu(linear(x, up)), down), layer.after)
    probabilities, _ = shares(module.last, x)
    total = np.zeros(n)
    for p in probabilities:
        for query in range(n):
            for key in range(n):
                total[key] += p[query, key]
    return softmax(total / np.sqrt(n * heads))


def test_weights_are_the_attention_received():
    torch.manual_seed(0)
    module = DynamicWeights(8, FusionShape(heads=2, intermediate=6)).double().eval()
    x = 3 * torch.randn(4, 2, 8, dtype=torch.float64)
    said = module(x, torch.ones(4, 2, dtype=torch.bool))
    for weights, sample in zip(said, x, strict=True):
        np.testing.assert_allclose(
            array(weights), weights_written_out(module, array(sample), 2), rtol=0, atol=1e-12
        )
    assert said.std(dim=0).min() > 1e-3  # they do vary


def test_the_papers_weights_are_one_whatever_the_input():
    torch.manual_seed(0)
    module = DynamicWeights(8, FusionShape(heads=2, weights="given")).double().eval()
    said = module(5 * torch.randn(6, 2, 8, dtype=torch.float64), torch.ones(6, 2, dtype=torch.bool))
    np.testing.assert_allclose(array(said), 1.0, atol=1e-12)


def test_an_absent_modality_weighs_nothing_and_is_not_attended():
    shares = torch.tensor([[[[0.9, 0.1], [0.3, 0.7]]]])
    assert received(shares, torch.tensor([[True, False]])).tolist() == [[1.0, 0.0]]
    torch.manual_seed(0)
    module = DynamicWeights(8, FusionShape(heads=2, intermediate=6)).eval()
    x = torch.randn(1, 2, 8)
    said = module(x, torch.tensor([[False, True]]))
    assert said.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("normalise", [True, False])
def test_fusion_is_the_weighted_class_vectors(normalise):
    made = network(replace(TINY, normalise=normalise)).double().eval()
    data = blocks()
    said = made(**data)
    f = array(made.video(data["video"], data["video_mask"]))
    a = array(made.audio(data["audio"], data["audio_mask"]))
    w = array(said.weights)
    if normalise:
        f = f / np.linalg.norm(f, axis=1, keepdims=True)
        a = a / np.linalg.norm(a, axis=1, keepdims=True)
    wanted = np.concatenate([w[:, :1] * f, w[:, 1:] * a], axis=1)
    np.testing.assert_allclose(array(said.fused), wanted, atol=1e-12)
    np.testing.assert_allclose(array(said.logits), linear(wanted, made.head), atol=1e-12)


def test_concatenation_has_no_weights_to_learn():
    made = network(replace(TINY, fusion="concat")).eval()
    assert made.fusion is None
    assert made(**blocks()).weights.tolist() == [[1.0, 1.0]] * 3


# Training and scoring.

VARIANTS = [
    {},
    {"audio_tokens": "one"},
    {"fusion": "concat"},
    {"normalise": False},
    {"fusion_intermediate": 0},
    {"frame_order": "reshape"},
    {"face_tokens": "patches", "patch_px": 3},
    {"face_tokens": "patches", "patch_px": 3, "patch_places": "drawn"},
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_reach_every_parameter(variant):
    made = network(replace(TINY, **variant)).double()
    torch.nn.functional.cross_entropy(made(**blocks()).logits, torch.tensor([0, 1, 1])).backward()
    parameters = dict(made.named_parameters())
    reached = {
        n for n, p in parameters.items() if p.grad is not None and p.grad.abs().max() > 1e-12
    }
    assert reached == set(parameters)


@pytest.mark.parametrize("variant", VARIANTS)
def test_batch_mates_do_not_change_a_verdict(variant):
    made = network(replace(TINY, **variant)).eval()
    data = blocks(5)
    together = made(**data).logits
    alone = made(**{k: v[2:3] for k, v in data.items()}).logits
    torch.testing.assert_close(alone[0], together[2], rtol=0, atol=1e-6)


def test_a_missing_track_is_not_looked_at():
    made = network().eval()
    data = blocks()
    data["audio_mask"][:] = False
    noise = {**data, "audio": torch.randn_like(data["audio"])}
    assert torch.equal(made(**data).logits, made(**noise).logits)
    assert made(**data).weights.tolist() == [[1.0, 0.0]] * 3
