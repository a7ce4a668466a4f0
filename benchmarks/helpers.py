"""What the benchmarks of extract share with its tests, and where results go."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def from_tests(name: str) -> ModuleType:
    """A helper module of the tests, which are no package: "media_makers", "extract/extracts"."""
    short = name.rpartition("/")[2]
    spec = importlib.util.spec_from_file_location(short, ROOT / "tests" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules[short] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_result(name: str, result: dict[str, object]) -> Path:
    """Store a benchmark's numbers beside the machine that they were taken on."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    machine = {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine, **result}, indent=2) + "\n")
    return path
