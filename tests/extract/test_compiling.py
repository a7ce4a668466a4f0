"""Networks compiled: the same numbers, made once for all batch lengths, a word where it fails."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from avfd.errors import MissingError
from extract import weights
from extract.backbones import build, load_all
from extract.backbones._network import NetworkBackbone
from extract.compiling import prepare_compiler
from extract.run.plan import make_plan
from extract.weights import facts

torch = pytest.importorskip("torch")
config = pytest.importorskip("torch._inductor.config")
# PyTorch's own import of its compiler warns of what PyTorch itself still uses.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
COMPILER = shutil.which(os.environ.get("CXX", "g++"))


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """What `prepare_compiler` sets for the whole process does not outlive the test."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    torch._dynamo.reset()
    with config.patch(compile_threads=1), torch._dynamo.config.patch(suppress_errors=False):
        yield


def made() -> NetworkBackbone:
    """A layer in the place of a network."""
    load_all()
    backbone = build("resnet18:preset=small")
    assert isinstance(backbone, NetworkBackbone)
    layer = torch.nn.Linear(87, 4)
    backbone.device, backbone.forward = "cpu", lambda windows: layer(windows).tanh()
    return backbone


def windows(count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, 10, 87)).astype(np.float32)


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")
def test_the_numbers_are_those_of_the_plain_network(tmp_path):
    backbone = made()
    plain = {count: backbone.run(windows(count)) for count in (5, 1, 3)}
    prepare_compiler(tmp_path, "cpu")
    backbone.compile()
    for count, expected in plain.items():
        np.testing.assert_allclose(backbone.run(windows(count)), expected, rtol=1e-5, atol=1e-5)
    assert any((tmp_path / "compiled").rglob("*.so"))


def test_all_lengths_of_batch_share_one_making(monkeypatch):
    from torch._dynamo.testing import CompileCounter

    counter, make = CompileCounter(), torch.compile
    monkeypatch.setattr(torch, "compile", lambda call: make(call, backend=counter))
    backbone = made()
    backbone.compile()
    for count in (4, 9, 2, 5):
        backbone.run(windows(count))
    assert counter.frame_count == 1


def test_without_a_compiler_it_says_what_to_install(tmp_path):
    refusal = r"cannot compile networks here.*or leave --compile out"
    with (
        config.patch({"cpp.cxx": ("no-such-compiler",)}),
        pytest.raises(MissingError, match=refusal),
    ):
        prepare_compiler(tmp_path, "cpu")


def test_an_extract_compiles_only_where_it_is_asked_to(home, tmp_path, checkpoint_makers, extracts):
    load_all()
    (name,) = build("xvector:preset=small").spec.weights
    file = tmp_path / "weights.safetensors"
    save_file(checkpoint_makers.random_tensors(facts(name).reader().expected()), file)
    weights.add(file, name, home)
    for compiled, folder in ((False, None), (True, home.path / "compiled")):
        plan = make_plan(
            home, extracts.DATASET, {"xvector": "xvector:preset=small"}, compiled=compiled
        )
        assert plan.setup.compiled == folder
