"""What stands beside a column: versions, weights, the clips that trained them, the licence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version

from avfd.specs import BackboneSpec
from extract.backbones import build
from extract.weights import WeightsFile
from extract.weights import facts as weights_facts

LIBRARIES = (
    "avfd",
    "av",
    "funasr",
    "mediapipe",
    "numpy",
    "opensmile",
    "soxr",
    "speechbrain",
    "torch",
    "torchaudio",
    "torchvision",
    "transformers",
)


def attributes(spec: BackboneSpec, files: Mapping[str, WeightsFile]) -> dict[str, object]:
    """What stands beside a column without being hashed: versions, origin of the weights.

    The model files of the column that is read are among the weights, and the clips that trained
    them among the training clips: the numbers come from them, too.
    """
    own = {name: files[name] for name in _weights_behind(spec)}
    return {
        "versions": versions(),
        "weights": {
            n: {"sha256": f.sha256, "origin": f.origin, "licence": weights_licence(n, f)}
            for n, f in own.items()
        },
        **{name: _on_cards(own.values(), name) for name in ("training_keys", "training_media")},
    }


def licence(
    spec: BackboneSpec, read: Mapping[str, BackboneSpec], files: Mapping[str, WeightsFile]
) -> str:
    """Of a column: as the spec has it; with weights trained here, that of their data.

    That of the column which is read is inherited; a spec that names it already is left as it is.

    Args:
        read: column that is read → its spec.
        files: weights name → file.
    """
    trained = {n: files[n] for n in spec.weights if files[n].card.get("data")}
    said = [f"weights: {weights_licence(name, file)}" for name, file in trained.items()]
    own = "; ".join(said) or spec.licence
    if not spec.reads:
        return own
    inherited = licence(read[spec.reads], read, files)
    return own if inherited in own else f"{own}; columns read: {inherited}"


def _weights_behind(spec: BackboneSpec) -> tuple[str, ...]:
    """Names of the model files that a column's numbers come from, its own first."""
    read = _weights_behind(build(spec.reads).spec) if spec.reads else ()
    return tuple(dict.fromkeys((*spec.weights, *read)))


def weights_licence(name: str, file: WeightsFile) -> str:
    """Of a model file: by its card that of the data that trained it, else the published one's."""
    data = file.card.get("data")
    if not data:
        return str(file.card.get("licence") or weights_facts(name).licence)
    of_each = ", ".join(f"{each['title']} ({each['licence']})" for each in data.values())
    return f"by the data they are trained on, {of_each}"


def _on_cards(files: Iterable[WeightsFile], name: str) -> list[str]:
    """What the model files' cards list under that name, sorted."""
    return sorted({each for file in files for each in file.card.get(name, ())})


def versions() -> dict[str, str]:
    """Versions of the libraries that numbers may depend on; recorded, not hashed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
