"""FaceForensics++: originals and six manipulations, all without sound.

A fake `TTT_SSS` shows video TTT with the face of SSS. Options: `compression` (c0, c23, c40).
With `--audio-root` the sound comes from the user's downloads of the originals: see
`faceforensics_audio`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from avfd.clips import FAKE, REAL, Clip
from avfd.errors import InputError
from extract.datasets.base import SOUND, Notes, Source, reader
from extract.datasets.faceforensics_audio import Sounds
from extract.datasets.files import AUDIO_SUFFIXES, VIDEO_SUFFIXES, suffix
from extract.datasets.labels import malformed

COMPRESSIONS = ("c23", "c40", "c0")  # in the order in which one is chosen
METHODS = (
    "Deepfakes",
    "Face2Face",
    "FaceSwap",
    "NeuralTextures",
    "FaceShifter",
    "DeepFakeDetection",
)
MASKS = "videos of masks: left out"
DOWNLOADS = "downloads, or other media below the audio root: left out"
NO_VIDEO = "numbers of the split lists that no video here has"
_PLACE = re.compile(
    r"(?:.*/)?(original|manipulated)_sequences/(\w+)/(raw|c0|c23|c40)/videos/([^/]+)\.\w+"
)
_MASKS = re.compile(r"(?:.*/)?manipulated_sequences/(?:.*/)?masks/.+")
_DOWNLOADED = re.compile(r"(?:.*/)?downloaded_videos/.+")
_NUMBER = re.compile(r"[0-9]{1,3}")
_YOUTUBE = re.compile(r"(\d{3})(?:_(\d{3}))?")
_ACTORS = re.compile(r"(\d{2})(?:_(\d{2}))?__.+")


@dataclass(frozen=True)
class Place:
    """What a path says: `target` is the video that was changed, `donor` whose face came in."""

    path: str
    kind: str
    compression: str
    target: str
    donor: str | None

    @property
    def fake(self) -> bool:
        return self.kind in METHODS

    @property
    def youtube(self) -> bool:
        """From the 1,000 videos, not from the actors of DeepFakeDetection."""
        return self.kind not in ("actors", "DeepFakeDetection")

    @property
    def original(self) -> str | None:
        """Path of a fake's original in the same compression, where the name tells it."""
        if not (self.fake and self.youtube):
            return None
        head, _, tail = self.path.partition("manipulated_sequences/")
        below = tail.split("/")[1:-1]
        file = f"{self.target}.{self.path.rpartition('.')[2]}"
        return "/".join([f"{head}original_sequences/youtube", *below, file])

    def person(self, number: str | None) -> str | None:
        """A name for a face: the original's number, or the actor's."""
        return number and f"{'youtube' if self.youtube else 'actor'} {number}"


@reader("faceforensics", options=("compression",))
def read(source: Source, notes: Notes) -> Iterator[Clip]:
    """One clip a video of the chosen compression; sound, masks and downloads are no clips."""
    found = {path: place_of(path) for path in source.files.media()}
    places = [place for place in found.values() if place]
    chosen = _compression(source, notes, {place.compression for place in places})
    sides = official_sides(source, notes)
    _count_listed(notes, sides, [p for p in places if p.compression == chosen])
    sounds = Sounds(source, notes)
    downloads = _downloads(source, places)
    for path, place in found.items():
        if place is None:
            if reason := _left_out(path, downloads):
                notes.count(reason, path)
            else:
                yield source.unlabelled(path, notes)
        elif place.compression == chosen:
            yield _clip(source, place, sides, sounds)


def place_of(path: str) -> Place | None:
    """What a path of the published tree says; None for any other path."""
    match = _PLACE.fullmatch(path)
    if match is None or suffix(path) not in VIDEO_SUFFIXES:
        return None
    top, kind, compression, stem = match.groups()
    fake = top == "manipulated"
    if fake != (kind in METHODS) or kind not in (*METHODS, "youtube", "actors"):
        return None
    pattern = _ACTORS if kind in ("actors", "DeepFakeDetection") else _YOUTUBE
    people = pattern.fullmatch(stem)
    if people is None or fake != (people[2] is not None):
        return None
    return Place(path, kind, "c0" if compression == "raw" else compression, *people.groups())


