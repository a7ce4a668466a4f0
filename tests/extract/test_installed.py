"""Without the extra `networks`, what needs it says so in one sentence and changes nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from extract.installed import needs

BLOCKED = """
import sys
for name in {modules!r}:
    sys.modules[name] = None
from avfd.cli import main
sys.argv[0] = "avfd"
main()
"""


def avfd(*words: str, without: tuple[str, ...]) -> tuple[int, str]:
    """Exit status and error text of a call in which these modules cannot be imported."""
    code = BLOCKED.format(modules=without)
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def home(extracts: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bare")
    (folder / "media").mkdir()
    (folder / "media" / "a.wav").write_text("nothing that is read here")
    return str(extracts.indexed(folder / "home", folder / "media").path)


@pytest.mark.parametrize(
    ("backbone", "without"),
    [("eat", ("torch",)), ("eat", ("torchaudio",)), ("emotion2vec", ("funasr", "omegaconf"))],
)
def test_extract_names_the_extra_before_it_asks_for_weights(
    home: str, backbone: str, without: tuple[str, ...]
) -> None:
    words = ("extract", "--backbone", backbone, "--home", home)
    wanted = f"avfd: {backbone}: {', '.join(without)} is not installed; "
    assert avfd(*words, without=without) == (2, f"{wanted}next: pip install 'avfd[networks]'\n")


@pytest.mark.parametrize(
    ("name", "without"), [("eat", "torch"), ("xvector", "safetensors"), ("emo-lstm", "torch")]
)
def test_taking_weights_in_names_the_extra(tmp_path: Path, name: str, without: str) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(b"PK")
    words = ("weights", "add", str(file), "--as", name, "--home", str(tmp_path / "home"))
    status, said = avfd(*words, without=(without,))
    wanted = f"avfd: {name}: {without} is not installed; next: pip install 'avfd[networks]'\n"
    assert (status, said) == (2, wanted)


def test_a_module_of_ours_that_is_missing_is_a_bug() -> None:
    with pytest.raises(ModuleNotFoundError), needs("networks", "here"):
        import extract.no_such_module  # noqa: F401
