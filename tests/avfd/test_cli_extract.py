"""What `avfd extract` says when it is done."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from avfd.cli import cache as cli_cache
from avfd.cli import run
from avfd.cli.data import _tell_extract, _tell_replaced
from avfd.errors import StoreError
from avfd.home import Home
from extract.batching import Work
from extract.run import ColumnCount, ExtractReport
from extract.run.report import Note

REPORT = ExtractReport(
    dataset="films",
    columns={"mel": ColumnCount(done=3, failed=0, absent=1, pending=0)},
    failures=[],
    notes=[],
    clips=4,
    media_seconds=12.0,
    wall_seconds=2.0,
    cpu_seconds={"decode": 1.5},
    devices=[],
    cut=0,
    skipped=0,
    snapshot_id="S",
)


@pytest.fixture
def told(capsys):
    """The lines on stderr for the report with changes."""

    def tell(**changes: object) -> list[str]:
        _tell_extract(replace(REPORT, **changes))
        return capsys.readouterr().err.splitlines()

    return tell


SUMMARY = "4 clips, 12 s of media in 2.0 s; CPU: decode 1.5 s"


def test_where_nothing_is_amiss_there_is_one_line(told):
    assert told() == [SUMMARY]


def test_each_device_has_a_line(told):
    devices = [Work(1200, 12, 1, 3.0, 1.0), Work()]
    assert told(devices=devices)[1:] == [
        "device 1 of 2: 1,200 windows in 12 batches, 1 halved; busy 75 % of 4.0 s, waiting 25 %",
        "device 2 of 2: 0 windows in 0 batches, 0 halved; never used",
    ]


def test_losses_are_counted_by_clip_and_the_first_are_shown(told):
    notes = [Note(f"{i // 2}.mp4", f"note {i}") for i in range(8)]
    assert told(notes=notes)[:-1] == [
        "note: 0.mp4: note 0",
        "note: 0.mp4: note 1",
        "note: 1.mp4: note 2",
        "note: 1.mp4: note 3",
        "note: 2.mp4: note 4",
        "4 clips were read with losses: --json lists them all",
    ]


def test_what_was_cut_and_what_was_skipped_is_said(told):
    assert told(cut=7, skipped=2)[:-1] == [
        "7 vectors lay beyond the end that the index found, and were left out",
        "2 results were dropped: another run had stored them first",
    ]


@pytest.mark.parametrize(
    ("replaced", "lines"),
    [
        (95 << 20, ["`avfd cache gc` would free 95.0 MiB that commits have replaced"]),
        (95 << 10, []),
        (None, []),
        (StoreError("another process holds its lock"), []),
    ],
)
def test_gc_is_named_where_it_would_free_something_worth_while(
    replaced, lines, monkeypatch, capsys, tmp_path
):
    def replaced_bytes() -> int | None:
        if isinstance(replaced, Exception):
            raise replaced
        return replaced

    opened = ("films", SimpleNamespace(replaced_bytes=replaced_bytes))
    monkeypatch.setattr(cli_cache, "open_cache", lambda home, dataset: opened)
    _tell_replaced(Home(tmp_path), "films")
    assert capsys.readouterr().err.splitlines() == lines


@pytest.mark.parametrize("command", ["extract --backbone mel", "forge --into made"])
def test_decoder_threads_that_are_no_number_are_refused_before_any_clip(
    command, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("AVFD_DECODE_THREADS", "many")
    monkeypatch.setattr(sys, "argv", ["avfd", *command.split(), "--home", str(tmp_path)])
    assert run() == 2
    said = capsys.readouterr().err
    assert "AVFD_DECODE_THREADS: not a number of decoder threads; found: 'many'" in said
