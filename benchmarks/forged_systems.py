"""The forged sets of `benchmarks.forged`, and the systems that are tried on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from classify import FitOptions

COLUMNS = (
    "face_track",
    "compare2016",
    "compare2016-functionals",
    "mel",
    "mfcc",
    "waveform",
    "faces:rate_hz=10,size_px=64",
)
"""Nothing of them needs weights that are trained on other people's faces or voices."""


@dataclass(frozen=True)
class ForgedSet:
    """One kind of forgery, or several alike, as a data set of its own.

    Attributes:
        name: of the data set.
        title: for people.
        kinds, extent, variants, vocoder: as `avfd forge` takes them; no kinds: nothing is forged.
        aim: AUC of the chosen system, and of its interval's lower end, where there is an aim.
    """

    name: str
    title: str
    kinds: tuple[str, ...]
    extent: str = "both"
    variants: int = 1
    vocoder: str = "griffin-lim"
    aim: tuple[float, float] | None = None


SETS = (
    ForgedSet("voices", "vocoded voices", ("vocoder",), variants=3, aim=(0.90, 0.80)),
    ForgedSet("world", "voices vocoded by WORLD", ("vocoder",), variants=3, vocoder="world"),
    ForgedSet(
        "swaps",
        "temporally-local swaps of sound, picture or both",
        ("audio-swap", "video-swap", "both-swap"),
        extent="local",
        variants=2,
        aim=(0.75, 0.60),
    ),
    ForgedSet("blends", "blended faces", ("face-blend",)),
    ForgedSet("offsets", "sound early or late", ("offset",)),
    ForgedSet("dubs", "another voice for the whole clip", ("audio-swap",), extent="whole"),
    ForgedSet("real", "clips as found: fakes and reals of different sources", ()),
)


@dataclass(frozen=True)
class System:
    """What is trained on a forged set.

    Attributes:
        name: for people; says the columns and the model.
        sees: "audio", "video" or "both".
        told: fields of `FitOptions`.
        fuses: names of the systems whose runs are fused instead.
        rule: of that fusion.
        network: whether it trains by epochs.
    """

    name: str
    sees: str
    told: dict[str, Any] = field(default_factory=dict)
    fuses: tuple[str, ...] = ()
    rule: str = "mean"
    network: bool = False

    def options(self, dataset: str, folds: int, epochs: int, runs: Sequence[str]) -> FitOptions:
        """What `fit` is asked for."""
        if self.fuses:
            told = FitOptions(fusion="decision", rule=self.rule)  # type: ignore[arg-type]
            return replace(told, runs=tuple(runs))
        told = FitOptions(datasets=(dataset,), folds=folds, validate=True, **self.told)
        return replace(told, preset="small", epochs=epochs) if self.network else told


def _one(sees: str, column: str, model: str, words: str = "", **more: Any) -> System:
    return System(f"{column} · {words or model}", sees, {sees: column, "model": model, **more})


def _both(audio: str, video: str, model: str, words: str = "", **more: Any) -> System:
    told = {"audio": audio, "video": video, "fusion": "feature", "model": model, **more}
    return System(f"{audio} + {video} · {words or model}", "both", told)


def _network(system: System) -> System:
    return replace(system, network=True)


_SECONDS = {"window_seconds": 1, "hop_seconds": 1, "window_labels": "segments"}
_EXACT = {"window_labels": "segments"}
_SHIFTS = "vectors=moments+shifts"
_CONTRAST = "vectors=moments+contrast"
_PLAIN = ("lightgbm", "svm", "logreg")
_FUSED = {
    "lightgbm": ("compare2016-functionals · lightgbm", "faces · lightgbm"),
    "shifts": ("compare2016 · logreg, shifts", "faces · logreg, shifts"),
}

SYSTEMS = (
    *(_one("audio", "compare2016-functionals", model) for model in _PLAIN),
    *(_one("audio", "compare2016", model) for model in _PLAIN),
    _one("audio", "compare2016", f"lightgbm:{_SHIFTS}", "lightgbm, shifts"),
    _one("audio", "compare2016", f"logreg:c=0.01,{_SHIFTS}", "logreg, shifts"),
    _one("audio", "compare2016", "lightgbm", "lightgbm, seconds", **_SECONDS),
    *(_one("video", "faces", model) for model in _PLAIN),
    _one("video", "faces", f"lightgbm:{_SHIFTS}", "lightgbm, shifts"),
    _one("video", "faces", f"logreg:c=0.01,{_SHIFTS}", "logreg, shifts"),
    _one("video", "face_track", f"lightgbm:{_SHIFTS}", "lightgbm, shifts"),
    _one("audio", "compare2016", "sweep"),
    *(_both("compare2016", "faces", model) for model in _PLAIN),
    _both("compare2016", "faces", f"lightgbm:{_SHIFTS}", "lightgbm, shifts"),
    _both("compare2016", "faces", f"logreg:c=0.01,{_SHIFTS}", "logreg, shifts"),
    _both("compare2016-functionals", "faces", "lightgbm"),
    _both(
        "compare2016",
        "faces",
        f"lightgbm:feature_share=0.2,{_CONTRAST}",
        "lightgbm, worst second",
        **_SECONDS,
        aggregate="max",
    ),
    *(
        System(f"decision fusion ({what}) · {rule}", "both", fuses=fuses, rule=rule)
        for what, fuses in _FUSED.items()
        for rule in ("mean", "or", "stack")
    ),
    _network(_one("audio", "compare2016", "lstm2")),
    _network(_both("compare2016", "faces", "lstm2")),
    _network(_both("mfcc", "face_track", "td3mf")),
    _network(_both("mfcc", "face_track", "iat")),
    _network(_both("mfcc", "faces", "avt2dwf", **_EXACT)),
    _network(_both("waveform", "faces", "finegrained", **_EXACT)),
    _network(_both("waveform", "faces", "syncstream")),
    _network(_one("video", "faces", "cnn3d")),
)


def chosen(names: Sequence[str] | None) -> list[System]:
    """The systems whose name has one of these words in it, and those that they fuse; all: None."""
    picked = [s for s in SYSTEMS if names is None or any(word in s.name for word in names)]
    needed = {name for system in picked for name in system.fuses}
    return [s for s in SYSTEMS if s in picked or s.name in needed]
