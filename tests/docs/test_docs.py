"""README and docs/ tell the truth: commands exist and are documented, links resolve."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest
import typer.main

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
CODE = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", "\n".join(TEXTS.values()), re.DOTALL))


def commands(group: click.Group, before: str = "avfd") -> dict[str, click.Command]:
    """Every command by the words that call it."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        words = f"{before} {name}"
        inner = isinstance(command, click.Group) or hasattr(command, "commands")
        found |= commands(command, words) if inner else {words: command}  # type: ignore[arg-type]
    return found


@pytest.fixture(scope="module")
def known() -> dict[str, click.Command]:
    from avfd.cli import app

    return commands(typer.main.get_command(app))  # type: ignore[arg-type]


def test_every_command_is_documented(known: dict[str, click.Command]) -> None:
    assert [words for words in known if words not in CODE] == []


def test_every_documented_command_exists(known: dict[str, click.Command]) -> None:
    groups = {words.rsplit(" ", 1)[0] for words in known}
    said = re.findall(r"(?<![\w/.-])(?<!from )avfd((?: [a-z]+){1,2})", CODE)
    for words in said:
        first = words.split()[0]
        assert {f"avfd {first}", f"avfd{words}"} & (known.keys() | (groups - {"avfd"})), (
            f"avfd{words}"
        )


def test_every_documented_option_exists(known: dict[str, click.Command]) -> None:
    for line in CODE.replace("`", "\n").splitlines():
        words = next((w for w in known if line.startswith(w + " ")), None)
        if words is None:
            continue
        options = {o for p in known[words].params for o in (*p.opts, *p.secondary_opts)}
        unknown = set(re.findall(r"(?<!\S)--[a-z-]+", line)) - options - {"--help"}
        assert not unknown, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", TEXTS[page]):
        if not target.startswith(("https://", "http://", "mailto:")):
            assert (page.parent / target).exists(), target


def test_readme_names_make_targets_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    (tables,) = re.findall(r"^TABLES := ((?:.*\\\n)*.*)$", makefile, re.MULTILINE)
    targets |= {f"table-{name}" for name in tables.replace("\\\n", " ").split()}
    named = set(re.findall(r"(?:^|`)make (?:PYTHON=\S+ )?([a-z0-9.-]+)", CODE, re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_every_table_has_its_target() -> None:
    from classify.tables import names

    (tables,) = re.findall(
        r"^TABLES := ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert sorted(tables.replace("\\\n", " ").split()) == names()


def test_every_phony_target_of_help_is_said() -> None:
    makefile = (ROOT / "Makefile").read_text()
    helped = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert helped >= {"demo", "test", "check", "format", "bench", "bench-kill", "bench-extract"}


def test_no_machine_path_and_no_private_host_is_written() -> None:
    """Nothing of one developer's machine: home folders, mounts, package mirrors."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    pattern = re.compile(
        r"/(?:work|root|opt|mnt|Users)/\w|/home/\w+/|--(?:extra-)?index-url|--trusted-host"
    )
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path == Path(__file__) or not path.is_file() or path.suffix in {".png", ".npy", ".npz"}:
            continue
        found = pattern.search(path.read_text(encoding="utf-8", errors="replace"))
        assert found is None, f"{name}: {found and found.group()}"


def test_every_pin_is_exact() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.+!-]+", pin) for pin in pins)
    names = [re.sub(r"[-_.]+", "-", pin.split("==")[0]).lower() for pin in pins]
    assert len(names) == len(set(names))


def test_every_requirement_is_pinned() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(each for extra in extras for each in extra)]
    text = re.sub(r"[-_.]+(?=[^\n=]*==)", "-", (ROOT / "constraints.txt").read_text()).lower()
    for requirement in wanted:
        name = re.split(r"[\[<>=~!]", requirement)[0].lower()
        assert re.search(rf"^{re.escape(name)}==", text, re.MULTILINE), requirement
