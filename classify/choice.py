"""What `fit` was asked for, and what it takes where it was not told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from avfd.asks import parse
from avfd.cache import ColumnReader, Reader
from avfd.errors import InputError, MissingError
from classify import estimators
from classify.estimators.base import Balance, Estimator, EstimatorOptions
from classify.fusion import Rule, check_rule
from classify.keys import MODALITIES, keyed, modality_of
from classify.model import MemberOptions, ModelOptions
from classify.protocols.crossing import CROSSES, WORDS, Cross
from classify.windows import Windows

# Bare `--fusion decision` takes the first of these that is cached, by backbone name; other
# columns of the modality come after them in alphabetical order.
AUDIO_PREFERENCE = (
    "eat",
    "emotion2vec",
    "xvector",
    "compare2016",
    "emobase2010",
    "compare2016-functionals",
    "mel",
    "mfcc",
    "waveform",
)
VIDEO_PREFERENCE = ("marlin-base", "efficientface", "faces", "face_track")
PREFERENCE = {"audio": AUDIO_PREFERENCE, "video": VIDEO_PREFERENCE}
DEFAULT_MODEL = "lightgbm"
_WORDS = {
    "fusion": ("none", "feature", "decision"),
    "target": ("deepfake", "emotion"),
    "aggregate": ("mean", "max"),
    "window_labels": ("clip", "segments"),
    "balance": ("weights", "repeat", "sample", "none"),
    "device": ("auto", "cpu", "cuda"),
    "cross": CROSSES,
}


@dataclass(frozen=True)
class FitOptions:
    """What `fit` is asked for.

    Attributes:
        datasets: names of the data sets, pooled; none: the only one there is.
        test_datasets: data sets that are tested and never train; see `cross`.
        cross: what the other data sets give then: see `protocols.crossing.crossed`.
        leave_out: manipulations that only the test has: see `protocols.crossing.left_out`.
        protocol: a protocol of the manifest; None: the data set's default;
            "leave-one-dataset-out" and "leave-one-manipulation-out" make a fold of each.
        folds: group-wise folds instead of a protocol; every clip is then scored once, by the
            model that did not see its group.
        audio, video: a column, or several of which a fusion makes use; see PREFERENCE for what
            a fusion takes where fewer than two are named.
        model: estimator of every modality, with options after a colon
            (`td3mf:fusion=audio-reuse`); audio_model, video_model: of one (decision fusion).
        fusion: "none", "feature" or "decision".
        rule: of decision fusion: mean, weighted, or, noisy-or, stack.
        target: what is told apart.
        seed: of the models; same seed, same numbers to the bit.
        split_seed: of the split; None: the protocol's own, 0 for folds.
        window_seconds, hop_seconds, aggregate, window_labels: see `Windows`.
        validate: with folds, hold the next one out of training even where the model makes no use
            of it, so that runs can be chosen among by their scores on it.
        balance, preset, epochs, minutes, device: see `EstimatorOptions`.
        picture_px, picture_gray: how pixel columns are made small first.
        trials: settings tried by a search on validation clips before the fit; None: none.
        runs: two or more finished runs whose scores are fused (with fusion "decision"); the
            options above but rule and seed are then theirs, and refused here.
        replicates: of the bootstrap that makes the intervals.
    """

    datasets: tuple[str, ...] = ()
    test_datasets: tuple[str, ...] = ()
    cross: Cross = "sides"
    leave_out: tuple[str, ...] = ()
    protocol: str | None = None
    folds: int | None = None
    audio: str | tuple[str, ...] | None = None
    video: str | tuple[str, ...] | None = None
    model: str | None = None
    audio_model: str | None = None
    video_model: str | None = None
    fusion: Literal["none", "feature", "decision"] = "none"
    rule: Rule = "mean"
    target: Literal["deepfake", "emotion"] = "deepfake"
    seed: int = 0
    split_seed: int | None = None
    window_seconds: int | None = None
    hop_seconds: int | None = None
    aggregate: Literal["mean", "max"] = "mean"
    window_labels: Literal["clip", "segments"] = "clip"
    validate: bool = False
    balance: Balance = "weights"
    preset: str = "paper"
    epochs: int | None = None
    minutes: float | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    picture_px: int = 16
    picture_gray: bool = True
    trials: int | None = None
    runs: tuple[str, ...] = ()
    replicates: int = 2000

    def __post_init__(self) -> None:
        for modality in MODALITIES:
            names = self.named(modality)
            object.__setattr__(self, modality, names if len(names) > 1 else next(iter(names), None))

    def named(self, modality: str) -> tuple[str, ...]:
        """The columns of a modality that are named, in their order."""
        asked: str | Sequence[str] | None = getattr(self, modality)
        return tuple(filter(None, (asked,) if isinstance(asked, str) else asked or ()))

    @property
    def columns(self) -> dict[str, str]:
        """Key (see `classify.keys`) → column, of those named."""
        return keyed((modality, name) for modality in MODALITIES for name in self.named(modality))

    @property
    def windows(self) -> Windows:
        return Windows(self.window_seconds, self.hop_seconds, self.aggregate, self.window_labels)


def check_options(options: FitOptions) -> None:
    """Refuse unknown words and models, and options that contradict each other."""
    for name, accepted in _WORDS.items():
        if getattr(options, name) not in accepted:
            raise InputError(
                "not a known word",
                where=f"--{name}",
                found=getattr(options, name),
                accepted=", ".join(accepted),
            )
    _check_columns(options)
    if options.folds is not None and options.folds < 2:
        raise InputError("no folds", where="--folds", found=options.folds, accepted="2 or more")
    if options.validate and options.folds is None:
        raise InputError(
            "only folds hold one out to validate on",
            where="--validate",
            next_step="add --folds K, or take a protocol with a validation side",
        )
    if options.protocol and options.folds:
        raise InputError("a protocol and folds exclude each other", where="--protocol, --folds")
    if options.test_datasets and (options.folds or options.protocol in WORDS):
        raise InputError(
            "with a data set to be tested alone there is one training",
            where="--test-dataset",
            found=f"--folds {options.folds}" if options.folds else f"--protocol {options.protocol}",
        )
    if both := set(options.datasets) & set(options.test_datasets):
        raise InputError(
            "a data set cannot train and be the unseen one",
            where="--dataset, --test-dataset",
            found=", ".join(sorted(both)),
        )
    if options.cross != "sides" and not options.test_datasets:
        raise InputError("there is no data set to be tested alone", where="--cross, --test-dataset")
    if options.seed < 0:
        raise InputError("no seed", where="--seed", found=options.seed, accepted="0 or more")
    if (options.epochs is not None and options.epochs < 1) or (
        options.minutes is not None and options.minutes <= 0
    ):
        raise InputError(
            "no budget",
            where="--epochs, --minutes",
            found=f"{options.epochs}, {options.minutes}",
            accepted="more than 0",
        )
    if options.trials is not None and options.trials < 1:
        raise InputError("no trials", where="--trials", found=options.trials, accepted="1 or more")
    if options.fusion != "decision" and options.rule != "mean":
        raise InputError(
            "only decision fusion has a rule",
            where="--rule",
            found=f"{options.rule}, with --fusion {options.fusion}",
            next_step="add --fusion decision, or leave --rule out",
        )
    _check_own_models(options)
    for asked in filter(None, (options.model, options.audio_model, options.video_model)):
        estimators.build(asked, EstimatorOptions(preset=options.preset))
    if options.preset not in (presets := estimators.presets()):
        raise InputError(
            "no model has such a preset",
            where="--preset",
            found=options.preset,
            accepted=", ".join(presets),
        )
    own = [m for m in (options.audio_model, options.video_model) if m]
    if options.fusion == "feature" and own:
        raise InputError(
            "feature fusion has one model for all columns",
            where="--audio-model, --video-model",
            found=", ".join(own),
            accepted="--model",
        )
    _check_several(options)


def _check_columns(options: FitOptions) -> None:
    """Refuse a column that is named twice, and several of which nothing makes use."""
    for modality in MODALITIES:
        names = options.named(modality)
        if len(set(names)) < len(names):
            raise InputError(
                "a column is named twice",
                where=f"--{modality}",
                found=", ".join(names),
                accepted="each once",
            )
    if options.fusion == "none" and len(options.columns) > 1:
        raise InputError(
            "several columns need a fusion",
            where="--fusion",
            found="none",
            accepted="feature, decision",
        )


def _check_own_models(options: FitOptions) -> None:
    """Refuse a model of a modality that is not there to be modelled."""
    if options.fusion != "none" and len(options.columns) < 2:
        return  # the fusion takes a column of each modality
    own = {"audio": options.audio_model, "video": options.video_model}
    for modality, model in own.items():
        if model and modality not in options.columns:
            fuse = ", or ask for --fusion decision" if options.fusion == "none" else ""
            raise InputError(
                f"there is no {modality} column to model",
                where=f"--{modality}-model",
                found=model,
                next_step=f"name one with --{modality}{fuse}",
            )


def _check_several(options: FitOptions) -> None:
    """Refuse several columns of one modality for a model that sees one of each."""
    model = parse(options.model or DEFAULT_MODEL).name
    if options.fusion != "feature" or estimators.kind_of(model).several:
        return
    for modality in MODALITIES:
        names = options.named(modality)
        if len(names) > 1:
            able = [name for name in estimators.names() if estimators.kind_of(name).several]
            raise InputError(
                f"{model} sees one {modality} column",
                where=f"--{modality}",
                found=", ".join(names),
                accepted=f"one; several with --model {', '.join(able)}",
                next_step="take such a model, or --fusion decision for a model a column",
            )


def model_options(options: FitOptions, keys: tuple[str, ...], classes: int) -> ModelOptions:
    """The model that was asked for, on the columns under these keys (`classify.keys`)."""
    check_rule(options.rule, classes)
    common = options.model or DEFAULT_MODEL
    own = {"audio": options.audio_model or common, "video": options.video_model or common}
    if options.fusion == "decision" or len(keys) == 1:
        members = {key: MemberOptions(own[modality_of(key)], (key,)) for key in keys}
    else:
        members = {"+".join(dict.fromkeys(map(modality_of, keys))): MemberOptions(common, keys)}
    told = EstimatorOptions(
        classes,
        options.seed,
        options.balance,
        options.preset,
        options.epochs,
        options.minutes,
        options.device,
    )
    built = [estimators.build(member.model, told) for member in members.values()]
    for estimator, member in zip(built, members.values(), strict=True):
        estimator.check_modalities(member.modalities)
    return ModelOptions(members, options.rule, told, _windows(options, built))


def _windows(options: FitOptions, built: Sequence[Estimator]) -> Windows:
    """The windows asked for, else those that the model is made for."""
    made_for = {estimator.default_windows for estimator in built}
    if options.window_seconds is None and options.hop_seconds is None and len(made_for) == 1:
        (own,) = made_for
        if own is not None:
            return Windows(own[0], own[1], options.aggregate, options.window_labels)
    return options.windows


def choose_columns(options: FitOptions, readers: Mapping[str, Reader]) -> dict[str, str]:
    """Key → column: those named; for a fusion of fewer than two the preferred one of the rest."""
    cached = common_columns(readers)
    named = options.columns
    if options.fusion == "none" and not named:
        raise InputError(
            "which column?",
            where="--audio, --video",
            found="neither",
            accepted=", ".join(sorted(cached)) or "none is cached yet",
            next_step="name one, or ask for --fusion decision",
        )
    chosen = named
    if options.fusion != "none" and len(named) < 2:
        chosen = {m: named.get(m) or preferred(m, cached, readers) for m in MODALITIES}
    for key, name in chosen.items():
        check_column(modality_of(key), name, readers)
    return chosen


def common_columns(readers: Mapping[str, Reader]) -> dict[str, ColumnReader]:
    """The columns that every data set has."""
    first = next(iter(readers.values()))
    shared = set.intersection(*(set(r.columns) for r in readers.values()))
    return {name: first.column(name) for name in sorted(shared)}


def preferred(
    modality: str, cached: Mapping[str, ColumnReader], readers: Mapping[str, Reader]
) -> str:
    """The first column of a modality by PREFERENCE; an error where there is none."""
    order = PREFERENCE[modality]

    def rank(name: str) -> tuple[int, str]:
        backbone = str(spec_of(cached[name])["name"])
        return (order.index(backbone) if backbone in order else len(order), name)

    mine = [name for name, column in cached.items() if spec_of(column)["modality"] == modality]
    if not mine:
        raise MissingError(
            f"no {modality} column is cached",
            where=", ".join(readers),
            found=", ".join(cached) or "no column",
            next_step=_extract_command(readers, order[0]),
        )
    return min(mine, key=rank)


def check_column(modality: str, name: str, readers: Mapping[str, Reader]) -> None:
    """Refuse a column that some data set lacks and one of the other modality."""
    lacking = {dataset: reader for dataset, reader in readers.items() if name not in reader.columns}
    if lacking:
        raise MissingError(
            f"the column is not cached for {', '.join(lacking)}",
            where=name,
            accepted=", ".join(common_columns(readers)) or "no column is cached yet",
            next_step=_extract_command(lacking, name),
        )
    found = spec_of(next(iter(readers.values())).column(name))["modality"]
    if found != modality:
        raise InputError(f"this is no {modality} column", where=f"--{modality} {name}", found=found)


def spec_of(column: ColumnReader) -> dict[str, object]:
    """The spec that the column was written with."""
    spec: dict[str, object] = column.spec_facts["spec"]
    return spec


def _extract_command(datasets: Mapping[str, Reader], backbone: str) -> str:
    commands = [f"`avfd extract --dataset {name} --backbone {backbone}`" for name in datasets]
    return "run " + " and ".join(commands)
