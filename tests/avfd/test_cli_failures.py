"""Every wrong call ends with a sentence, status 2 and, if asked, one JSON document."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path

import pytest

from avfd.cli import run


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["avfd", *words])
    return run()


WRONG = [
    (("--json",), "No such option"),
    (("nothing", "--json"), "No such command"),
    (("index", "--json"), "Missing argument"),
    (("fit", "--folds", "x", "--json"), "--folds"),
    (("fit", "--json"), "no data set is indexed"),
    (("cache", "ls", "--json"), "no data set is indexed"),
    (("evaluate", "gone", "--json"), "no such run"),
    (("index", "mine", "--root", "gone", "--json"), "not a folder"),
]


@pytest.mark.parametrize(("words", "problem"), WRONG, ids=[" ".join(w) for w, _ in WRONG])
def test_a_mistake_is_one_json_document_and_a_sentence(
    monkeypatch, tmp_path, capsys, words, problem
):
    monkeypatch.setenv("AVFD_HOME", str(tmp_path / "home"))
    assert call(monkeypatch, *words) == 2
    out, err = capsys.readouterr()
    assert problem in json.loads(out)["error"]["problem"]
    assert err.startswith("avfd: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "problem"), [(b"", "the table is empty"), (b"path\xff\n", "not a UTF-8 text")]
)
def test_a_table_that_is_none_is_named(monkeypatch, tmp_path, capsys, content, problem):
    monkeypatch.setenv("AVFD_HOME", str(tmp_path / "home"))
    table = tmp_path / "t.csv"
    table.write_bytes(content)
    words = ("index", "mine", "--root", str(tmp_path), "--table", str(table), "--json")
    assert call(monkeypatch, *words) == 2
    told = json.loads(capsys.readouterr().out)["error"]
    assert (told["problem"], told["where"]) == (problem, str(table))


def test_help_is_no_failure(monkeypatch, capsys):
    assert call(monkeypatch, "--help") == 0
    assert "index" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [("index", "mine", "--root", "."), ("weights", "pull", "blazeface")]
)
def test_a_home_that_is_a_file_is_refused_before_anything_is_done(
    monkeypatch, tmp_path, capsys, words
):
    (tmp_path / "home").write_text("mine")
    monkeypatch.setenv("AVFD_HOME", str(tmp_path / "home"))
    assert call(monkeypatch, *words) == 2
    assert "avfd cannot keep anything there" in capsys.readouterr().err
    assert (tmp_path / "home").read_text() == "mine"


@pytest.mark.parametrize("words", [("doctor", "--json"), ("doctor",)])
def test_a_stop_is_told(monkeypatch, capsys, words):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("avfd.doctor.diagnose", interrupted)
    assert call(monkeypatch, *words) == 130
    out, err = capsys.readouterr()
    assert "stopped by signal 2" in err
    assert not out or json.loads(out)["stopped"]["signal"] == 2


def test_a_full_disk_is_told_and_another_error_is_a_bug(monkeypatch, capsys, tmp_path: Path):
    def failing(code: int) -> None:
        def diagnose(*_: object) -> None:
            raise OSError(code, "as the system says", str(tmp_path))

        monkeypatch.setattr("avfd.doctor.diagnose", diagnose)

    failing(errno.ENOSPC)
    assert call(monkeypatch, "doctor", "--json") == 2
    assert json.loads(capsys.readouterr().out)["error"]["where"] == str(tmp_path)
    failing(errno.EBADF)
    monkeypatch.setattr(sys, "argv", ["avfd", "doctor"])
    with pytest.raises(OSError, match="as the system says"):
        run()


def test_a_table_too_wide_for_the_terminal_cuts_no_word(monkeypatch, capsys):
    from avfd.cli.output import table

    monkeypatch.setattr("avfd.cli.output.WIDE", 14)
    table(["column", "fingerprint"], [["compare2016", "0123456789abcdef"]])
    out = capsys.readouterr().out
    assert "compare2016" in out
    assert "0123456789abcdef" in out


def test_where_there_is_room_for_every_word_none_is_cut(monkeypatch, capsys):
    from avfd.cli.output import table

    monkeypatch.setattr("avfd.cli.output.WIDE", 60)
    name = "a name of many words with a-word-of-24-characters"
    table(["", "heads", "more"], [[name, "one two " * 8, "three four " * 8]])
    assert "a-word-of-24-characters" in capsys.readouterr().out


def test_log_records_go_to_the_stderr_of_the_moment(capsys):
    import logging

    from avfd.cli.output import set_up_logging

    set_up_logging(verbose=False)
    logging.getLogger("extract").warning("a word")
    assert "WARNING extract: a word" in capsys.readouterr().err
