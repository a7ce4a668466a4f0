"""Damaged files end with a status and a reason; the clips beside them stay right.

A few dozen here; `python -m benchmarks.bad_media` takes 300.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from types import ModuleType

from avfd.home import Home
from avfd.specs import ABSENT, DONE, FAILED, PENDING

FILES = 40


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def pathless(found: tuple[int, str, bytes, bytes], folder: Path) -> tuple[int, str, bytes, bytes]:
    """The same without the folder, which reasons name."""
    status, reason, values, valid = found
    return status, reason.replace(str(folder), ""), values, valid


def test_damaged_files_end_with_a_reason_and_cost_nobody_else(
    extracts: ModuleType,
    damage: ModuleType,
    media_makers: ModuleType,
    small_media: Path,
    home: Home,
    tmp_path: Path,
) -> None:
    media = tmp_path / "media"
    whole = damage.make_damaged(media, media_makers, FILES)
    shutil.copytree(small_media, media, dirs_exist_ok=True)
    before = digests(media)
    extracts.extract(home, ["loudness"])
    among = extracts.indexed(tmp_path / "among", media)
    extracts.extract(among, ["loudness"], workers=2)
    found = extracts.contents(among, "loudness")

    assert len(found) == FILES + 26
    assert all(status != PENDING for status, *_ in found.values())
    unexplained = [k for k, (status, reason, *_) in found.items() if status != DONE and not reason]
    assert unexplained == []
    tracebacks = [r for _, r, *_ in found.values() if "Error:" in r or "Traceback" in r]
    assert tracebacks == []
    for key, expected in extracts.contents(home, "loudness").items():
        assert pathless(found[key], media) == pathless(expected, small_media), key
    assert [found[f"small/{path.name}"][0] for path in whole] == [DONE, ABSENT]
    for name, (status, *_) in found.items():
        if name.removeprefix("small/").startswith(("text", "empty", "streamless")):
            assert status == FAILED, name
    assert digests(media) == before
