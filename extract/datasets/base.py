"""What a reader is: a function from a folder to clips. It never opens media.

```python
@reader("dfdc")
def read(source: Source, notes: Notes) -> Iterator[Clip]: ...
```
"""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from avfd.clips import Clip, clip_key
from avfd.errors import InputError, MissingError
from avfd.manifest import Manifest
from extract.datasets.files import AUDIO_SUFFIXES, Files, suffix
from extract.datasets.labels import read_json, read_text

MISSING = "listed but missing"
SOUND = "sound files that no clip reads: left out"
BROKEN = "links with a media file's name that lead to no file: left out"
LINKED = "links to folders: not followed"
UNKNOWN = "files of a kind that is not known as sound or film: left out"
UNLISTED = "without a label: extracted, never fitted"


class Notes:
    """What a reader found worth telling, as counts with examples and as sentences.

    Attributes:
        no_clip: a reader that found no clip and knows why says it here; index raises it.
    """

    examples_kept = 3

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.no_clip: InputError | None = None
        self._examples: dict[str, list[str]] = {}
        self._sentences: dict[str, None] = {}

    def count(self, what: str, example: str) -> None:
        """One more of that kind; the first few examples are kept."""
        self.counts[what] = self.counts.get(what, 0) + 1
        kept = self._examples.setdefault(what, [])
        if len(kept) < self.examples_kept:
            kept.append(example)

    def say(self, sentence: str) -> None:
        """A sentence for people; the same one is said once."""
        self._sentences[sentence] = None

    def lines(self) -> list[str]:
        """Everything, one line each: sentences first, then the counts."""
        return [*self._sentences, *(self._counted(what) for what in self.counts)]

    def _counted(self, what: str) -> str:
        kept = self._examples[what]
        more = ", …" if self.counts[what] > len(kept) else ""
        return f"{self.counts[what]} {what} ({', '.join(kept)}{more})"


@dataclass(frozen=True)
class Source:
    """What a reader is given.

    Attributes:
        dataset: the data set's name in this home, first part of every key.
        root: absolute folder of the media.
        audio_root: absolute folder of the audio where it lies elsewhere (FaceForensics++).
        manifest: the layout's facts.
        options: what else the user said: table, column names, crop rule, ….
        frame_rate: tells the frames a second of a video file; a reader opens no media itself.
    """

    dataset: str
    root: Path
    manifest: Manifest
    audio_root: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    frame_rate: Callable[[Path], float] | None = None

    @cached_property
    def files(self) -> Files:
        """The files below the root."""
        return Files(self.root)

    @cached_property
    def audio_files(self) -> Files:
        """The files below the audio root, which is the root where none was given."""
        return Files(self.audio_root) if self.audio_root else self.files

    @cached_property
    def shared_folder(self) -> str | None:
        """The folder below the root, with its slash, that is below the audio root as well.

        Empty where that is the whole root, None where the two have nothing in common.
        """
        if self.audio_root is None:
            return None
        root, audio = (Path(os.path.realpath(folder)) for folder in (self.root, self.audio_root))
        if audio == root or audio in root.parents:
            return ""
        return f"{audio.relative_to(root).as_posix()}/" if root in audio.parents else None

    def text(self, path: str) -> str:
        """The text of a small file below the root (labels, lists)."""
        return read_text(self.root / path)

    def json(self, path: str) -> Any:
        """The content of a JSON file below the root; its form is for the reader to check."""
        return read_json(self.root / path)

    def key(self, path: str, start: float | None = None, end: float | None = None) -> str:
        """The clip key of a file below the root, or of a part of it."""
        return clip_key(self.dataset, path, start, end)

    def unlabelled(self, path: str, notes: Notes) -> Clip:
        """A clip of a media file that no label mentions, counted."""
        notes.count(UNLISTED, path)
        return self.clip(path)

    def clip(self, path: str, **facts: Any) -> Clip:
        """A clip that is one whole file: its video and its sound, or its sound alone."""
        media: dict[str, Any] = {"audio_path": path}
        if suffix(path) not in AUDIO_SUFFIXES:
            media["video_path"] = path
        return Clip(**({"key": self.key(path)} | media | facts))


Reader = Callable[[Source, Notes], Iterator[Clip]]
_REGISTRY: dict[str, Reader] = {}
_OPTIONS: dict[str, tuple[str, ...]] = {}


def reader(name: str, *, options: tuple[str, ...] = ()) -> Callable[[Reader], Reader]:
    """Decorator that files a reader under its layout's name; a duplicate is a bug.

    Args:
        name: of the layout.
        options: names that the reader looks up in `Source.options`.
    """

    def add(read: Reader) -> Reader:
        if name in _REGISTRY:
            raise KeyError(f"reader {name!r} is registered twice")
        _REGISTRY[name], _OPTIONS[name] = read, options
        return read

    return add


def load_all() -> None:
    """Import every module of this package, so that the registry is full."""
    import extract.datasets as package

    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        import_module(module.name)


def names() -> list[str]:
    """Every layout that can be indexed, sorted."""
    load_all()
    return sorted(_REGISTRY)


def get(name: str) -> Reader:
    """The reader of that layout; an unknown name lists the known ones."""
    known = names()
    if name not in known:
        raise MissingError("no such layout", where=name, accepted=", ".join(known))
    return _REGISTRY[name]


def check_options(name: str, given: Iterable[str]) -> None:
    """Refuse an option that the layout's reader would not look at."""
    for option in given:
        if option not in _OPTIONS[name]:
            raise InputError(
                f"the layout {name!r} has no such option",
                where="--option",
                found=option,
                accepted=", ".join(_OPTIONS[name]) or "none",
            )
