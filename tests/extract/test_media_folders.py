"""A folder of numbered JPEG frames is read as the film of these frames would be."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from avfd.cache import ClipResult
from avfd.clips import Clip
from avfd.errors import MediaError
from avfd.specs import DONE, FAILED
from avfd.timeline import row_count
from extract.assembly import Assembly
from extract.backbones import build, load_all
from extract.face_detector import Detector
from extract.faces import TrackOptions
from extract.media import Decoding, VideoFrame, decode, file_sha256, scan
from extract.media.folders import frame_files
from extract.pipeline import run_clip
from extract.scans import Roots, scan_pool, with_media, with_stat
from extract.task import FACE_TRACK, Task

Maker = Callable[..., Path]
FPS = 25


def jpeg_film(path: Path, shown: Sequence[NDArray[np.uint8]]) -> Path:
    """A silent Motion JPEG film, 25 pictures a second."""
    with av.open(str(path), "w") as container:
        track = container.add_stream("mjpeg", rate=FPS)
        track.pix_fmt, track.bit_rate = "yuvj420p", 20_000_000
        track.height, track.width = shown[0].shape[:2]
        for rgb in shown:
            container.mux(track.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        container.mux(track.encode(None))
    return path


def frames_of(film: Path, folder: Path, first: int = 1, suffix: str = "") -> Path:
    """The pictures of a Motion JPEG film as files, bit for bit."""
    folder.mkdir(parents=True)
    with av.open(str(film)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    for number, packet in enumerate(packets, start=first):
        (folder / f"{number:03d}{suffix}").write_bytes(packet)
    return folder


@pytest.fixture
def film(tmp_path: Path, media_makers: ModuleType) -> Path:
    """Two seconds of Motion JPEG that shows its time."""
    shown = [media_makers.clock_picture(i / FPS, (96, 64)) for i in range(50)]
    return jpeg_film(tmp_path / "film.avi", shown)


@pytest.fixture
def folder(tmp_path: Path, film: Path) -> Path:
    """The same pictures in 001 … 050."""
    return frames_of(film, tmp_path / "sa1")


def pictures(path: Path, **clip: float) -> tuple[list[VideoFrame], Decoding]:
    items = decode(
        path.parent, None, Clip("d/c", video_path=path.name, **clip), audio=False, video=True
    )
    return [item for item in items if isinstance(item, VideoFrame)], items


@pytest.mark.parametrize("part", [{}, {"start_seconds": 0.5, "end_seconds": 1.1}])
def test_a_folder_gives_what_the_film_of_its_frames_gives(
    film: Path, folder: Path, part: dict[str, float]
) -> None:
    wanted, _ = pictures(film, **part)
    got, items = pictures(folder, **part)
    assert [f.start_seconds for f in got] == [f.start_seconds for f in wanted]
    assert [f.seconds for f in got] == [f.seconds for f in wanted]
    assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(got, wanted, strict=True))
    assert items.notes == []
    assert scan(folder) == scan(film)


@pytest.mark.parametrize(("first", "suffix"), [(0, ""), (250, ".jpg"), (1, ".JPEG")])
def test_the_lowest_number_is_time_zero(
    tmp_path: Path, film: Path, first: int, suffix: str
) -> None:
    got, _ = pictures(frames_of(film, tmp_path / "x", first, suffix))
    assert [f.start_seconds for f in got] == pytest.approx(np.arange(50) / FPS)


def test_numbers_are_in_the_order_of_their_values(
    tmp_path: Path, folder: Path, media_makers: ModuleType
) -> None:
    for frame in folder.iterdir():
        frame.rename(folder / str(int(frame.name)))  # 10 before 2, as text
    got, _ = pictures(folder)
    assert [media_makers.read_clock(f.rgb) for f in got] == [f.start_seconds for f in got]


def test_a_missing_number_keeps_the_earlier_picture_on_screen(folder: Path) -> None:
    for number in (11, 12, 13, 50):
        (folder / f"{number:03d}").unlink()
    got, items = pictures(folder)
    times = [f.start_seconds for f in got]
    assert len(times) == 46
    assert times[9:11] == pytest.approx([0.36, 0.52])
    assert items.notes == []  # nothing says that there was more
    facts = scan(folder)
    assert facts.seconds == pytest.approx(49 / FPS)
    assert facts.fps == pytest.approx(45 / (48 / FPS))


def test_files_that_are_no_picture_are_damaged_frames(folder: Path, tmp_path: Path) -> None:
    (folder / "001").write_text("not a picture")
    (folder / "005").write_bytes(b"")
    Image.new("RGB", (96, 64)).save(tmp_path / "a.png")
    shutil.copy(tmp_path / "a.png", folder / "007")
    got, items = pictures(folder)
    assert items.notes == ["3 packets of pictures could not be decoded"]
    assert [round(f.start_seconds * FPS) for f in got] == [
        n - 1 for n in range(1, 51) if n not in (1, 5, 7)
    ]
    facts = scan(folder)
    assert (facts.width, facts.height, facts.has_video, facts.has_audio) == (96, 64, True, False)
    assert facts.seconds == pytest.approx(2.0)


def test_other_files_are_not_looked_at(folder: Path) -> None:
    before = scan(folder), file_sha256([folder]), len(pictures(folder)[0])
    for name in ("._001", ".DS_Store", "Thumbs.db", "list.txt", "051.png", "a052", "1" * 10):
        (folder / name).write_text("something")
    (folder / "053").mkdir()
    assert (scan(folder), file_sha256([folder]), len(pictures(folder)[0])) == before


def test_two_files_of_one_number_show_the_first_name(folder: Path) -> None:
    shutil.copy(folder / "020", folder / "010.jpg")
    got, items = pictures(folder)
    assert len(got) == 50
    assert "0.040 s of pictures left out" in items.notes[0]


def test_a_wild_number_does_not_stretch_the_clip(folder: Path) -> None:
    shutil.copy(folder / "001", folder / "900000000")
    assert scan(folder).seconds == pytest.approx(2.0)
    assert max(f.start_seconds for f in pictures(folder)[0]) <= 2.0


def test_jpegs_of_another_maker_are_near_what_was_meant(
    tmp_path: Path, media_makers: ModuleType
) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    meant = [media_makers.clock_picture(i / FPS, (96, 64)) for i in range(3)]
    for number, picture in enumerate(meant, start=1):
        Image.fromarray(picture).save(folder / f"{number}", "JPEG", quality=95, subsampling=0)
    got, _ = pictures(folder)
    worst = [np.abs(f.rgb.astype(int) - m).mean() for f, m in zip(got, meant, strict=True)]
    assert max(worst) < 2.0


def test_a_part_is_reached_without_reading_what_lies_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import extract.media.folders as folders

    grey = np.full((32, 32, 3), 99, np.uint8)
    folder = frames_of(jpeg_film(tmp_path / "a.avi", [grey] * 300), tmp_path / "x")
    read: list[str] = []
    content = folders._content
    monkeypatch.setattr(folders, "_content", lambda f, *n: read.append(f.name) or content(f, *n))
    got, _ = pictures(folder, start_seconds=9.0, end_seconds=10.0)
    assert [f.start_seconds for f in got] == pytest.approx(np.arange(25) / FPS)
    assert len(read) < 60


def test_at_most_one_frame_is_read_ahead(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import extract.media.folders as folders

    read: list[str] = []
    content = folders._content
    monkeypatch.setattr(folders, "_content", lambda f, *n: read.append(f.name) or content(f, *n))
    clip = Clip("d/c", video_path=folder.name)
    items = decode(folder.parent, None, clip, audio=False, video=True)
    for _ in range(5):
        next(items)
    assert len(read) <= 8  # the first one is looked at before


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "the folder holds no numbered frames.*JPEG files named by their number"),
        (["frame1.jpg"], "the folder holds no numbered frames"),
        (["1", "2"], "none of the numbered files is a JPEG picture; found: 2 files"),
    ],
)
def test_a_folder_without_pictures_is_refused_in_words(
    tmp_path: Path, names: list[str], words: str
) -> None:
    folder = tmp_path / "x: #"
    folder.mkdir()
    for name in names:
        (folder / name).write_text("not a picture")
    for read in (scan, pictures):
        with pytest.raises(MediaError, match=words):
            read(folder)


def test_a_frame_that_may_not_be_read_is_no_damage(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    for read in (scan, pictures):
        with pytest.raises(
            MediaError, match=r"sa1/001: the frame cannot be read; found: Permission"
        ):
            read(folder)


def test_the_digest_is_that_of_what_sha256sum_prints(folder: Path, film: Path) -> None:
    lines = "".join(
        f"{hashlib.sha256((folder / f'{n:03d}').read_bytes()).hexdigest()}  {n:03d}\n"
        for n in range(1, 51)
    )
    assert file_sha256([folder]) == hashlib.sha256(lines.encode()).hexdigest()
    if shutil.which("sha256sum"):
        names = [frame.name for frame in frame_files(folder)]
        printed = subprocess.run(["sha256sum", *names], cwd=folder, capture_output=True, check=True)
        assert hashlib.sha256(printed.stdout).hexdigest() == file_sha256([folder])
    both = hashlib.sha256(f"{file_sha256([folder])}{file_sha256([film])}".encode()).hexdigest()
    assert file_sha256([folder, film]) == both


def test_the_digest_knows_names_and_contents(folder: Path) -> None:
    before = file_sha256([folder])
    (folder / "050").rename(folder / "051")
    renamed = file_sha256([folder])
    (folder / "051").rename(folder / "050")
    assert renamed != before == file_sha256([folder])


def clip_of(folder: Path, **facts: object) -> Clip:
    clip = Clip("d/c", video_path=folder.name, has_video=True, seconds=2.0, **facts)
    return with_stat([clip], Roots(folder.parent))[0]


def test_size_is_that_of_all_frames_and_time_the_newest(folder: Path) -> None:
    os.utime(folder / "007", ns=(0, 4_000_000_000_000_000_000))
    clip = clip_of(folder)
    assert clip.bytes == sum(frame.stat().st_size for frame in folder.iterdir())
    assert clip.mtime_ns == 4_000_000_000_000_000_000


def test_a_scan_at_index_measures_a_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    clips = [clip_of(folder), clip_of(tmp_path / "empty")]
    with scan_pool(1) as pool:
        good, bad = with_media(
            clips, Roots(tmp_path), [], pool, progress=lambda done, total, note: None
        )
    assert (good.width, good.height, good.fps, good.seconds) == (96, 64, 25.0, 2.0)
    assert (good.has_video, good.has_audio, good.problem) == (True, False, None)
    assert (bad.problem or "").startswith("empty: the folder holds no numbered frames")


def columns_of(clip: Clip, root: Path, detector: Detector | None) -> dict[str, ClipResult]:
    """The columns face_track and faces of a clip."""
    load_all()
    asked = {name: build(name) for name in (FACE_TRACK, "faces")}
    task = Task(clip, 0, row_count(clip.seconds), {name: name for name in asked}, {})
    columns = [Assembly(name, backbone, task.place) for name, backbone in asked.items()]
    return dict(run_clip(task, columns, Roots(root), detector).results)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "020").unlink(),
        lambda folder: (folder / "020").rename(folder / "051"),
        lambda folder: (folder / "020").write_bytes(b"x"),
        lambda folder: shutil.copy(folder / "020", folder / "051"),
    ],
)
def test_a_folder_that_changed_after_the_index_fails(
    folder: Path, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    for path in (*folder.iterdir(), folder):
        os.utime(path, ns=(0, 10**18))
    clip = clip_of(folder)
    change(folder)
    for result in columns_of(clip, tmp_path, None).values():
        assert result.status == FAILED
        assert "changed since the index" in result.reason


def test_faces_of_a_folder_are_those_of_the_film(
    testdata: Path, blazeface: Path, tmp_path: Path
) -> None:
    whole = decode(
        testdata / "clips",
        None,
        Clip("d/c", video_path="real/youtube/cropped05.mp4", end_seconds=2.0),
        audio=False,
        video=True,
    )
    shown = [item.rgb for item in whole if isinstance(item, VideoFrame)][:40]
    film = jpeg_film(tmp_path / "film.avi", shown)
    folder = frames_of(film, tmp_path / "sa1")
    other = tmp_path / "other"
    other.mkdir()
    for number, rgb in enumerate(shown, start=1):
        Image.fromarray(rgb).save(other / f"{number:03d}", "JPEG", quality=95)

    found = []
    for path in (film, folder, other):
        clip = replace(clip_of(path), seconds=len(shown) / FPS)
        detector = Detector(blazeface, TrackOptions().search.min_score)
        found.append(columns_of(clip, tmp_path, detector))
        detector.close()
    of_film, of_folder, near = found
    for name, wanted in of_film.items():
        got = of_folder[name]
        assert got.status == wanted.status == DONE
        assert np.array_equal(got.values, wanted.values)
        assert np.array_equal(got.valid, wanted.valid)
        assert wanted.valid.any()
        assert len(got.sha256) == 64
    # Other JPEG files of the same pictures: the box moves by less than 3 % of the picture.
    both = near[FACE_TRACK].valid & of_film[FACE_TRACK].valid
    boxes = [found[FACE_TRACK].values[both][:, :4] for found in (near, of_film)]
    assert np.abs(boxes[0] - boxes[1]).max() < 0.03


def test_sound_beside_a_folder_of_frames(
    folder: Path, tmp_path: Path, make_audio: Maker, media_makers: ModuleType
) -> None:
    make_audio(tmp_path / "sa1.wav", media_makers.clicks(2.0, 32_000), 32_000)
    clip = Clip("d/c", video_path="sa1", audio_path="sa1.wav")
    items = list(decode(tmp_path, None, clip, audio=True, video=True))
    starts = [item.start_seconds for item in items]
    assert starts == sorted(starts)
    assert sum(isinstance(item, VideoFrame) for item in items) == 50
    facts = scan(folder, tmp_path / "sa1.wav")
    assert (facts.has_audio, facts.has_video, facts.seconds) == (True, True, 2.0)
