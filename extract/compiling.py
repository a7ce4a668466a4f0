"""`torch.compile` for networks: minutes at first, less time for every window after.

What it makes differs from the plain network by rounding. It is kept in a folder of the home, so
that a later run, and every process of this one, need not make it again. An operation that it
cannot compile runs as it always did; only a machine that can compile nothing is refused.
"""

from __future__ import annotations

import os
from pathlib import Path

from avfd.errors import MissingError

COMPILING_SECONDS = 600.0
"""What a clip's time limit grows by: it may be the one during which a network is compiled."""


def prepare_compiler(folder: Path, device: str) -> None:
    """Have this process compile for a device, one file at a time.

    Args:
        folder: what is compiled is kept there, unless $TORCHINDUCTOR_CACHE_DIR says otherwise; in
            PyTorch's own temporary folder if there is a space in this one's path.
        device: "cpu" or "cuda:N".

    Raises:
        MissingError: a try of two operations fails; it says why.
    """
    if len(str(folder).split()) == 1:  # it gives its paths to the compiler unquoted
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
    import torch
    import torch._dynamo.config
    import torch._inductor.config

    # Its helper processes would outlive a worker that is killed.
    torch._inductor.config.compile_threads = 1
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.ones(64, device=device))
    except Exception as error:
        raise MissingError(
            "PyTorch cannot compile networks here",
            where="--compile",
            found=next(filter(None, str(error).splitlines()), type(error).__name__),
            next_step="install a C++ compiler (g++), or leave --compile out",
        ) from error
    torch._dynamo.config.suppress_errors = True
