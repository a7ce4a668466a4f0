"""What a clip's failure says: a reason that others read, on other machines."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

from avfd.home import Home
from avfd.specs import FAILED
from extract.index import index_dataset
from extract.scans import Roots


def test_the_inner_folder_of_two_goes_first_and_other_paths_stay() -> None:
    roots = Roots(Path("/data/set"), Path("/data/set/sound"))
    assert roots.hide("/data/set/sound/a.wav, /data/set/b.mp4, /else/c") == "a.wav, b.mp4, /else/c"
    assert Roots(Path("/")).hide("/a.wav: empty") == "/a.wav: empty"


def test_no_reason_names_a_folder_of_this_machine(
    extracts: ModuleType, small_media: Path, tmp_path: Path
) -> None:
    media = shutil.copytree(small_media, tmp_path / "media")
    home = extracts.indexed(tmp_path / "home", media)
    (media / "c000.wav").unlink()
    extracts.extract(home, ["loudness"])
    reasons = {k: v[1] for k, v in extracts.contents(home, "loudness").items() if v[0] == FAILED}
    assert reasons["small/c000.wav"] == "c000.wav: No such file or directory"
    assert reasons["small/text.wav"].startswith("text.wav: the file is no readable sound")
    problems = index_dataset(home, extracts.DATASET, media, layout="folder", workers=1).problems
    assert problems["small/text.wav"] == reasons["small/text.wav"]


def test_a_part_after_the_files_end_fails_with_a_sentence(
    extracts: ModuleType, small_media: Path, tmp_path: Path
) -> None:
    table = tmp_path / "t.csv"
    table.write_text("path,start\nc000.wav,900\n", encoding="utf-8")
    home = Home(tmp_path / "home")
    index_dataset(home, extracts.DATASET, small_media, table=table, workers=1)
    extracts.extract(home, ["loudness"])
    ((status, reason, *_),) = extracts.contents(home, "loudness").values()
    assert status == FAILED
    assert reason.startswith("the clip starts at 900.000 s, its file ends at ")
