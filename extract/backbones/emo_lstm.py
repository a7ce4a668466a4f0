"""emo-lstm: EMO_s, the emotion of a voice through time, from LSTM_I on openSMILE descriptors.

Gino, "Audio-video deepfake detection through emotion recognition" (thesis), 4.3, 4.6.1 and 5.3.
The network is trained here; what the thesis leaves open is an option (FACTS.md, 13.5).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from avfd.errors import AbsentError
from avfd.specs import BackboneSpec
from extract.backbones._network import ColumnBlock, NetworkOptions, Windows
from extract.backbones._opensmile import LICENCE
from extract.backbones._ranges import MAX_DIM, MAX_WINDOW_ROWS, check_ranges
from extract.backbones._trained import TrainedBackbone
from extract.backbones.base import Slots, register
from extract.nets.emo_settings import LSTM

if TYPE_CHECKING:
    from torch import Tensor, nn

    from avfd.nets.emo_lstm import EmoLstm as Network

log = logging.getLogger(__name__)

NAME = "emo-lstm"
READS_HZ = 100  # rows of compare2016
MISSING_ROWS = 5  # openSMILE's frames are 60 ms long: the last of a sound have no row


@dataclass(frozen=True)
class EmoLstmOptions(NetworkOptions):
    """How a clip's rows go through the network.

    Attributes:
        rate_hz: vectors a second. 30, so that they pair with the frames of a film, as 4.6.1 has
            it: 300 rows are then 10 s; 100: every row.
        sample: what is brought to that rate. "rows": the descriptors, before the network, as
            4.6.1 says; "vectors": the network sees all 100 rows a second, as in its training,
            and of its vectors so many are kept.
        rows: how fewer rows come of 100. "nearest": the row at the slot's centre (4.6.1: rows are
            selected at the time stamps of frames); "mean": the mean of those in the slot, as
            `avfd fit` does it.
        window_rows: rows that the network sees in one go, beginning with nothing in mind; (300,
            130) in the thesis.
        hop_rows: from one window's start to the next; of a window that overlaps the one before,
            the vectors at its end are kept. None: windows lie end to end.
        pad: what stands for the rows that openSMILE does not give at a sound's end (296 of 300 in
            3 s). "mask": nothing, those slots are invalid; "edge": the last row, up to 50 ms.
        dim: numbers of a vector, of weights that were trained with other `dense_units`.
    """

    rate_hz: int = 30
    sample: Literal["rows", "vectors"] = "rows"
    rows: Literal["nearest", "mean"] = "nearest"
    window_rows: int = 300
    hop_rows: int | None = None
    pad: Literal["mask", "edge"] = "mask"
    dim: int = 32

    def __post_init__(self) -> None:
        ranges = {
            "rate_hz": (1, READS_HZ),
            "window_rows": (1, MAX_WINDOW_ROWS),
            "dim": (1, MAX_DIM),
        }
        check_ranges(NAME, self, {**ranges, "hop_rows": (1, self.window_rows)})

    @property
    def hop(self) -> int:
        """Rows from one window to the next."""
        return self.window_rows if self.hop_rows is None else self.hop_rows

    @property
    def seen_hz(self) -> int:
        """Rows a second that the network sees."""
        return self.rate_hz if self.sample == "rows" else READS_HZ

    @property
    def weights(self) -> str:
        """Name of the model file."""
        return NAME if self.preset == "published" else f"{NAME}-small"


DEFAULT = EmoLstmOptions()


@register(NAME, DEFAULT)
class EmoLstm(TrainedBackbone):
    """Reads the column `compare2016`; a slot is valid where there is a row for it."""

    network: Network

    def __init__(self, options: EmoLstmOptions = DEFAULT) -> None:
        self.options: EmoLstmOptions = options
        self.spec = BackboneSpec(
            name=NAME,
            revision=1,
            modality="audio",
            summary=f"LSTM_I: EMO_s, {options.dim} numbers, {options.rate_hz} a second",
            rate_hz=options.rate_hz,
            shape=(options.dim,),
            reads="compare2016",
            options={
                "sample": options.sample,
                "rows": options.rows,
                "seen_hz": options.seen_hz,
                "window_rows": options.window_rows,
                "hop_rows": options.hop,
                "pad": options.pad,
                "precision": options.precision,
                "preset": options.preset,
            },
            weights=(options.weights,),
            licence=f"weights: by the data they are trained on; columns read: {LICENCE}",
            source="thesis (Gino), 4.6.1: LSTM_I, trained here",
        )

    def check(self, files: Mapping[str, Path]) -> None:
        """As of every trained network; other rows than in training are said, once."""
        super().check(files)
        trained, options = self.network.settings.rate_hz, self.options
        means = options.rows == "mean" or options.seen_hz == READS_HZ
        if trained == options.seen_hz and means:
            return
        asked = f"rate_hz={trained},rows=mean" if trained < READS_HZ else f"rate_hz={READS_HZ}"
        log.warning(
            "%s was trained on %d rows a second%s and sees %d%s here; %s:%s gives it what it was "
            "trained on",
            options.weights,
            trained,
            _way(trained, "mean"),
            options.seen_hz,
            _way(options.seen_hz, options.rows),
            NAME,
            asked,
        )

    def build_network(self, states: Mapping[str, Mapping[str, Tensor]]) -> nn.Module:
        from avfd.nets.emo_lstm import EmoLstm as Network
        from extract.nets.loading import loaded

        name, options = self.options.weights, self.options
        settings = self.trained(name, replace(LSTM[options.preset], dense_units=options.dim))
        self.check_told(name, "dim", settings.dim, options.dim)
        self.check_read(name, (settings.inputs,))
        return loaded(partial(Network, settings), states[name], name)

    def windows(self, block: ColumnBlock) -> Windows:
        """Rows and, as a last column, whether they count: float32 [n, window_rows, 131]."""
        rows, valid = block.values.astype(np.float32), block.valid
        if self.options.pad == "edge":
            rows, valid = edged(rows, valid)
        rows, valid = at_rate(rows, valid, self.options.seen_hz, self.options.rows)
        if not valid.any():
            raise AbsentError("no row of descriptors")
        marked = np.concatenate([np.where(valid[:, None], rows, 0), valid[:, None]], axis=1)
        hop, length = self.options.hop, self.options.window_rows
        starts = np.arange(0, max(1, len(valid) - length + hop), hop)
        padded = np.pad(marked, ((0, starts[-1] + length - len(marked)), (0, 0)))
        cut = np.stack([padded[start : start + length] for start in starts])
        _, valid = at_rate(rows, valid, self._kept_hz, "nearest")
        return Windows(cut.astype(np.float32), 0, valid)

    def forward(self, inputs: Tensor) -> Tensor:
        """EMO_s [n, window_rows, 32]; invalid rows are zeros inside.

        PyTorch has a half-precision LSTM for some CPUs only; on a CPU it is computed in float32.
        """
        import torch

        kind = inputs.device.type
        with torch.autocast(kind, enabled=False) if kind == "cpu" else nullcontext():
            return self.network.features(inputs[..., :-1], inputs[..., -1] > 0.5)

    def slots(self, windows: Windows, outputs: NDArray[np.float32]) -> Slots:
        vectors = np.concatenate([outputs[0], *outputs[1:, -self.options.hop :]])
        vectors, _ = at_rate(vectors, np.ones(len(vectors), dtype=bool), self._kept_hz, "nearest")
        valid = windows.valid
        values = np.where(valid[:, None], vectors[: len(valid)], 0)
        return Slots(0, values.astype(np.float32), valid)

    @property
    def _kept_hz(self) -> int:
        """Of 100 vectors a second, how many are kept; 100 where they were sampled before."""
        return self.options.rate_hz if self.options.sample == "vectors" else READS_HZ


def _way(rate_hz: int, rows: str) -> str:
    """How rows come to that rate, in words; nothing where every row counts."""
    return "" if rate_hz >= READS_HZ else {"mean": " (means)", "nearest": " (the nearest)"}[rows]


def edged(
    rows: NDArray[np.float32], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The last row repeated where up to 50 ms lack after it; [n, dim] and [n]."""
    places = np.arange(len(valid))
    last = np.maximum.accumulate(np.where(valid, places, -1))
    filled = (last >= 0) & (places - last <= MISSING_ROWS)
    return rows[np.maximum(last, 0)], filled


def at_rate(
    rows: NDArray[np.float32],
    valid: NDArray[np.bool_],
    rate_hz: int,
    how: Literal["nearest", "mean"],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Rows of 100 a second at a lower rate.

    Args:
        rows: [n, dim], whole seconds.
        valid: [n].
        rate_hz: rows a second wanted.
        how: "nearest": of each slot the row that covers its centre; "mean": of the valid rows
            whose centre lies in it.
    """
    if rate_hz == READS_HZ:
        return rows, valid
    slots = len(valid) * rate_hz // READS_HZ
    if how == "nearest":
        places = (2 * np.arange(slots) + 1) * READS_HZ // (2 * rate_hz)
        return rows[places], valid[places]
    slot = (2 * np.arange(len(valid)) + 1) * rate_hz // (2 * READS_HZ)
    sums = np.zeros((slots, rows.shape[1]))
    np.add.at(sums, slot[valid], rows[valid])
    count = np.bincount(slot[valid], minlength=slots)
    means = sums / np.maximum(count, 1)[:, None]
    return means.astype(np.float32), count > 0
