"""The base of the networks, on the smallest network there can be."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from avfd.errors import InputError
from classify.estimators import base
from classify.estimators.base import EstimatorOptions, Validation, drawn
from classify.estimators.network import NetworkEstimator
from classify.estimators.settings import Training, restored
from classify.estimators.training import cross_entropy, device_of
from classify.features import MemorySource, Sequences, Slots
from classify.watching import Epoch, watched

CLIPS = 48


class Means(nn.Module):
    """Means over the valid slots, then a linear layer."""

    def __init__(self, inputs, classes):
        super().__init__()
        self.head = nn.Linear(sum(facts.dim for facts in inputs.values()), classes)
        self.modalities = list(inputs)

    def forward(self, **tracks):
        parts = []
        for m in self.modalities:
            mask = tracks[f"{m}_mask"]
            total = (tracks[m] * mask[..., None]).sum(dim=1)
            parts.append(total / mask.sum(dim=1, keepdim=True).clamp(min=1))
        return self.head(torch.cat(parts, dim=1))


@dataclass(frozen=True)
class MeansSettings(Training):
    epochs: int = 12
    batch: int = 8
    learning_rate: float = 0.1
    milestones: tuple[int, ...] = (2,)


class MeansEstimator(NetworkEstimator):
    name = "means"
    takes = ("audio", "video")
    presets: ClassVar = {"paper": MeansSettings(), "small": MeansSettings(epochs=2)}

    def network(self):
        return Means(self.inputs, self.options.classes)


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setitem(base._REGISTRY, "means", MeansEstimator)


def clips(seed=0, shift=2.0, rate=4, dim=2, share=0.5):
    rng = np.random.default_rng(seed)
    y = (np.arange(CLIPS) % 20 < 20 * share).astype(np.intp)
    slots = []
    for i in range(CLIPS):
        values = rng.normal(size=(1 + i % 3, rate, dim)) + shift * y[i]
        slots.append(Slots(values, np.ones(values.shape[:2], bool)))
    return Sequences.of(MemorySource("made", slots, rate, dim)), y


def fitted(settings=None, options=None, validate=True, shift=2.0, **told):
    made, y = clips(shift=shift)
    kind = EstimatorOptions(**told) if options is None else options
    estimator = MeansEstimator(kind, settings)
    held, fresh = clips(seed=1, shift=shift)
    validation = Validation({"audio": held}, fresh) if validate else None
    return estimator.fit({"audio": made}, y, validation=validation)


def log(estimator):
    return estimator.card_["log"]


def test_the_best_epoch_on_validation_is_kept():
    estimator = fitted(replace(MeansSettings(), learning_rate=3.0, patience=0))
    losses = [row["valid_loss"] for row in log(estimator)]
    best = estimator.card_["best_epoch"]
    made, y = clips(seed=1)
    said = np.concatenate([o.numpy() for _, o in estimator.outputs({"audio": made})])
    order = [i for index, _ in estimator.outputs({"audio": made}) for i in index]
    loss = nn.functional.cross_entropy(torch.from_numpy(said), torch.from_numpy(y[order]))
    assert len(losses) == 12
    assert losses[best - 1] == pytest.approx(min(losses), rel=1e-3)
    assert float(loss) == pytest.approx(losses[best - 1], rel=1e-4)


def test_training_stops_when_no_better_epoch_comes():
    estimator = fitted(replace(MeansSettings(), epochs=50, learning_rate=0.0, patience=3))
    assert estimator.card_["epochs"] == 4
    assert estimator.card_["best_epoch"] == 1


@pytest.mark.parametrize("monitor", ["auc", "accuracy"])
def test_other_monitors_are_measured_on_validation(monitor):
    estimator = fitted(replace(MeansSettings(), monitor=monitor))
    values = [row[f"valid_{monitor}"] for row in log(estimator)]
    assert max(values) > 0.9
    assert values[estimator.card_["best_epoch"] - 1] == pytest.approx(max(values), rel=1e-3)


def test_without_validation_the_last_epoch_counts():
    estimator = fitted(validate=False)
    assert estimator.card_["epochs"] == 12
    assert estimator.card_["best_epoch"] is None


def test_the_training_loss_can_choose_without_validation():
    settings = replace(MeansSettings(), monitor="train-loss", learning_rate=3.0, patience=0)
    estimator = fitted(settings, validate=False)
    losses = [row["train_loss"] for row in log(estimator)]
    assert losses[estimator.card_["best_epoch"] - 1] == pytest.approx(min(losses), rel=1e-3)


def test_epochs_can_be_told_from_outside():
    assert fitted(epochs=3).card_["epochs"] == 3


def test_time_runs_out_in_the_middle_of_an_epoch(monkeypatch):
    """The clock advances half a minute a look: the third batch is beyond one minute."""
    looks = iter(np.arange(0, 1e6, 30.0))
    monkeypatch.setattr("classify.estimators.callbacks.time.monotonic", lambda: next(looks))
    estimator = fitted(minutes=1.0)
    assert estimator.card_["epochs"] == 0
    assert np.isfinite(estimator.predict_proba({"audio": clips()[0]})).all()


def test_a_users_interrupt_is_not_taken_for_the_end():
    def interrupt(epoch: Epoch) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), watched(interrupt):
        fitted()


def test_those_who_watch_are_told_every_epoch():
    seen: list[Epoch] = []
    with watched(seen.append):
        fitted(epochs=3)
    fitted(epochs=2)
    assert [(e.estimator, e.number, e.most) for e in seen] == [("means", i, 3) for i in (1, 2, 3)]
    assert all(e.monitored is not None for e in seen)


@pytest.mark.parametrize(
    ("changed", "rates"),
    [
        ({"schedule": "milestones", "decay": 0.1}, [0.1, 0.01, 0.01]),
        ({"schedule": "cosine"}, [0.075, 0.025, 0.0]),
        ({"schedule": "none"}, [0.1, 0.1, 0.1]),
    ],
)
def test_schedules_lower_the_rate(changed, rates, monkeypatch):
    seen = []
    from classify.estimators import callbacks

    end = callbacks.Schedule.on_epoch_end

    def note(self, net, **kwargs):
        end(self, net, **kwargs)
        seen.append(net.optimizer_.param_groups[0]["lr"])

    monkeypatch.setattr(callbacks.Schedule, "on_epoch_end", note)
    fitted(replace(MeansSettings(), epochs=3, stop_rate=-1.0, **changed))
    np.testing.assert_allclose(seen, rates, atol=1e-9)


def test_a_plateau_stops_training_at_the_lowest_rate():
    settings = MeansSettings(
        schedule="plateau", decay=0.01, plateau_patience=0, learning_rate=1e-5, stop_rate=1e-7
    )
    assert fitted(replace(settings, epochs=50, patience=0)).card_["epochs"] < 10


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
def test_every_optimiser_learns(optimiser):
    estimator = fitted(replace(MeansSettings(), optimiser=optimiser, momentum=0.5))
    made, y = clips(seed=2)
    assert (estimator.predict_proba({"audio": made}).argmax(axis=1) == y).mean() > 0.9


def test_gradients_are_cut_to_a_norm():
    slow = replace(MeansSettings(), optimiser="sgd", epochs=1, clip_norm=1e-3)
    one = fitted(slow).module_.head.weight.detach()
    start = fitted(replace(slow, learning_rate=0.0)).module_.head.weight.detach()
    assert 0 < float((one - start).norm()) <= 6 * 0.1 * 1e-3 * 1.01


def test_a_batch_that_is_not_full_can_be_left_out():
    odd = replace(MeansSettings(), batch=36, epochs=1)
    counts = {}
    for drop in (False, True):
        seen = []

        class Counting(MeansEstimator):
            def augment(self, batch, target, generator, seen=seen):
                seen.append(len(target))
                return batch, target

        made, y = clips()
        Counting(EstimatorOptions(), replace(odd, drop_last=drop)).fit({"audio": made}, y)
        counts[drop] = seen
    assert counts == {False: [36, 12], True: [36]}


# Balance.


def test_repetition_makes_the_classes_equally_large():
    y = np.array([0, 0, 0, 0, 0, 1, 1, 2])
    index = drawn(y, EstimatorOptions(balance="repeat"))
    assert np.bincount(y[index]).tolist() == [5, 5, 5]
    assert set(index.tolist()) == set(range(8))


def test_sampling_draws_classes_alike_and_repeatably():
    y = np.repeat([0, 1], [900, 100])
    one, two = (drawn(y, EstimatorOptions(balance="sample", seed=3)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert abs(np.mean(y[one]) - 0.5) < 0.06
    assert len(one) == 1000


@pytest.mark.parametrize("balance", ["repeat", "sample", "none"])
def test_networks_train_on_balanced_batches(balance):
    seen = []

    class Counting(MeansEstimator):
        def augment(self, batch, target, generator):
            seen.extend(target.tolist())
            return batch, target

    made, y = clips(share=0.1)
    Counting(EstimatorOptions(balance=balance, epochs=8)).fit({"audio": made}, y)
    share = np.mean(seen)
    assert abs(share - (y.mean() if balance == "none" else 0.5)) < 0.08


def test_sampling_draws_anew_each_epoch():
    epochs = []

    class Noting(MeansEstimator):
        def augment(self, batch, target, generator):
            epochs.append(batch["audio"].sum().item())
            return batch, target

    made, y = clips(share=0.1)
    settings = replace(MeansSettings(), batch=CLIPS, epochs=3)
    Noting(EstimatorOptions(balance="sample"), settings).fit({"audio": made}, y)
    assert len(set(epochs)) == 3


# Parts.


def test_part_labels_reach_the_loss():
    seen = []

    class Parted(MeansEstimator):
        uses_parts = True

        def loss(self, out, target, weight):
            seen.append(target)
            return cross_entropy(out, target[:, 0], weight)

    made, y = clips()
    audio = np.where(np.arange(CLIPS) % 3 == 0, -1, y)
    parts = {"audio": audio.astype(np.intp)}
    held = Validation({"audio": made}, y, parts)
    settings = replace(MeansSettings(), monitor="auc", epochs=2)
    Parted(EstimatorOptions(), settings).fit({"audio": made}, y, validation=held, parts=parts)
    whole, audio_part, video_part = torch.cat(seen).T
    assert set(video_part.tolist()) == {-1}
    known = audio_part >= 0
    assert torch.equal(whole[known], audio_part[known])
    assert 0 < int((~known).sum()) < len(known)


def test_unknown_classes_do_not_count_in_the_loss():
    logits = torch.randn(4, 2, requires_grad=True)
    target = torch.tensor([0, -1, 1, -1])
    wanted = nn.functional.cross_entropy(logits[[0, 2]], target[[0, 2]])
    torch.testing.assert_close(cross_entropy(logits, target), wanted)
    nothing = cross_entropy(logits, torch.full((4,), -1))
    nothing.backward()
    assert float(nothing.detach()) == 0
    assert not logits.grad.any()


# Scale.


def test_the_scale_is_that_of_the_valid_slots_and_is_saved(tmp_path):
    made, y = clips()
    settings = replace(MeansSettings(), standardise=True)
    estimator = MeansEstimator(EstimatorOptions(), settings).fit({"audio": made}, y)
    every = np.concatenate([made.native(i).values.reshape(-1, 2) for i in range(CLIPS)])
    mean = estimator.constants_["scale.audio.mean"]
    np.testing.assert_allclose(mean, every.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(
        estimator.constants_["scale.audio.deviation"], every.std(axis=0), rtol=1e-5
    )
    estimator.save(tmp_path)
    again = MeansEstimator.load(tmp_path, base.read_facts(tmp_path))
    assert again.settings == settings
    np.testing.assert_array_equal(again.constants_["scale.audio.mean"], mean)


# Settings and what is refused.


def test_settings_come_back_from_json_as_they_were():
    settings = MeansSettings(milestones=(3, 5), learning_rate=0.5)
    stored = json.loads(json.dumps(asdict(settings)))
    assert restored(MeansSettings(), stored, "here") == settings
    assert restored(MeansSettings(), {"epochs": 3}, "here") == MeansSettings(epochs=3)
    with pytest.raises(InputError, match="nonsense"):
        restored(MeansSettings(), {"nonsense": 1}, "here")


def test_an_unknown_preset_lists_the_known_ones():
    with pytest.raises(InputError, match="paper, small"):
        MeansEstimator(EstimatorOptions(preset="large"))


def test_a_model_of_the_first_format_still_loads(tmp_path):
    estimator = fitted()
    estimator.save(tmp_path)
    facts = json.loads((tmp_path / "estimator.json").read_text())
    for name in ("settings", "shapes"):
        del facts[name]
    old = {k: facts["options"][k] for k in ("classes", "seed", "balance", "preset")}
    facts |= {"format_version": 1, "options": old}
    (tmp_path / "estimator.json").write_text(json.dumps(facts))
    again = MeansEstimator.load(tmp_path, base.read_facts(tmp_path))
    made = {"audio": clips(seed=4)[0]}
    np.testing.assert_array_equal(again.predict_proba(made), estimator.predict_proba(made))


def test_a_modality_that_the_network_does_not_take_is_refused():
    made, y = clips()

    class Both(MeansEstimator):
        needs = ("audio", "video")

    with pytest.raises(InputError, match="modalities"):
        MeansEstimator().fit({"smell": made}, y)
    with pytest.raises(InputError, match="never without audio, video"):
        Both().fit({"audio": made}, y)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no CUDA"):
        device_of("cuda")
    assert device_of("cuda", strict=False).type == "cpu"
    assert device_of("auto").type == "cpu"
    made, y = clips()
    with pytest.raises(InputError, match="no CUDA"):
        MeansEstimator(EstimatorOptions(device="cuda")).fit({"audio": made}, y)
