"""emo-lstm: LSTM_I written out step by step, windows and rates, weights of a run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from safetensors.torch import save_file
from scipy.special import expit
from torch import nn

from avfd import asks
from avfd.errors import AbsentError, InputError, MissingError
from avfd.home import Home
from avfd.nets.emo_lstm import EmoLstm as Network
from avfd.nets.settings import EmoLstmSettings
from extract import weights
from extract.backbones.emo_lstm import DEFAULT, EmoLstm

Randomised = Callable[..., nn.Module]
SETTINGS = EmoLstmSettings(units=6, second_units=5, classes=3)


def rows(seconds: int, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(0, 1, (seconds * 100, 130))
    return (drawn * np.logspace(-2, 6, 130)).astype(np.float32)  # as unlike as openSMILE's


def whole(values: np.ndarray) -> np.ndarray:
    return np.ones(len(values), dtype=bool)


def bounded(network: nn.Module) -> nn.Module:
    """With a range such as training would have seen."""
    seen = np.abs(rows(3)).max(axis=0)
    network.low.copy_(network.low.new_tensor(-seen))
    network.high.copy_(network.high.new_tensor(seen * 1.5))
    return network


def made(
    network: nn.Module, folder: Path, options: str = "", settings: EmoLstmSettings = SETTINGS
) -> EmoLstm:
    """The backbone with this network, its card beside."""
    path = folder / "emo-lstm.safetensors"
    save_file(network.state_dict(), path)
    path.with_suffix(".json").write_text(json.dumps({"settings": asdict(settings)}))
    backbone = EmoLstm(asks.bind(asks.parse(f"emo-lstm:{options}"), DEFAULT))
    backbone.load({"emo-lstm": path})
    return backbone


def nearest(slots: int) -> list[int]:
    """The row of 100 a second at the centre of each slot of 30 a second."""
    return [int(Fraction(2 * i + 1, 60) * 100) for i in range(slots)]


def lstm(x: np.ndarray, state: dict[str, Any], name: str) -> np.ndarray:
    """Hochreiter and Schmidhuber's cell with a forget gate, row by row, float64."""
    into, back = state[f"{name}.weight_ih_l0"], state[f"{name}.weight_hh_l0"]
    bias = state[f"{name}.bias_ih_l0"] + state[f"{name}.bias_hh_l0"]
    hidden = cell = np.zeros(back.shape[1])
    out = []
    for row in x:
        take, keep, new, show = np.split(into @ row + back @ hidden + bias, 4)
        cell = expit(keep) * cell + expit(take) * np.tanh(new)
        hidden = expit(show) * np.tanh(cell)
        out.append(hidden)
    return np.array(out)


