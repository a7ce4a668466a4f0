"""The files below a data set's root, and paths as plain text."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from posixpath import normpath

from avfd.clips import check_inside
from avfd.errors import InputError

VIDEO_SUFFIXES = frozenset(
    {
        *(".3g2", ".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov", ".mp4"),
        *(".mpe", ".mpeg", ".mpg", ".mpg2", ".mpeg2", ".mpv", ".mts", ".mxf", ".ogv", ".ts"),
        *(".dv", ".qt", ".vob", ".webm", ".wmv"),
    }
)
AUDIO_SUFFIXES = frozenset(
    {".aac", ".aif", ".aiff", ".amr", ".flac", ".m4a", ".mka", ".mp2", ".mp3", ".oga", ".ogg"}
    | {".ac3", ".au", ".caf", ".opus", ".wav", ".wma"}
)
MEDIA_SUFFIXES = VIDEO_SUFFIXES | AUDIO_SUFFIXES
SIDE_SUFFIXES = frozenset(
    {"", ".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml", ".ini"}
    | {".md", ".rst", ".pdf", ".html", ".htm", ".doc", ".docx", ".xls", ".xlsx", ".ods", ".rtf"}
    | {".srt", ".vtt", ".ass", ".ssa", ".lab", ".textgrid", ".eaf", ".png", ".jpg", ".jpeg", ".bmp"}
    | {".gif", ".webp", ".tif", ".tiff", ".svg", ".npy", ".npz", ".pkl", ".pt", ".pth", ".h5"}
    | {".hdf5", ".mat", ".parquet", ".db", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z"}
    | {".rar", ".py", ".ipynb", ".sh", ".bat", ".m", ".md5", ".sha256", ".url", ".lnk", ".log"}
)
"""What usually lies beside media and is none; other suffixes are worth telling."""


def nfc(text: str) -> str:
    """The text in Unicode's composed form, as keys are spelled."""
    return unicodedata.normalize("NFC", text)


# A data set has a million paths: these work on plain text, many times faster than path objects.


def file_name(path: str) -> str:
    """The last part of a path."""
    return path.rpartition("/")[2]


def beside(path: str, name: str) -> str:
    """The path of a file in the same folder.

    >>> beside("a/b.mp4", "c.wav"), beside("b.mp4", "c.wav")
    ('a/c.wav', 'c.wav')
    """
    folder, slash, _ = path.rpartition("/")
    return f"{folder}{slash}{name}"


def suffix(path: str) -> str:
    """The file suffix in lower case, with its dot; empty where there is none.

    >>> suffix("a.b/C.MP4"), suffix("a.b/c")
    ('.mp4', '')
    """
    _, dot, ending = file_name(path).rpartition(".")
    return dot + ending.lower() if dot else ""


def _encodable(path: str) -> bool:
    """Whether the name is UTF-8; Python spells other bytes with stand-ins."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _identity(file: str) -> tuple[int, int] | str:
    """What the names of one file have in common: disk and number, or its real path.

    Not every file system numbers files truly, but none claims several names for a file of one.
    """
    try:
        stat = Path(file).stat()
    except OSError:  # it went away; the scan tells
        return file
    return (stat.st_dev, stat.st_ino) if stat.st_nlink > 1 else file


@dataclass(frozen=True)
class _Links:
    """What a walk learns of links.

    Attributes:
        numbers: path of a file that is no link → its number on its disk.
        targets: path of a link to a file → the real path of that file.
        broken: links that lead to no file.
        folders: links to folders.
    """

    numbers: dict[str, int] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Files:
    """Every file below a folder, found once; hidden files and `._` files are not among them."""

    root: Path
    _links: _Links = field(default_factory=_Links, init=False, repr=False, compare=False)

    @cached_property
    def paths(self) -> list[str]:
        """POSIX paths relative to the root, sorted.

        Raises:
            InputError: a link leads out of the root.
        """
        if not self.root.is_dir():
            raise InputError("not a folder", where=self.root, next_step="check --root")
        real = Path(os.path.realpath(self.root))
        return sorted(self._walk("", real))

    def _walk(self, below: str, real: Path) -> Iterator[str]:
        for entry in self._entries(below):
            if entry.name.startswith("."):
                continue
            path = f"{below}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(f"{path}/", real)
            elif entry.is_file(follow_symlinks=False):
                self._links.numbers[path] = entry.inode()
                yield path
            elif entry.is_symlink() and self._links_to_file(path, real):
                yield path

    def _entries(self, below: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.root / below) as entries:
                return list(entries)
        except OSError as error:
            raise InputError(
                "the folder cannot be read", where=self.root / below, found=error.strerror
            ) from error

    def _links_to_file(self, path: str, real: Path) -> bool:
        """Whether a link leads to a file below the root; a link to a folder is not followed."""
        target = Path(os.path.realpath(self.root / path))
        if not target.is_relative_to(real):
            raise InputError(
                "a link leads out of the data set's root",
                where=self.root / path,
                found=target,
                next_step="copy the files below the root, or give the common folder as --root",
            )
        if target.is_file():
            self._links.targets[path] = str(target)
            return True
        (self._links.folders if target.is_dir() else self._links.broken).append(path)
        return False

    @cached_property
    def broken_links(self) -> list[str]:
        """The links that have a media file's name and lead to no file, sorted."""
        _ = self.paths
        return sorted(path for path in self._links.broken if suffix(path) in MEDIA_SUFFIXES)

    @cached_property
    def linked_folders(self) -> list[str]:
        """The links to folders, sorted; what is below them is not among the paths."""
        _ = self.paths
        return sorted(self._links.folders)

    @cached_property
    def first_of(self) -> dict[str, str]:
        """Path → the first path of the same file, where links give that file several.

        A disk of a million files is not asked about each: the walk tells which may have several.
        """
        real = os.path.realpath(self.root).rstrip("/")
        paths, targets = self.paths, self._links.targets
        linked, often = set(targets.values()), Counter(self._links.numbers.values())
        firsts: dict[tuple[int, int] | str, str] = {}
        found = {}
        for path in paths:
            file = targets.get(path) or f"{real}/{path}"
            if file in linked or often[self._links.numbers[path]] > 1:
                first = firsts.setdefault(_identity(file), path)
                if first != path:
                    found[path] = first
        return found

    @cached_property
    def _by_nfc(self) -> dict[str, str]:
        return {nfc(path): path for path in self.paths}

    def find(self, path: str, where: str | None = None) -> str | None:
        """The path as the disk spells it, whatever Unicode form it was listed in; None: absent.

        Args:
            path: relative to the root.
            where: what listed it, for the error if it leads out of the root.
        """
        check_inside(path, where or str(self.root))
        return self._by_nfc.get(nfc(normpath(path)))

    def media(self, suffixes: frozenset[str] = MEDIA_SUFFIXES) -> list[str]:
        """The paths with one of the suffixes.

        Raises:
            InputError: a name is not UTF-8, so no table could hold it.
        """
        found = [path for path in self.paths if suffix(path) in suffixes]
        for path in found:
            if not _encodable(path):
                raise InputError(
                    "the file's name is not UTF-8",
                    where=self.root,
                    found=os.fsencode(path),
                    next_step="rename the file",
                )
        return found

    def unknown(self) -> list[str]:
        """The paths that are neither media nor what usually lies beside them."""
        known = MEDIA_SUFFIXES | SIDE_SUFFIXES
        return [path for path in self.paths if suffix(path) not in known]
