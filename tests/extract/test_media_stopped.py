"""A disk that fails in the midst of a file: what was read counts, and where it ended is said."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import av
import pytest
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from avfd.clips import Clip
from extract.media import decode, decoding, scan, scanning
from extract.media.opening import Source, opened


class Breaking:
    """A container that cannot be read past its first packets."""

    def __init__(self, container: InputContainer, packets: int) -> None:
        self.duration = container.duration
        self.streams = container.streams
        self._container = container
        self._packets = packets

    def demux(self, *streams: Stream) -> Iterator[Packet]:
        yield from islice(self._container.demux(*streams), self._packets)
        raise av.error.OSError(5, "Input/output error")


def test_where_reading_stopped_is_told(
    tmp_path: Path, make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "a.mkv", 4.0)
    clip = Clip("d/a.mkv", video_path="a.mkv", audio_path="a.mkv")

    @contextlib.contextmanager
    def breaking(*given: Any) -> Iterator[Source]:
        with opened(path) as source:
            yield replace(source, container=Breaking(source.container, packets=60))

    assert scan(path).stopped == ""
    monkeypatch.setattr(scanning, "opened", breaking)
    assert scan(path).stopped == "Input/output error"
    assert 0 < scan(path).seconds < 4.0
    monkeypatch.setattr(decoding, "opened_near", breaking)
    items = decode(tmp_path, None, clip, audio=True, video=True)
    assert list(items)
    assert "reading stopped early: Input/output error" in items.notes
