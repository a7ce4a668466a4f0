"""How the registry gets full: shipped modules, entry points, the environment."""

from __future__ import annotations

import json
import sys
from importlib.metadata import EntryPoint

import pytest

from avfd.cli import run
from avfd.errors import AvfdError, InputError, MissingError
from extract import backbones
from extract.backbones import base

PLUGIN = """
from avfd.specs import AudioInput, BackboneSpec
from extract.backbones.base import Backbone, register

@register({name!r})
class Plugin(Backbone):
    spec = BackboneSpec({name!r}, 1, "audio", "a test", 1, (1,), audio=AudioInput(16_000))
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Writes an importable plugin module; the registry is as before afterwards."""
    backbones.load_all()  # before the copy: a module registers only once, when first imported
    monkeypatch.setattr(base, "_REGISTRY", dict(base._REGISTRY))
    monkeypatch.syspath_prepend(tmp_path)

    def write(module: str, name: str) -> None:
        (tmp_path / f"{module}.py").write_text(PLUGIN.format(name=name))

    return write


def test_the_environment_names_modules(plugin, monkeypatch):
    plugin("avfd_test_plugin_one", "test-one")
    plugin("avfd_test_plugin_two", "test-two")
    modules = "avfd_test_plugin_one, avfd_test_plugin_two,"
    monkeypatch.setenv(backbones.MODULES_VARIABLE, modules)
    backbones.load_all()
    backbones.load_all()
    assert {"test-one", "test-two"} <= set(backbones.names())
    assert backbones.build("test-two").spec.name == "test-two"


def test_entry_points_name_modules(plugin, monkeypatch):
    plugin("avfd_test_plugin_three", "test-three")
    point = EntryPoint("three", "avfd_test_plugin_three", backbones.ENTRY_POINT_GROUP)
    monkeypatch.setattr(backbones, "entry_points", lambda group: [point])
    backbones.load_all()
    assert "test-three" in backbones.names()


def test_a_module_that_does_not_exist_is_named(monkeypatch):
    monkeypatch.setenv(backbones.MODULES_VARIABLE, "avfd_no_such_module")
    with pytest.raises(MissingError, match=r"avfd_no_such_module.*AVFD_BACKBONE_MODULES"):
        backbones.load_all()


BAD = {
    "import": ("from nowhere_to_be_found import Thing", "ModuleNotFoundError: No module named"),
    "name": ("from avfd.specs import NoSuchThing", "ImportError: cannot import name"),
    "code": ("raise RuntimeError('no licence key\\nline 2')", "RuntimeError: no licence key"),
    "silent": ("assert False", "AssertionError: no message"),
    "taken": (PLUGIN.format(name="mel"), "KeyError: \"backbone 'mel' is registered twice\""),
    "spec": (PLUGIN.format(name="odd").replace("(1,)", "(0,)"), "InputError: odd: no such column"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_module_that_fails_is_named_with_what_went_wrong(kind, plugin, tmp_path, monkeypatch):
    text, said = BAD[kind]
    module = f"avfd_test_bad_{kind}"
    (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.setenv(backbones.MODULES_VARIABLE, module)
    with pytest.raises(AvfdError, match="cannot be imported") as caught:
        backbones.load_all()
    assert caught.value.where == f"{module}, named by AVFD_BACKBONE_MODULES"
    assert str(caught.value.found).startswith(said)
    assert "line 2" not in str(caught.value)
    assert "take it out of AVFD_BACKBONE_MODULES" in caught.value.next_step


def test_a_distribution_that_fails_is_named(plugin, tmp_path, monkeypatch):
    (tmp_path / "avfd_test_bad_package.py").write_text("1 / 0")
    point = EntryPoint("five", "avfd_test_bad_package", backbones.ENTRY_POINT_GROUP)
    package = type("Package", (), {"name": "avfd-five"})()
    monkeypatch.setattr(backbones, "entry_points", lambda group: [point._for(package)])
    with pytest.raises(InputError, match=r"avfd-five's entry point five.*uninstall avfd-five"):
        backbones.load_all()


def test_a_module_that_fails_ends_a_command_with_one_json_document(
    plugin, tmp_path, monkeypatch, capsys
):
    (tmp_path / "avfd_test_bad_command.py").write_text("1 / 0")
    monkeypatch.setenv(backbones.MODULES_VARIABLE, "avfd_test_bad_command")
    words = ["avfd", "weights", "ls", "--json", "--home", str(tmp_path / "home")]
    monkeypatch.setattr(sys, "argv", words)
    assert run() == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["found"] == "ZeroDivisionError: division by zero"


def test_an_unknown_name_lists_the_known_ones():
    backbones.load_all()
    with pytest.raises(MissingError, match=r"no such backbone.*compare2016, .*waveform"):
        backbones.build("opensmile")


def test_a_name_can_be_taken_once(monkeypatch):
    monkeypatch.setattr(base, "_REGISTRY", {})
    base.register("twice")(base.Backbone)
    with pytest.raises(KeyError, match="twice"):
        base.register("twice")(base.Backbone)
