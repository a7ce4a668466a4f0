"""What a run says of the columns that taught its networks: on the card, in the file, in notes."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from avfd.cards import card_in
from avfd.errors import InputError
from avfd.specs import PROSE
from classify.data import Opened
from classify.estimators.starting import card_beside
from classify.fit import FitOptions, fit
from classify.provenance import weights_notes

LSTM = {"model": "emo-lstm:epochs=1", "target": "emotion", "preset": "small", "replicates": 10}
REFUSED = "extract will refuse these weights"


@pytest.fixture(scope="module")
def home(kit, tmp_path_factory):
    """Data set "d" with the column that emo-lstm reads, and with another one."""
    columns = [
        kit.Column(kit.spec("compare2016", options={"deltas": True}), kit.noise),
        kit.Column(kit.spec("emobase2010"), kit.noise),
    ]
    path = tmp_path_factory.mktemp("home")
    return kit.make_home(path, "d", kit.make_clips("d", 10, 3), columns)


@pytest.fixture(scope="module")
def report(home):
    told = FitOptions(audio="compare2016", window_seconds=2, hop_seconds=1, **LSTM)
    return fit(home, told)


def test_the_card_says_how_the_column_was_made_and_what_windows_were_cut(kit, report):
    card = json.loads((report.path / "weights" / "emo-lstm.json").read_text())
    spec = json.loads(json.dumps(asdict(kit.spec("compare2016", options={"deltas": True}))))
    column = card["inputs"]["audio"]
    assert column["column"] == "compare2016"
    assert column["spec"] == {n: v for n, v in spec.items() if n not in PROSE}
    run = json.loads((report.path / "run.json").read_text())
    assert column["fingerprint"] == run["columns"]["audio"]["fingerprint"]
    assert (card["windows"]["window_seconds"], card["windows"]["hop_seconds"]) == (2, 1)
    assert not {"window_seconds", "hop_seconds"} & card["settings"].keys()


def test_the_file_carries_the_card_but_for_scores_and_versions(report, tmp_path):
    path = report.path / "weights" / "emo-lstm.safetensors"
    card = json.loads(path.with_suffix(".json").read_text())
    beside = {name: card.pop(name) for name in ("file", "scores", "versions")}
    assert all(beside.values())
    assert card_in(path) == card
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(path.read_bytes())
    assert card_beside(copy)["training_keys"] == card["training_keys"]


def test_weights_that_extract_would_refuse_are_told(home, report):
    other = fit(home, FitOptions(audio="emobase2010", **LSTM))
    assert [note for note in other.notes if REFUSED in note] == [
        "emo-lstm was trained on emobase2010, and a column of that name is made from compare2016: "
        + REFUSED
        + "."
    ]
    assert not [note for note in report.notes if REFUSED in note]


def test_each_network_of_a_fusion_has_its_own_column_on_its_card(kit, tmp_path):
    def faces(clip, rows, rng):
        return kit.Content(rng.integers(0, 256, size=(rows, 2, 8, 8, 3)))

    columns = [
        kit.Column(kit.spec("compare2016"), kit.noise),
        kit.Column(kit.spec("faces", "video", 2, shape=(8, 8, 3), dtype="uint8"), faces),
    ]
    home = kit.make_home(tmp_path, "d", kit.make_clips("d", 10, 3), columns)
    told = FitOptions(
        audio="compare2016",
        video="faces",
        fusion="decision",
        audio_model="emo-lstm:epochs=1",
        video_model="cnn3d-frames:epochs=1,rows=8,columns=8",
        target="emotion",
        preset="small",
        replicates=10,
    )
    weights = fit(home, told).path / "weights"
    cards = {path.stem: json.loads(path.read_text()) for path in weights.glob("*.json")}
    assert {name: card["columns"] for name, card in cards.items()} == {
        "emo-lstm": {"audio": "compare2016"},
        "emo-cnn3d-frames": {"video": "faces"},
    }
    assert {name: list(card["inputs"]) for name, card in cards.items()} == {
        "emo-lstm": ["audio"],
        "emo-cnn3d-frames": ["video"],
    }


@pytest.mark.parametrize("asked", ["emo-lstm:rate_hz=11", "mlp:rate_hz=11"])
def test_more_steps_a_second_than_the_column_has_are_refused(home, asked):
    told = LSTM | {"model": asked}
    with pytest.raises(InputError, match="fewer rows a second") as error:
        fit(home, FitOptions(audio="compare2016", **told))
    assert "found: 11; accepted: 1 to 10" in str(error.value)
    assert f"ask for {asked.partition(':')[0]}:rate_hz=10" in str(error.value)


def test_a_network_that_no_extract_runs_writes_no_weights(home):
    told = LSTM | {"model": "mlp:epochs=1"}
    assert not (fit(home, FitOptions(audio="emobase2010", **told)).path / "weights").exists()


def test_weights_that_no_run_made_are_told(kit, tmp_path):
    made = {"emo-lstm": {"sha256": "ab" * 32, "origin": "of no run", "licence": ""}}
    column = kit.Column(kit.spec("emo-lstm"), kit.noise, facts={"weights": made})
    home = kit.make_home(tmp_path, "d", kit.make_clips("d", 2, 2), [column])
    opened = Opened.at(home, ["d"])
    assert weights_notes({"audio": "emo-lstm"}, opened) == [
        "emo-lstm was made with weights emo-lstm of sha256 abababababab…: nothing says that a run "
        "of avfd fit made them, so what they know is unknown."
    ]
