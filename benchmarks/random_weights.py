"""Model files of the published sizes with random numbers in them: how fast a network is does not
depend on the numbers, and most published files may not be passed on."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from avfd.home import Home
from benchmarks.helpers import from_tests
from extract import weights
from extract.backbones import build, load_all
from extract.task import FACE_MODEL


def add_weights(home: Home, backbones: Sequence[str]) -> None:
    """Put what these backbones need into the home's weights folder, through the public road."""
    from safetensors.torch import save_file

    makers = from_tests("checkpoint_makers")
    load_all()
    specs = [build(backbone).spec for backbone in backbones]
    specs += [build(spec.reads).spec for spec in specs if spec.reads]
    needed = dict.fromkeys(name for spec in specs for name in spec.weights if name != FACE_MODEL)
    home.weights_dir.mkdir(parents=True, exist_ok=True)
    for name in needed:
        facts = weights.facts(name)
        if not (home.weights_dir / facts.file_name).is_file():
            made = home.weights_dir / "made.safetensors"
            save_file(makers.random_tensors(facts.reader().expected()), made)
            weights.add(made, name, home)
            made.unlink()


def share_weights(of: Home, to: Home) -> None:
    """The same files in another home, by hard links."""
    to.weights_dir.mkdir(parents=True, exist_ok=True)
    for path in of.weights_dir.iterdir():
        target = to.weights_dir / path.name
        if not target.exists():
            try:
                target.hardlink_to(path)
            except OSError:  # another disk
                shutil.copy(path, target)


def face_model(home: Home) -> Path:
    """The face detector's file."""
    return weights.find(FACE_MODEL, home).path
