"""openSMILE, one run a block: samples in, rows out.

The wheel's C interface is used directly: `opensmile.Smile` gives the same numbers (a test holds
it), but goes through pandas and can only read its configuration from a file that stays.

openSMILE is research software: its licence allows no commercial use, so it is its own extra.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avfd.errors import AbsentError, MissingError

LICENCE = "audEERING Research License (openSMILE): research only, no commercial use"
SAMPLE_RATE_HZ = 16_000
MIN_SAMPLES = 960  # one frame of 60 ms; below it openSMILE gives no row


def config_root() -> Path:
    """The folder of configurations in the installed wheel.

    Raises:
        MissingError: openSMILE is not installed.
    """
    try:
        import opensmile
    except ImportError as error:
        raise MissingError(
            "openSMILE is not installed", next_step="pip install 'avfd[opensmile]'"
        ) from error
    return Path(opensmile.__file__).parent / "core" / "config"


def rows(config: Path | str, level: str, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Runs a configuration over a whole signal.

    Args:
        config: a configuration with external source and sink, or the text of one.
        level: data-memory level to read; several, joined by ";", stand side by side and end with
            the shortest.
        samples: float32 [n] at 16 kHz.

    Returns:
        float32 [rows, columns].

    Raises:
        AbsentError: too short for a single row.
        MissingError: openSMILE is not installed.
    """
    options = _options(config_root(), level)
    if len(samples) < MIN_SAMPLES:
        raise _too_short(samples)
    if isinstance(config, Path):
        (got,) = _run(str(config), options, samples, ["extsink"])
    else:
        with _as_file(config) as path:
            (got,) = _run(path, options, samples, ["extsink"])
    return _joined(got, samples)


def levels(
    config: str, wanted: Sequence[str], samples: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """Several levels of one run, each as `rows` gives it.

    Args:
        config: the text of a configuration with external source and no sink.
        wanted: levels, as in `rows`.
        samples: as in `rows`.
    """
    if len(samples) < MIN_SAMPLES:
        raise _too_short(samples)
    sinks = [f"sink{i}" for i in range(len(wanted))]
    output = "".join(map(_SINK.format, sinks, sinks, wanted))
    with _as_file(config + output) as path:
        got = _run(path, _options(config_root(), wanted[0]), samples, sinks)
    return {level: _joined(part, samples) for level, part in zip(wanted, got, strict=True)}


_SINK = """
[componentInstances:cComponentManager]
instance[{}].type=cExternalSink
[{}:cExternalSink]
reader.dmLevel = {}
blocksize = 1
"""


def _joined(got: list[NDArray[np.float32]], samples: NDArray[np.float32]) -> NDArray[np.float32]:
    if not got:
        raise _too_short(samples)
    return np.concatenate(got)


def _too_short(samples: NDArray[np.float32]) -> AbsentError:
    return AbsentError(
        "too short for openSMILE",
        found=f"{len(samples) / SAMPLE_RATE_HZ:.3f} s",
        accepted="at least 0.06 s, with IS10's descriptors 0.07 s",
    )


def _options(root: Path, level: str) -> dict[str, object]:
    shared = root / "shared"
    return {
        "source": shared / "standard_external_wave_input.conf.inc",
        "sink": shared / "standard_external_data_output_single.conf.inc",
        "sinkLevel": level,
        "bufferModeRbConf": shared / "BufferModeRb.conf.inc",
        "frameModeFunctionalsConf": shared / "FrameModeFunctionals.conf.inc",
        "sampleRate": SAMPLE_RATE_HZ,
        "nBits": 16,
    }


def _run(
    config: str, options: dict[str, object], samples: NDArray[np.float32], sinks: Sequence[str]
) -> list[list[NDArray[np.float32]]]:
    """Rows that arrive in each sink."""
    from opensmile.core.lib import OpenSMILE

    got: list[list[NDArray[np.float32]]] = [[] for _ in sinks]
    smile = OpenSMILE()
    smile.initialize(config, options, loglevel=0)
    try:
        for sink, rows in zip(sinks, got, strict=True):
            smile.external_sink_set_callback_ex(sink, partial(_keep, rows))
        smile.external_audio_source_write_data("extsource", to_pcm16(samples).tobytes())
        smile.external_audio_source_set_eoi("extsource")
        smile.run()
    finally:
        smile.free()
    return got


def _keep(rows: list[NDArray[np.float32]], data: NDArray[np.float32], _: object) -> None:
    rows.append(data.copy())


def to_pcm16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Full scale 1.0 → 16 bits as `opensmile.Smile` does it, cut off instead of wrapped around.

    (Its own conversion turns +1.0 into -32,768, and resampled speech often touches +1.0.)
    """
    scaled: NDArray[np.float32] = np.clip(samples * np.float32(32768), -32768, 32767)
    return scaled.astype(np.int16)


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    """A name for the text that leaves nothing behind, however the process ends."""
    descriptor = os.memfd_create("opensmile.conf")
    try:
        os.write(descriptor, text.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
