"""EAT and emotion2vec by the public road: a published file added, clips extracted, cells read."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from avfd.specs import ABSENT, DONE
from extract import weights
from extract.nets.eat import position_table
from extract.nets.eat_files import POSITIONS, PRETRAINED_SMALL
from extract.nets.eat_settings import SMALL
from extract.nets.emotion2vec_files import PLUS_SMALL_FILE
from extract.run import extract_columns

RATE = 16_000
SECONDS = {"short.wav": 0.3, "one.wav": 1.0, "long.wav": 12.0}
ASKED = (
    "eat:preset=small",
    "emotion2vec-plus-base:preset=small",
)


def sound(seconds):
    draw = np.random.default_rng(round(seconds * 10))
    return draw.normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def published(checkpoint_makers):
    """Tensors of both networks, EAT's table of places as published."""
    table = torch.from_numpy(position_table(SMALL.dim))[None]
    eat = checkpoint_makers.random_tensors(PRETRAINED_SMALL.expected()) | {POSITIONS: table}
    return {"eat": eat, "plus": checkpoint_makers.random_tensors(PLUS_SMALL_FILE.expected())}


@pytest.fixture(scope="module")
def home(tmp_path_factory, extracts, media_makers, checkpoint_makers, published):
    """A home with three clips in which both columns were extracted."""
    folder = tmp_path_factory.mktemp("road")
    (folder / "media").mkdir()
    for name, seconds in SECONDS.items():
        path = folder / "media" / name
        media_makers.make_audio(path, sound(seconds)[None], RATE, codec="pcm_f32le")
    home = extracts.indexed(folder / "home", folder / "media")
    eat = checkpoint_makers.eat_pretrained(folder / "EAT.pt", published["eat"], rows=512)
    plus = checkpoint_makers.emotion2vec_plus(folder / "model.pt", published["plus"])
    weights.add(eat, "eat-small", home)
    weights.add(plus, "emotion2vec-plus-small", home)
    extract_columns(home, extracts.DATASET, ASKED, device="cpu", workers=1)
    return home


def cells(extracts, home, column, clip):
    """Status, values and mask of one clip."""
    reader = extracts.cache_of(home).snapshot()
    (key,) = [key for key in reader.keys if key.endswith(clip)]
    stored = reader.column(column)
    (status,) = stored.statuses([key]).tolist()
    return (status, stored.read(key)) if status == DONE else (status, stored.reasons([key])[0])


def close(found, expected):
    return (np.abs(found - expected) <= 1e-5 * np.maximum(1, np.abs(expected))).all()


def test_eat_is_what_the_published_steps_give(extracts, home, references, published):
    status, found = cells(extracts, home, "eat", "one.wav")
    assert status == DONE
    assert found.valid.tolist() == [[True]]
    tensors = {name: tensor.double().numpy() for name, tensor in published["eat"].items()}
    picture = references.eat_picture(sound(1.0)).double().numpy()
    tokens = references.eat_tokens(tensors, picture, SMALL)[1:]
    steps = tokens.reshape(64, 8, SMALL.dim).mean(axis=1)
    assert close(found.values[0, 0], steps[:6].mean(axis=0))  # centres from 0.08 to 0.88 s


def test_emotion2vec_is_what_funasr_gives(extracts, home, references, published):
    model = references.funasr_emotion2vec(PLUS_SMALL_FILE, published["plus"])
    expected, _ = references.funasr_answers(model, sound(12.0), "frame")
    status, found = cells(extracts, home, "emotion2vec-plus-base", "long.wav")
    assert status == DONE
    assert found.valid.all()
    assert close(found.values[3, 0], expected[150:200].mean(axis=0))
    assert close(found.values[11, 0], expected[550:].mean(axis=0))


def test_the_length_of_a_clip_decides_its_rows(extracts, home):
    _, found = cells(extracts, home, "eat", "long.wav")
    assert found.values.shape == (12, 1, SMALL.dim)
    assert found.valid.all()


@pytest.mark.parametrize("column", ["eat", "emotion2vec-plus-base"])
def test_a_clip_that_is_too_short_is_absent(extracts, home, column):
    status, reason = cells(extracts, home, column, "short.wav")
    assert status == ABSENT
    assert reason.startswith(f"too short for {column}")
