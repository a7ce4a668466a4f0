"""Sound for FaceForensics++ from the user's downloads of the original videos.

`conversion_dict.json` tells which download, and which sequence cut from it, an original is;
`downloaded_videos/<id>/extracted_sequences/<k>.json` lists the sequence's frames. The clip's sound
is the download's, shifted so that the first of those frames is time 0; a fake has its target's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from avfd.errors import AvfdError, InputError
from extract.datasets.base import Notes, Source
from extract.datasets.labels import is_number, malformed, read_json

CONVERSION = "conversion_dict.json"
Sound = tuple[str | None, float]
NONE: Sound = (None, 0.0)
_TOO_FAST_HZ = 10_000


class Sounds:
    """Finds each original's sound once; what is missing is counted, one count a clip."""

    def __init__(self, source: Source, notes: Notes) -> None:
        self._root = source.audio_root
        self._source = source
        self._notes = notes
        self._known: dict[str, Sound | str] = {}
        if self._root is None:
            notes.say("no file of this data set has sound; --audio-root takes your downloads of it")

    def of(self, number: str | None, clip_path: str) -> Sound:
        """Path below the audio root and the offset in seconds; (None, 0) where there is none.

        Args:
            number: of the original whose sound it is; None: a video that is not from there.
            clip_path: which clip asks, for the notes.
        """
        if self._root is None or number is None:
            return NONE
        if number not in self._known:
            self._known[number] = self._look_up(number)
        sound = self._known[number]
        if isinstance(sound, str):
            self._notes.count(f"clips without sound: {sound}", clip_path)
            return NONE
        return sound

    def _look_up(self, number: str) -> Sound | str:
        """The sound, or why there is none."""
        download = self._conversion.get(number)
        if download is None:
            return f"not in {CONVERSION}"
        name, _, sequence = download.rpartition(" ")
        film = self._find(f"downloaded_videos/{name}/{name}.mp4")
        if film is None:
            return "the original video was not downloaded"
        frames = self._find(f"downloaded_videos/{name}/extracted_sequences/{sequence}.json")
        if frames is None:
            return "the list of its frames is missing"
        rate_hz = self._frame_rate(film, name)
        if not rate_hz:
            return "the download's frame rate is not known"
        return film, -self._first_frame(frames) / rate_hz

    @cached_property
    def _top(self) -> str:
        """Folder of the downloads below the audio root, with its slash."""
        found = [p for p in self._source.audio_files.paths if f"/{p}".endswith(f"/{CONVERSION}")]
        if not found:
            raise InputError(
                f"no {CONVERSION} below the audio root",
                where=self._root,
                accepted=f"a folder with {CONVERSION} and downloaded_videos/",
            )
        return found[0][: -len(CONVERSION)]

    @cached_property
    def _conversion(self) -> Mapping[str, str]:
        where, table = self._json(f"{self._top}{CONVERSION}")
        if not isinstance(table, dict) or not all(isinstance(d, str) for d in table.values()):
            raise malformed(
                "not an object of downloads", where, table, '{"000": "<id> <sequence>", …}'
            )
        return table

    def _find(self, path: str) -> str | None:
        return self._source.audio_files.find(f"{self._top}{path}")

    def _frame_rate(self, film: str, name: str) -> float:
        """Frames a second, measured; else as the download's info file rounds it; 0: unknown."""
        assert self._root is not None
        if self._source.frame_rate:
            try:
                return self._source.frame_rate(self._root / film)
            except AvfdError as error:
                self._notes.count(f"downloads that cannot be read: {error.problem}", film)
        info = self._find(f"downloaded_videos_info/{name}/{name}.json")
        return self._stated_rate(info) if info else 0.0

    def _stated_rate(self, path: str) -> float:
        where, facts = self._json(path)
        rate_hz = (facts.get("fps") or 0) if isinstance(facts, dict) else None
        if not is_number(rate_hz) or not 0 <= rate_hz < _TOO_FAST_HZ:
            raise malformed("not the facts of a download", where, facts, '{"fps": 25, …}')
        return float(rate_hz)

    def _first_frame(self, path: str) -> int:
        where, frames = self._json(path)
        first = frames[0] if isinstance(frames, list) and frames else None
        if isinstance(first, bool) or not isinstance(first, int) or first < 0:
            raise malformed("not a list of frame numbers", where, frames, "[250, 251, …]")
        return first

    def _json(self, path: str) -> tuple[Path, Any]:
        """A file below the audio root, in full for error messages, and its content."""
        assert self._root is not None
        return self._root / path, read_json(self._root / path)
