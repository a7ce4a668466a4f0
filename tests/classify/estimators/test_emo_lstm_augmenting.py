"""emo-lstm: what training does to descriptors is done to standardised ones; weights stay alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from avfd.errors import InputError
from classify import estimators
from classify.estimators import EstimatorOptions
from classify.features import MemorySource, Sequences, Slots

MEANS, WIDTHS = np.array([1_000.0, -50.0, 0.0, 7.0]), np.array([10.0, 0.5, 1.0, 2.0])
SMALL = EstimatorOptions(preset="small", epochs=1)


def features() -> dict[str, Sequences]:
    """Sixteen clips of 3 s, four descriptors each, as unlike in size as openSMILE's are."""
    rng = np.random.default_rng(0)
    drawn = (MEANS + WIDTHS * rng.normal(size=(16, 3, 5, 4))).astype(np.float32)
    slots = [Slots(values, np.ones((3, 5), bool)) for values in drawn]
    return {"audio": Sequences.of(MemorySource("lld", slots, 5, 4, (4,)))}


def fitted(options: str):
    model = estimators.build(f"emo-lstm:{options}", SMALL)
    return model.fit(features(), np.arange(16) % 2)


def batch() -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(1)
    x = torch.from_numpy((MEANS + WIDTHS * rng.normal(size=(6, 15, 4))).astype(np.float32))
    mask = torch.ones(6, 15, dtype=torch.bool)
    mask[0, 12:] = False
    return {"audio": x * mask.unsqueeze(2), "audio_mask": mask}


def changed(model) -> tuple[torch.Tensor, torch.Tensor]:
    given = batch()
    made, _ = model.augment(given, torch.arange(6) % 2, torch.Generator().manual_seed(0))
    assert torch.equal(made["audio_mask"], given["audio_mask"])
    return made["audio"], given["audio"]


def test_level_alone_moves_every_descriptor_by_as_many_of_its_deviations():
    model = fitted("level=0.5")
    made, given = changed(model)
    by = (made - given)[1:] / torch.from_numpy(model.constants_["scale.audio.deviation"])
    assert by.abs().max() > 0.1
    torch.testing.assert_close(by, by[:, :1, 1:2].expand_as(by), atol=1e-3, rtol=0)


@pytest.mark.parametrize("option", ["mask_slots=6", "mask_bands=2"])
def test_blanks_stand_at_the_mean(option):
    made, given = changed(fitted(option))
    gone = ~torch.isclose(made, given, rtol=1e-5, atol=1e-4)[1:]
    assert gone.any()
    mean = torch.from_numpy(MEANS.astype(np.float32)).expand_as(made[1:])
    far = (made[1:] - mean).abs() / torch.from_numpy(WIDTHS.astype(np.float32))
    assert far[gone].max() < 0.5  # of 240 training values the mean is that of the draw to 0.2


def test_nothing_asked_is_nothing_done():
    made, given = changed(fitted("level=0"))
    assert torch.equal(made, given)


def test_what_stage_1_is_given_keeps_its_units():
    (plain, _), (augmented, _) = fitted("level=0").exported(), fitted("level=0.5").exported()
    assert plain.keys() == augmented.keys()
    for name in ("low", "high"):
        assert torch.equal(plain[name], augmented[name])


def test_descriptors_are_not_shifted():
    with pytest.raises(InputError, match=r"shift_bands.*no neighbouring bands.*mel-cnn"):
        fitted("shift_bands=2")
