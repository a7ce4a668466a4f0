"""docs/cli.md has a section for every command, with every argument and option."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from avfd.cli import app
from avfd.home import Home
from extract.index import index_dataset

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
SECTIONS = dict(
    re.findall(r"^## `(avfd [a-z ]+)`\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
)


def commands(group: Any, before: str = "avfd") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        words = f"{before} {name}"
        found |= commands(command, words) if hasattr(command, "commands") else {words: command}
    return found


KNOWN = commands(typer.main.get_command(app))


def test_every_command_has_its_section_and_no_other_is_there():
    assert sorted(SECTIONS) == sorted(KNOWN)


@pytest.mark.parametrize("words", KNOWN)
def test_every_option_is_in_the_section_and_no_other(words):
    said = set(re.findall(r"^\| `(--[a-z-]+)", SECTIONS[words], re.MULTILINE))
    options = {p.opts[0] for p in KNOWN[words].params if p.param_type_name == "option"}
    assert said == options - {"--help"}


def test_the_accepted_backbones_are_those_that_there_are(tmp_path):
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a.wav").write_text("nothing that is read here")
    index_dataset(Home(tmp_path / "home"), "d", tmp_path / "media", layout="folder", workers=1)
    example = re.search(r"\$ avfd (extract --backbone nope)\n(.*\n)", PAGE)
    words = [*example[1].split(), "--home", str(tmp_path / "home")]
    code = "from avfd.cli import main; main()"
    env = {k: v for k, v in os.environ.items() if k != "AVFD_BACKBONE_MODULES"}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, env=env
    )
    assert (done.returncode, done.stderr) == (2, example[2])
