"""`avfd doctor`: what is installed, found and missing here, and what to do about each gap.

Nothing heavy is imported and nothing is connected to; the stages' facts come in as arguments.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Literal

from avfd.home import Home

FACE_DETECTOR = "blazeface"
"""The one model file that the columns of the demo and of most video work need."""

State = Literal["ok", "optional", "missing", "warning"]

LOW_DISK_BYTES = 5 * 2**30
OUR_PACKAGES = ("avfd", "extract", "classify")
RESEARCH_ONLY = {"opensmile": "audEERING research licence: non-commercial use only"}
"""Packages whose licence forbids what ours allows, beside what their own metadata say."""

UNSTATED = {"icechunk": "Apache-2.0", "skops": "MIT"}
"""Licences, from the packages' own licence files, that their metadata do not state."""

CARRIED = {"espeakng-loader": "espeak-ng inside is GPL-3.0; only the demo needs it"}
"""Packages that carry another program → its licence, worth a note."""

PARTS: dict[str, tuple[str, ...]] = {
    "base": ("numpy", "pandas", "pyarrow", "zarr", "icechunk", "h5py", "typer", "rich"),
    "extract": ("av", "soxr", "scipy", "mediapipe"),
    "classify": (
        *("scikit-learn", "lightgbm", "skops"),
        *("torch", "skorch", "safetensors"),
        "matplotlib",
    ),
    "networks": (
        *("torch", "torchaudio", "torchvision", "safetensors"),
        *("funasr", "speechbrain", "transformers"),
    ),
    "opensmile": ("opensmile",),
    "demo": ("espeakng-loader", "scikit-image"),
}
"""Extra → the packages that it is there for."""

LIBRARIES = {"libgomp.so.1": ("LightGBM", "apt-get install libgomp1, or your system's GCC runtime")}
"""System libraries that no wheel carries → who needs them, how to get them."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        name, detail: what it is and what was found.
        state: "ok", "optional" (not here, and only some columns need it), "warning" (works,
            with a caveat) or "missing".
        next_step: what to do; empty where nothing needs doing.
    """

    name: str
    state: State
    detail: str
    next_step: str = ""


@dataclass(frozen=True)
class Section:
    """Findings of one kind."""

    title: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Report:
    """Everything found."""

    sections: tuple[Section, ...]

    @property
    def gaps(self) -> list[Finding]:
        """What is missing or has a caveat."""
        findings = [f for section in self.sections for f in section.findings]
        return [f for f in findings if f.state not in ("ok", "optional")]


@dataclass(frozen=True)
class WeightsState:
    """A model file, as stage 1 knows it.

    Attributes:
        name, file_name, licence: its facts.
        needed_by: the columns that need it.
        next_step: what brings it where it is missing.
        path: where it was found; None: nowhere.
        problem: why what lies there is not accepted; None where it is.
    """

    name: str
    file_name: str
    licence: str
    needed_by: tuple[str, ...] = ()
    next_step: str = ""
    path: Path | None = None
    problem: str | None = None


def diagnose(home: Home, weights: Sequence[WeightsState] = ()) -> Report:
    """Look at everything; quick, and changes nothing."""
    return Report(
        (
            Section("Python", tuple(_python())),
            Section("packages", tuple(_packages())),
            Section("device", (_device(),)),
            Section("weights", tuple(_weights(file, home) for file in weights)),
            Section("system libraries", tuple(_library(name) for name in LIBRARIES)),
            Section("disk", (_disk(home.path),)),
            Section("environment", tuple(_environment())),
        )
    )


def _python() -> Iterable[Finding]:
    supported = sys.version_info >= (3, 11)
    next_step = "" if supported else "install Python 3.11 or newer"
    state: State = "ok" if supported else "missing"
    yield Finding(
        "Python", state, f"{platform.python_version()} on {platform.platform()}", next_step
    )
    for package in OUR_PACKAGES:
        yield _ours(package)


def _ours(package: str) -> Finding:
    """Whether importing that name gives our package and not a foreign one."""
    expected = Path(__file__).parent.parent / package
    spec = PathFinder.find_spec(package, sys.path)
    found = Path(spec.origin).parent if spec and spec.origin else None
    if found is not None and found.resolve() == expected.resolve():
        return Finding(package, "ok", str(found))
    owners = metadata.packages_distributions().get(package, [])
    foreign = ", ".join(sorted(set(owners) - {"avfd"})) or "a folder on the import path"
    return Finding(
        package,
        "missing",
        f"import {package} gives {found or 'nothing'}, not {expected}",
        f"{foreign} has the same name: uninstall it, or give avfd an environment of its own",
    )


