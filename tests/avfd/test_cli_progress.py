"""Progress: a bar that keeps its count and time whatever the clip's key, lines where none fits."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from avfd.cli.output import announced, progress, shortened

KEY = "data set/a folder/another folder/a film of somebody's [face] who talks for long#12.mp4"


class Clock:
    """Stands still until it is set."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def shown(width: int, key: str = KEY, words: str = "extracting") -> str:
    """The last line of a bar on a terminal of that width."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, color_system=None)
    with progress(words, console=console) as update:
        update(12, 1500, key)
    return re.sub(r"\x1b\[[0-9?]*[a-zA-Z]", "", file.getvalue()).rstrip().splitlines()[-1].rstrip()


def test_on_80_columns_count_and_time_stay_and_the_keys_end_comes_last():
    line = shown(80)
    assert line.startswith("extracting ")
    assert "   12/1500 -:--:-- …" in line
    assert line.endswith("who talks for long#12.mp4")
    assert len(line) <= 80


def test_a_key_that_fits_is_whole_brackets_included():
    assert "12/1500 -:--:-- " + KEY in shown(200)


def test_where_there_is_no_room_the_key_is_left_out():
    assert shown(56).endswith("   12/1500 -:--:--")


def test_a_wide_letter_takes_two_cells():
    assert shortened("面" * 9, 9) == "…面面面面"


def off_a_terminal(clock: Clock):
    return progress("extracting", clock, Console(file=io.StringIO(), force_terminal=False))


def test_off_a_terminal_there_is_a_line_at_most_every_30_seconds(capsys):
    clock = Clock()
    with off_a_terminal(clock) as update:
        for done in range(1, 91):
            clock.seconds += 1
            update(done, 100, "a.mp4")
    assert capsys.readouterr().err.splitlines() == [
        "extracting: 30 of 100, 0:01:10 left; a.mp4",
        "extracting: 60 of 100, 0:00:40 left; a.mp4",
        "extracting: 90 of 100, 0:00:10 left; a.mp4",
    ]


def test_the_time_left_begins_anew_with_another_count(capsys):
    clock = Clock()
    with off_a_terminal(clock) as update:
        clock.seconds += 1000
        update(8, 8)
        update(0, 8)
        clock.seconds += 40
        update(4, 8)
    assert capsys.readouterr().err.splitlines()[-1] == "extracting: 4 of 8, 0:00:40 left"


def test_what_an_extract_says_first_is_a_line_of_its_own(capsys):
    seen = []
    update = announced(lambda *words: seen.append(words))
    update(0, 7, "about 2 GB")
    update(1, 7, "a.mp4")
    assert capsys.readouterr().err == "7 clips to do, about 2 GB\n"
    assert seen == [(0, 7, ""), (1, 7, "a.mp4")]


@pytest.mark.parametrize("nothing", ["", "short"])
def test_a_short_note_is_not_cut(nothing):
    assert shortened(nothing, 5) == nothing


def test_what_comes_before_the_first_clip_is_announced_once(capsys):
    told = announced(lambda done, total, note: None)
    told(0, 4, "about 1 GB")
    told(0, 4, "a.mp4")
    told(1, 4, "a.mp4")
    assert capsys.readouterr().err.splitlines() == ["4 clips to do, about 1 GB"]
