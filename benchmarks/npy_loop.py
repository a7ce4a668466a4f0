"""The loop that 2D3MF's repository trains with: a Dataset over .npy files, a DataLoader, steps.

`benchmarks.fit` measures avfd against it; nothing here imports avfd. One file a clip and modality
below a folder a backbone, cut to 10 vectors or filled with zeros to that (FACTS 8.1, 8.2), float32
as NumPy writes it. Worker processes stay for the next epoch. The network, its loss and its
optimiser's numbers are given from outside, so that both sides train the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

SLOTS = 10


class NpyClips(Dataset[tuple[Tensor, Tensor, int]]):
    """Audio [SLOTS, *shape], video [SLOTS, *shape] and class of each clip, read when asked for.

    Args:
        folders: "audio" and "video" → folder of the backbone's files.
        stems, labels: of the clips.
    """

    def __init__(
        self, folders: Mapping[str, Path], stems: Sequence[str], labels: Sequence[int]
    ) -> None:
        self._folders, self._stems, self._labels = folders, stems, labels

    def __len__(self) -> int:
        return len(self._stems)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor, int]:
        name = f"{self._stems[i]}.npy"
        audio, video = (fitted(np.load(self._folders[m] / name)) for m in ("audio", "video"))
        return torch.from_numpy(audio), torch.from_numpy(video), self._labels[i]


def fitted(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first SLOTS vectors, zeros where there are fewer."""
    if len(values) >= SLOTS:
        return values[:SLOTS]
    return np.pad(values, [(0, SLOTS - len(values)), *[(0, 0)] * (values.ndim - 1)])


@dataclass(frozen=True)
class Loop:
    """How the loop trains.

    Attributes:
        epochs, batch, workers: a last batch that is not full is left out.
        learning_rate, betas: of Adam.
        device: where the network is.
    """

    epochs: int
    batch: int
    workers: int
    learning_rate: float
    betas: tuple[float, float]
    device: str = "cpu"

    def train(
        self,
        clips: NpyClips,
        network: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        lap: Callable[[], None],
    ) -> float:
        """Train; `lap` is called after every epoch. Returns the last epoch's mean loss."""
        loader = DataLoader(
            clips,
            self.batch,
            shuffle=True,
            drop_last=len(clips) >= self.batch,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
        )
        network = network.to(self.device).train()
        adam = torch.optim.Adam(network.parameters(), self.learning_rate, self.betas)
        mean = 0.0
        for _ in range(self.epochs):
            total = 0.0
            for audio, video, target in loader:
                adam.zero_grad()
                said = network(**self._tracks(audio=audio, video=video))
                step = loss(said, target.to(self.device))
                step.backward()  # type: ignore[no-untyped-call]
                adam.step()
                total += step.item()
            mean = total / len(loader)
            lap()
        return mean

    def _tracks(self, **tracks: Tensor) -> dict[str, Tensor]:
        """The batch on the device, with masks that leave nothing out."""
        out = {name: values.to(self.device) for name, values in tracks.items()}
        masks = {
            f"{name}_mask": torch.ones(values.shape[:2], dtype=torch.bool, device=self.device)
            for name, values in tracks.items()
        }
        return {**out, **masks}
