"""Checkpoint files → what they hold, without running anything that they hold.

safetensors files are plain. PyTorch's are pickles: they are read with `weights_only=True`, which
builds tensors, numbers, strings and containers and refuses every other global. The settings
objects that fairseq and Hydra put beside the weights, NumPy's numbers and arrays, paths, times,
slices, and the record of losses beside EfficientFace's, are let in by name, but what is built for
them is `Inert`, a bag of attributes: their own code is neither imported nor run.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any, ClassVar

from avfd.errors import InputError

_OMEGACONF = {
    "omegaconf.base": ("ContainerMetadata", "Metadata"),
    "omegaconf.dictconfig": ("DictConfig",),
    "omegaconf.listconfig": ("ListConfig",),
    "omegaconf.nodes": (
        "AnyNode",
        "BooleanNode",
        "BytesNode",
        "EnumNode",
        "FloatNode",
        "IntegerNode",
        "PathNode",
        "StringNode",
    ),
}
_PATHS = ("PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath")
ALLOWED = (
    "argparse.Namespace",
    "typing.Any",
    *(f"builtins.{name}" for name in ("bool", "bytes", "dict", "float", "int", "list", "str")),
    *(f"builtins.{name}" for name in ("frozenset", "range", "slice")),
    *(f"datetime.{name}" for name in ("date", "datetime", "time", "timedelta", "timezone")),
    "collections.defaultdict",
    "__main__.RecorderMeter",
    *(
        f"{module}.multiarray.{name}"
        for module in ("numpy.core", "numpy._core")
        for name in ("_reconstruct", "scalar")
    ),
    "numpy.ndarray",
    "numpy.dtype",
    *(f"{module}.{name}" for module in ("pathlib", "pathlib._local") for name in _PATHS),
    *(f"{module}.{name}" for module, names in _OMEGACONF.items() for name in names),
)
"""Globals beside PyTorch's own that a checkpoint may name; all but the containers stay inert."""
_KINDS = {
    f"{module}.multiarray.{name}": f"numpy.{kind}"
    for module in ("numpy.core", "numpy._core")
    for name, kind in (("_reconstruct", "ndarray"), ("scalar", "generic"))
}
"""What is built by a function of another name."""


class Inert:
    """Stands for a settings object of a checkpoint; keeps its state and does nothing.

    A class of its own stands for each of `ALLOWED`, so that it can be said what was there.
    """

    stands_for: ClassVar[str]
    """What the file calls it, for people."""

    def __init__(self, *_: object, **__: object) -> None:
        """Take whatever the original's constructor took."""

    def __setstate__(self, state: object) -> None:
        self.state = state


def read(path: Path) -> dict[str, Any]:
    """What a checkpoint file holds at its top level.

    Raises:
        InputError: it is neither safetensors nor a PyTorch file, it is damaged, or it holds code,
            a TorchScript program among it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise InputError(
            "the model file cannot be read", where=path, found=error.strerror
        ) from error
    if head[8:9] == b"{":
        content = _read_safetensors(path)
    elif head.lstrip()[:6].lower() in (b"<!doct", b"<html>", b"<html ", b"versio"):
        raise _unreadable(path, "text: a web page or a pointer to the file, not the file")
    else:
        content = _read_pickle(path)
    strange = [key for key in content if not isinstance(key, str)]
    if strange:
        raise _unreadable(path, f"names that are no text: {strange[:3]}")
    return content


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise _unreadable(path, _first_line(error)) from error


def _read_pickle(path: Path) -> dict[str, Any]:
    import torch

    if _is_program(path):
        raise InputError(
            "a TorchScript archive is a program with its tensors, not a checkpoint",
            where=path,
            found="constants.pkl in it",
            accepted="safetensors, or a file that torch.save wrote of a state dict",
            next_step="fetch the checkpoint instead; nothing of the program was run",
        )
    allowed: list[Any] = [(_stand_in(name), name) for name in ALLOWED]
    try:
        with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's remarks on how a file was written
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            "the file holds what cannot be built without code to be run, or is no checkpoint",
            where=path,
            found=_first_line(error),
            accepted="tensors, numbers, strings, times and containers; settings of fairseq and "
            "OmegaConf",
            next_step="nothing of it was run; fetch the file from its maker again, or save its "
            "state dict alone",
        ) from error
    except (
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
    ) as error:
        raise _unreadable(path, _first_line(error)) from error
    if not isinstance(content, dict):
        raise InputError(
            "not a checkpoint", where=path, found=type(content).__name__, accepted="a dictionary"
        )
    return content


def _stand_in(name: str) -> Any:
    import collections

    real: dict[str, Any] = {"builtins.dict": dict, "builtins.list": list}
    real["collections.defaultdict"] = collections.defaultdict
    return real.get(name) or type("Inert", (Inert,), {"stands_for": _KINDS.get(name, name)})


def _is_program(path: Path) -> bool:
    """Whether a zip file is one that `torch.jit.save` wrote."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.rpartition("/")[2] == "constants.pkl" for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False  # an older form, or damaged: what reads it says so


def _unreadable(path: Path, found: str) -> InputError:
    return InputError(
        "the model file cannot be read",
        where=path,
        found=found,
        accepted="safetensors, or a file that torch.save wrote",
        next_step="fetch it again: it may have been cut short",
    )


def _first_line(error: Exception) -> str:
    """What was found; PyTorch's advice to read the file without care is left out."""
    text = str(error).strip() or type(error).__name__
    asked = re.search(r"(?:GLOBAL|global) ([\w.]+)", text)
    if asked:
        return f"global {asked[1]}"
    lines = [line.strip() for line in text.splitlines() if "weights_only" not in line]
    return next((line for line in lines if line), type(error).__name__)
