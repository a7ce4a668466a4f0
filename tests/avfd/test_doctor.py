"""Doctor: every gap is found, named, and comes with a way out."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from email.message import Message
from pathlib import Path

import pytest

from avfd import doctor
from avfd.doctor import Finding, Report, WeightsState, diagnose
from avfd.home import Home


def finding(report: Report, name: str) -> Finding:
    return next(f for s in report.sections for f in s.findings if f.name == name)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_every_gap_has_a_next_step(home: Home) -> None:
    report = diagnose(home, [WeightsState("blazeface", "b.bin", "MIT", ("column",), "pull it")])
    assert all(f.next_step for f in report.gaps if f.state == "missing")
    assert finding(report, "blazeface") in report.gaps


def test_a_network_that_is_not_here_is_listed_but_no_gap(home: Home) -> None:
    report = diagnose(home, [WeightsState("net", "net.bin", "MIT", ("column",), "pull it")])
    assert finding(report, "net").state == "optional"
    assert finding(report, "net").next_step == "pull it"
    assert finding(report, "net") not in report.gaps


def test_a_missing_model_file_says_where_it_goes(home: Home) -> None:
    state = WeightsState("blazeface", "b.bin", "MIT", next_step="pull it")
    found = finding(diagnose(home, [state]), "blazeface")
    assert "pull it" in found.next_step
    assert str(home.weights_dir) in found.next_step


def test_a_found_model_file_is_no_gap(home: Home, tmp_path: Path) -> None:
    here = WeightsState("net", "net.bin", "MIT", ("column",), path=tmp_path / "net.bin")
    report = diagnose(home, [here])
    assert finding(report, "net").state == "ok"
    assert str(tmp_path / "net.bin") in finding(report, "net").detail


def test_a_refused_model_file_says_why(home: Home) -> None:
    bad = WeightsState("net", "net.bin", "MIT", problem="sha256 differs")
    assert finding(diagnose(home, [bad]), "net").detail == "sha256 differs"


def test_a_foreign_package_of_our_name_is_named(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "extract").mkdir()
    (tmp_path / "extract" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    found = finding(diagnose(home), "extract")
    assert found.state == "missing"
    assert str(tmp_path / "extract") in found.detail


def test_our_own_packages_are_ours(home: Home) -> None:
    report = diagnose(home)
    assert [finding(report, name).state for name in doctor.OUR_PACKAGES] == ["ok"] * 3


def test_a_missing_package_names_its_extra(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.PARTS, "classify", ("no-such-package",))
    found = finding(diagnose(home), "no-such-package")
    assert (found.state, found.next_step) == ("missing", "pip install 'avfd[classify]'")


def test_research_licences_are_flagged(home: Home) -> None:
    pytest.importorskip("opensmile")
    found = finding(diagnose(home), "opensmile")
    assert found.state == "warning"
    assert "non-commercial" in found.detail


@pytest.mark.parametrize(
    ("package", "licence"),
    [("icechunk", "Apache-2.0"), ("skops", "MIT"), ("espeakng-loader", "GPL-3.0")],
)
def test_a_licence_that_no_metadata_states_is_told(
    home: Home, package: str, licence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Message()
    bare["Version"] = "1.0"
    bare["Classifier"] = "License :: OSI Approved"
    monkeypatch.setattr(doctor.metadata, "metadata", lambda _: bare)
    assert licence in finding(diagnose(home), package).detail


def test_the_licence_of_espeak_ng_is_a_note_and_no_gap(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Message()
    bare["Version"] = "0.2.4"
    monkeypatch.setattr(doctor.metadata, "metadata", lambda _: bare)
    report = diagnose(home)
    found = finding(report, "espeakng-loader")
    assert "only the demo needs it" in found.detail
    assert found.state == "ok"
    assert found not in report.gaps


def test_a_licence_that_the_metadata_state_comes_first(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    stating = Message()
    stating["Version"] = "9.0"
    stating["License-Expression"] = "BSD-3-Clause"
    monkeypatch.setattr(doctor.metadata, "metadata", lambda _: stating)
    assert finding(diagnose(home), "skops").detail == "9.0, BSD-3-Clause"


def test_a_missing_system_library_says_how_to_get_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(doctor.LIBRARIES, "libnowhere.so.9", ("a user", "install it"))
    found = finding(diagnose(home), "libnowhere.so.9")
    assert (found.state, found.next_step) == ("missing", "install it")


def test_a_full_disk_is_a_warning(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LOW_DISK_BYTES", 2**62)
    assert finding(diagnose(home), "home").state == "warning"


def test_our_environment_is_shown(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVFD_TRY", "value")
    assert finding(diagnose(home), "AVFD_TRY").detail == "value"


def test_the_report_is_json(home: Home) -> None:
    assert json.loads(json.dumps(dataclasses.asdict(diagnose(home))))["sections"]


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from avfd.doctor import diagnose; from avfd.home import Home;"
        f"diagnose(Home.at({str(tmp_path)!r}));"
        "print(sorted({'torch', 'pandas', 'numpy', 'mediapipe'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
