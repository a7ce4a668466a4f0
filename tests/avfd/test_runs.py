"""Run folders: complete or not there, numbered, and read by the version that wrote them."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pandas as pd
import pytest

from avfd import runs
from avfd.errors import InputError, MissingError
from avfd.home import Home


def write(home: Home, stem: str = "d-none-svm") -> str:
    with runs.writing(home, stem) as partial:
        partial.write_facts({"kind": "fit"})
        partial.write_metrics({"test": {"auc": 0.5}})
        partial.write_scores(pd.DataFrame({"key": ["d/a"], "score_fake": [0.25]}))
    return partial.run().name


def write_facts_only(home: Home, facts: dict[str, float]) -> None:
    with runs.writing(home, "x") as partial:
        partial.write_facts(facts)


def write_at(path: str) -> str:
    return write(Home(Path(path)))


def test_what_was_written_is_read_again(tmp_path):
    home = Home(tmp_path)
    run = runs.load(home, write(home))
    assert run.facts["kind"] == "fit"
    assert run.metrics == {"test": {"auc": 0.5}}
    assert run.scores()["score_fake"].tolist() == [0.25]
    assert run.seconds() is None


def test_runs_of_one_stem_are_numbered(tmp_path):
    home = Home(tmp_path)
    assert [write(home), write(home), write(home, "other")] == [
        "d-none-svm-001",
        "d-none-svm-002",
        "other-001",
    ]
    assert runs.names(home) == ["d-none-svm-001", "d-none-svm-002", "other-001"]


def test_an_error_such_as_nan_in_json_leaves_nothing_behind(tmp_path):
    home = Home(tmp_path)
    with pytest.raises(ValueError, match="JSON"):
        write_facts_only(home, {"auc": float("nan")})
    assert list(home.runs_dir.iterdir()) == []


def test_an_incomplete_run_is_a_bug_and_leaves_nothing(tmp_path):
    home = Home(tmp_path)
    with pytest.raises(RuntimeError, match="scores"):
        write_facts_only(home, {})
    assert list(home.runs_dir.iterdir()) == []


def test_an_unfinished_folder_is_no_run(tmp_path):
    home = Home(tmp_path)
    with runs.writing(home, "x") as partial:
        partial.write_facts({})
        partial.write_metrics({})
        partial.write_scores(pd.DataFrame({"key": []}))
        assert runs.names(home) == []
    assert runs.names(home) == ["x-001"]


def test_two_processes_never_get_one_name(tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        names = pool.map(_write_apart, [str(tmp_path)] * 6)
    assert sorted(names) == [f"d-none-svm-{i:03d}" for i in range(1, 7)]


def _write_apart(path: str) -> str:
    return write_at(path)


def test_a_run_is_found_by_name_and_by_folder(tmp_path):
    home = Home(tmp_path)
    name = write(home)
    assert runs.load(home, home.runs_dir / name).name == name
    assert runs.load(Home(tmp_path / "other"), home.runs_dir / name).name == name


def test_an_unknown_run_lists_the_known_ones(tmp_path):
    home = Home(tmp_path)
    write(home)
    with pytest.raises(MissingError, match="d-none-svm-001"):
        runs.load(home, "nothing")


def test_an_unknown_format_version_is_refused(tmp_path):
    home = Home(tmp_path)
    path = home.runs_dir / write(home) / runs.RUN_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 99}))
    with pytest.raises(InputError, match="99"):
        runs.load(home, path.parent.name)


def test_an_evaluation_replaces_the_one_before(tmp_path):
    home = Home(tmp_path)
    run = runs.load(home, write(home))
    for text in ("first", "second"):
        with runs.evaluation(run, "other-all") as folder:
            (folder / "x").write_text(text)
    above = run.path / runs.EVALUATIONS_FOLDER
    assert [p.name for p in above.iterdir()] == ["other-all"]
    assert [(p.name, p.read_text()) for p in (above / "other-all").iterdir()] == [("x", "second")]


@pytest.mark.parametrize("words", [("d", "a/b"), ("..", "x y"), ("", "")])
def test_names_stay_inside_the_runs_folder(words):
    name = runs.stem_of(*words)
    assert name
    assert "/" not in name
    assert not name.startswith(".")