def reference(network: nn.Module, x: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """EMO_s of one window, [n, 32]."""
    state = {name: t.numpy().astype(np.float64) for name, t in network.state_dict().items()}
    scaled = 2 * (x - state["low"]) / (state["high"] - state["low"]) - 1
    scaled[~valid] = 0
    states = lstm(lstm(scaled, state, "lstm1"), state, "lstm2")
    return np.tanh(states @ state["dense.weight"].T + state["dense.bias"])


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    return bool((np.abs(found - expected) <= 1e-5 * np.maximum(1, np.abs(expected))).all())


@pytest.fixture
def network(randomised: Randomised) -> nn.Module:
    return bounded(randomised(Network(SETTINGS)))


def test_300_rows_are_ten_seconds_at_30_a_second(network: nn.Module, tmp_path: Path) -> None:
    values = rows(10)
    slots = made(network, tmp_path).column(values, whole(values))
    assert slots.values.shape == (300, 32)
    expected = reference(network, values[nearest(300)], np.ones(300, dtype=bool))
    assert expected.std() > 0.05
    assert close(slots.values, expected)


def test_windows_begin_with_nothing_in_mind(network: nn.Module, tmp_path: Path) -> None:
    values = rows(7)
    slots = made(network, tmp_path, "rate_hz=100").column(values, whole(values))
    parts = [values[:300], values[300:600], values[600:]]
    expected = [reference(network, part, whole(part)) for part in parts]
    assert close(slots.values, np.concatenate(expected))


def test_of_overlapping_windows_the_later_rows_are_kept(network: nn.Module, tmp_path: Path) -> None:
    values = rows(5)
    ask = "rate_hz=100,window_rows=300,hop_rows=100"
    slots = made(network, tmp_path, ask).column(values, whole(values))
    first = reference(network, values[:300], np.ones(300, dtype=bool))
    later = [
        reference(network, values[i : i + 300], np.ones(300, dtype=bool))[-100:] for i in (100, 200)
    ]
    assert close(slots.values, np.concatenate([first, *later]))


def test_vectors_can_be_sampled_after_the_network(network: nn.Module, tmp_path: Path) -> None:
    values = rows(2)
    slots = made(network, tmp_path, "sample=vectors").column(values, whole(values))
    assert close(slots.values, reference(network, values, whole(values))[nearest(60)])


def test_rows_can_be_means(network: nn.Module, tmp_path: Path) -> None:
    values, valid = rows(2), np.ones(200, dtype=bool)
    valid[:6] = False
    slots = made(network, tmp_path, "rate_hz=25,rows=mean").column(values, valid)
    means = values.reshape(50, 4, 130).astype(np.float64).mean(axis=1)
    means[1] = values[6:8].astype(np.float64).mean(axis=0)
    known = np.arange(50) > 0
    assert slots.valid.tolist() == known.tolist()
    assert close(slots.values[known], reference(network, means, known)[known])


def test_rows_that_are_not_there_are_zeros_inside_and_invalid(
    network: nn.Module, tmp_path: Path
) -> None:
    values, valid = rows(3), np.ones(300, dtype=bool)
    valid[100:140] = valid[296:] = False
    values[~valid] = np.nan
    slots = made(network, tmp_path, "rate_hz=100").column(values, valid)
    assert slots.valid.tolist() == valid.tolist()
    assert close(slots.values[valid], reference(network, values, valid)[valid])
    assert not slots.values[~valid].any()
    with pytest.raises(AbsentError, match="no row"):
        made(network, tmp_path).column(values, np.zeros(300, dtype=bool))


def test_the_rows_that_opensmile_lacks_can_repeat_the_last(
    network: nn.Module, tmp_path: Path
) -> None:
    values, valid = rows(3), np.ones(300, dtype=bool)
    valid[100:140] = valid[296:] = False
    slots = made(network, tmp_path, "rate_hz=100,pad=edge").column(values, valid)
    filled = values.copy()
    filled[100:105], filled[296:] = values[99], values[295]
    known = valid.copy()
    known[100:105] = known[296:] = True
    assert slots.valid.tolist() == known.tolist()
    assert close(slots.values[known], reference(network, filled, known)[known])


def test_a_later_second_changes_no_earlier_one(network: nn.Module, tmp_path: Path) -> None:
    backbone = made(network, tmp_path)
    values = rows(23)
    long = backbone.column(values, whole(values)).values
    short = backbone.column(values[:1200], whole(values[:1200])).values
    np.testing.assert_allclose(long[:360], short, rtol=1e-5, atol=1e-5)


def test_the_card_decides_what_is_inside(randomised: Randomised, tmp_path: Path) -> None:
    settings = replace(SETTINGS, activation="relu", scaling="none")
    network = randomised(Network(settings))
    values = rows(1) / np.logspace(-2, 6, 130, dtype=np.float32)
    found = made(network, tmp_path, "rate_hz=100", settings).column(values, whole(values)).values
    assert (found >= 0).all()
    assert found.max() > 0
    plain = made(network, tmp_path, "rate_hz=100", replace(settings, activation="linear"))
    raw = plain.column(values, whole(values)).values
    np.testing.assert_allclose(found, np.maximum(raw, 0), atol=1e-6)


def test_weights_that_do_not_fit_are_refused(randomised: Randomised, tmp_path: Path) -> None:
    settings = replace(SETTINGS, dense_units=8)
    network = randomised(Network(settings))
    with pytest.raises(InputError, match="ask for emo-lstm:dim=8"):
        made(network, tmp_path, "", settings)
    assert made(network, tmp_path, "dim=8", settings).spec.shape == (8,)
    with pytest.raises(InputError, match=r"lstm1\.weight_ih_l0 \[24, 130\] instead of"):
        made(network, tmp_path, "dim=8", replace(settings, units=64))


def test_what_cannot_be_is_refused() -> None:
    for options in ("rate_hz=0", "rate_hz=101", "hop_rows=301", "hop_rows=0"):
        with pytest.raises(InputError):
            asks.bind(asks.parse(f"emo-lstm:{options}"), DEFAULT)


def test_without_a_run_the_way_to_one_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AVFD_WEIGHTS", raising=False)
    with pytest.raises(MissingError, match="avfd fit --target emotion --model emo-lstm"):
        weights.find("emo-lstm", Home(tmp_path))


def test_from_a_run_and_a_recording_to_the_column(
    tmp_path: Path,
    extracts: ModuleType,
    media_makers: ModuleType,
    network: nn.Module,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("opensmile")
    monkeypatch.delenv("AVFD_WEIGHTS", raising=False)
    media = tmp_path / "media"
    media.mkdir()
    sound = np.random.default_rng(1).normal(0, 0.1, (1, 32_000)).astype(np.float32)
    media_makers.make_audio(media / "a.wav", sound)
    home = extracts.indexed(tmp_path / "home", media)
    folder = home.runs_dir / "emotions" / "weights"
    folder.mkdir(parents=True)
    save_file(network.state_dict(), folder / "emo-lstm.safetensors")
    card = {"settings": asdict(SETTINGS), "training_keys": ["d/x.wav"]}
    card["training_media"] = ["ab" * 32]
    (folder / "emo-lstm.json").write_text(json.dumps(card))
    extracts.extract(home, ["compare2016", "emo-lstm"], weights=["emotions"], device="cpu")
    reader = extracts.cache_of(home).snapshot()
    read = reader.column("compare2016").read("small/a.wav")
    found = reader.column("emo-lstm").read("small/a.wav")
    at = nearest(60)
    values, valid = read.values.reshape(-1, 130)[at], read.valid.reshape(-1)[at]
    assert found.valid.reshape(-1).tolist() == valid.tolist()
    expected = reference(network, values.astype(np.float64), valid)
    assert close(found.values.reshape(-1, 32)[valid], expected[valid])
    assert reader.column("emo-lstm").spec_facts["training_keys"] == ["d/x.wav"]
    assert reader.column("emo-lstm").spec_facts["training_media"] == ["ab" * 32]
    digest = hashlib.sha256((media / "a.wav").read_bytes()).hexdigest()
    assert reader.sha256(["small/a.wav"]) == [digest]