def _packages() -> Iterable[Finding]:
    said = set[str]()
    for extra, packages in PARTS.items():
        for package in packages:
            found = _package(package, extra)
            if found.state == "missing" or package not in said:
                yield found
            said.add(package)


def _package(package: str, extra: str) -> Finding:
    try:
        facts = metadata.metadata(package)
    except metadata.PackageNotFoundError:
        wanted = "avfd" if extra == "base" else f"avfd[{extra}]"
        return Finding(package, "missing", f"for {extra}", f"pip install '{wanted}'")
    licence = _licence(facts) or UNSTATED.get(package, "no licence stated")
    detail = "; ".join(filter(None, (f"{facts['Version']}, {licence}", CARRIED.get(package))))
    if package in RESEARCH_ONLY:
        caveat = f"{facts['Version']}, {RESEARCH_ONLY[package]}"
        return Finding(package, "warning", caveat, "for other uses take the columns mfcc or mel")
    return Finding(package, "ok", detail)


def _licence(facts: metadata.PackageMetadata) -> str:
    """The licence as the package states it: expression, else classifier, else the first line.

    Empty where it states none.
    """
    if "License-Expression" in facts:
        return facts["License-Expression"]
    classifiers = facts.get_all("Classifier") or []
    named = [
        c.split(" :: ")[-1] for c in classifiers if c.startswith("License :: OSI Approved :: ")
    ]
    stated = (facts["License"] or "").strip() if "License" in facts else ""
    return ", ".join(named) or stated.partition("\n")[0][:60]


def _device() -> Finding:
    """What torch would compute on, without importing torch: its build and the driver."""
    try:
        version = metadata.version("torch")
    except metadata.PackageNotFoundError:
        return Finding("device", "ok", "cpu (torch is not installed)")
    if not _loads("libcuda.so.1"):
        return Finding("device", "ok", f"cpu (torch {version}; no CUDA driver)")
    if "+cpu" in version:
        return Finding(
            "device", "warning", f"a CUDA driver, but torch {version}", "install torch's CUDA build"
        )
    return Finding("device", "ok", f"cuda (torch {version}, {_cuda_devices()} device(s))")


def _cuda_devices() -> int:
    """How many devices the driver sees; 0 where it does not start."""
    count = ctypes.c_int(0)
    driver = ctypes.CDLL("libcuda.so.1")
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def _loads(library: str, load: Callable[[str], object] = ctypes.CDLL) -> bool:
    try:
        load(library)
    except OSError:
        return False
    return True


def _weights(file: WeightsState, home: Home) -> Finding:
    needed = f"{file.licence}; for {', '.join(file.needed_by)}"
    if file.problem:
        return Finding(file.name, "missing", file.problem, file.next_step)
    if file.path is None and file.name == FACE_DETECTOR:
        step = f"{file.next_step}, or put {file.file_name} into {home.weights_dir}"
        return Finding(file.name, "missing", needed, step)
    if file.path is None:
        return Finding(file.name, "optional", f"not here; {needed}", file.next_step)
    return Finding(file.name, "ok", f"{file.path} ({needed})")


def _library(name: str) -> Finding:
    user, remedy = LIBRARIES[name]
    if _loads(name):
        return Finding(name, "ok", f"for {user}")
    return Finding(name, "missing", f"{user} cannot be imported without it", remedy)


def _disk(path: Path) -> Finding:
    """Free space where the home is, or will be."""
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    detail = f"{free / 2**30:.1f} GiB free at {path}"
    if not os.access(there, os.W_OK):
        return Finding("home", "missing", f"{there} is not writable", "--home DIR or AVFD_HOME")
    if free < LOW_DISK_BYTES:
        return Finding("home", "warning", detail, "free some, or --home DIR on a larger disk")
    return Finding("home", "ok", detail)


def _environment() -> Iterable[Finding]:
    for name in sorted(name for name in os.environ if name.startswith("AVFD_")):
        yield Finding(name, "ok", os.environ[name])