def _downloads(source: Source, places: Iterable[Place]) -> str:
    """Folder below the root that is the audio root's; empty where that lies elsewhere.

    One that holds videos of the data set, too, is not meant as a whole.
    """
    folder = source.shared_folder or ""
    return "" if any(place.path.startswith(folder) for place in places) else folder


def _left_out(path: str, downloads: str) -> str | None:
    """Why a file that has no place in the published tree is no clip; None where it is one."""
    if _MASKS.fullmatch(path):
        return MASKS
    if _DOWNLOADED.fullmatch(path) or (downloads and path.startswith(downloads)):
        return DOWNLOADS
    return SOUND if suffix(path) in AUDIO_SUFFIXES else None


def _compression(source: Source, notes: Notes, present: set[str]) -> str | None:
    """The compression asked for, else the first of `COMPRESSIONS` that is there."""
    wanted = source.options.get("compression", "").replace("raw", "c0")
    if wanted and wanted not in present:
        raise InputError(
            "no video of that compression",
            where=source.root,
            found=wanted,
            accepted=", ".join(sorted(present)) or "none is here",
        )
    chosen = wanted or next((name for name in COMPRESSIONS if name in present), None)
    left = sorted(present - {chosen})
    if left:
        notes.say(f"compression {chosen} is indexed, {', '.join(left)} left out")
    return chosen


def official_sides(source: Source, notes: Notes) -> dict[str, str]:
    """Original's number → side, from the user's `splits/{train,val,test}.json`."""
    sides: dict[str, str] = {}
    for side in ("train", "val", "test"):
        lists = [p for p in source.files.paths if f"/{p}".endswith(f"/splits/{side}.json")]
        if not lists:
            notes.say(f"no splits/{side}.json below the root: the official protocol has no {side}")
            continue
        for number in _numbers(source, lists[0]):
            if sides.setdefault(number, side) != side:
                raise InputError(
                    "one video on two official sides",
                    where=source.root / lists[0],
                    found=f"{number}: {sides[number]} and {side}",
                )
    return sides


def _numbers(source: Source, path: str) -> list[str]:
    """The numbers of a list of pairs, three digits each; a number of fewer is padded."""
    pairs = source.json(path)
    numbers = [str(number) for pair in pairs for number in pair] if _are_pairs(pairs) else [""]
    if not all(_NUMBER.fullmatch(number) for number in numbers):
        raise malformed("not a list of pairs", source.root / path, pairs, '[["000", "003"], …]')
    return [number.zfill(3) for number in numbers]


def _are_pairs(pairs: object) -> bool:
    return isinstance(pairs, list) and all(isinstance(p, list) and len(p) == 2 for p in pairs)


def _count_listed(notes: Notes, sides: Mapping[str, str], places: Iterable[Place]) -> None:
    """Count the numbers of the split lists that match no video."""
    here = {place.target for place in places if place.youtube}
    for number in sides:
        if number not in here:
            notes.count(NO_VIDEO, number)


def _clip(source: Source, place: Place, sides: Mapping[str, str], sounds: Sounds) -> Clip:
    original = place.original
    found = original and source.files.find(original)
    label = FAKE if place.fake else REAL
    side = sides.get(place.target) if place.youtube else None
    audio_path, offset_seconds = sounds.of(place.target if place.youtube else None, place.path)
    return source.clip(
        place.path,
        audio_path=audio_path,
        audio_offset_seconds=offset_seconds,
        label=label,
        video_label=label,
        audio_label=REAL if audio_path else None,
        method=place.kind if place.fake else None,
        subject=place.person(place.target),
        donor=place.person(place.donor),
        source=source.key(found or original) if original else None,
        split=side,
        extra={"official_split": side} if side else {},
    )
