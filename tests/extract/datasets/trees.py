"""One small tree a layout, written from the fact sheet before its reader, near-misses included.

A tree is path → text; media are a few bytes of text, so that a reader which opens one fails.
"""

from __future__ import annotations

import json
from pathlib import Path

Tree = dict[str, str]
MEDIA = "not a film"


def grow(root: Path, tree: Tree) -> Path:
    """Write the tree below `root`."""
    for path, text in tree.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


def media(*paths: str) -> Tree:
    """A tree of media files."""
    return dict.fromkeys(paths, MEDIA)


FOLDER = media(
    "real/anna/a.mp4",
    "real/anna/a b#1.MP4",
    "Fake/x/a.mp4",
    "realistic/b.mp4",
    "fakes/c.mp4",
    "unlabelled/fake.mp4",
    "fake/real/d.wav",
    "real/._a.mp4",
    "real/.hidden/e.mp4",
    "real/notes.txt",
)

TABLE = {
    "list.csv": (
        "path,label,subject,method,source,start,end\n"
        "clips/a b#1.mp4,REAL,anna,,web,,\n"
        "clips/film.mp4,1,ben,wav2lip,web,0,2.5\n"
        "clips/film.mp4,0,ben,,web,2.5,5\n"
        "clips/gone.mp4,fake,ben,,web,,\n"
        "clips/u.mp4,unlabelled,,,web,,\n"
    ),
    **media("clips/a b#1.mp4", "clips/film.mp4", "clips/u.mp4", "clips/extra.mp4"),
}

RAVDESS = media(
    "Video_Speech_Actor_12/Actor_12/01-01-05-02-01-02-12.mp4",
    "Video_Speech_Actor_12/Actor_12/02-01-05-02-01-02-12.mp4",
    "Video_Song_Actor_12/Actor_12/01-02-03-01-02-01-12.mp4",
    "ACTOR05/03-01-08-01-01-01-05.wav",
    "Actor_24/03-01-01-01-01-01-24.flac",
    "Actor_12/03-01-05-02-01-02-12.wav",  # the sound of a film that is here
    "Actor_12/._01-01-05-02-01-02-12.mp4",
    "Actor_25/01-01-05-02-01-02-25.mp4",  # there is no actor 25
    "Actor_12/01-01-09-02-01-02-12.mp4",  # nor emotion 9
)


def _dfdc_part(**originals: str | None) -> str:
    """A metadata.json: name → its original, None for a real file."""
    return json.dumps(
        {
            f"{name}.mp4": {"label": "FAKE", "split": "train", "original": f"{original}.mp4"}
            if original
            else {"label": "REAL", "split": "train"}
            for name, original in originals.items()
        }
    )


DFDC = {
    "dfdc_train_part_05/dfdc_train_part_5/metadata.json": _dfdc_part(
        real=None, fake="real", other="real", orphan="elsewhere", gone=None
    ),
    "dfdc_train_part_45/metadata.json": _dfdc_part(elsewhere=None, lost="nowhere"),
    "train_sample_videos/metadata.json": _dfdc_part(sample=None),
    **media(
        "dfdc_train_part_05/dfdc_train_part_5/real.mp4",
        "dfdc_train_part_05/dfdc_train_part_5/fake.mp4",
        "dfdc_train_part_05/dfdc_train_part_5/other.mp4",
        "dfdc_train_part_05/dfdc_train_part_5/orphan.mp4",
        "dfdc_train_part_05/dfdc_train_part_5/unlisted.mp4",
        "dfdc_train_part_45/elsewhere.mp4",
        "dfdc_train_part_45/lost.mp4",
        "train_sample_videos/sample.mp4",
        "test_videos/secret.mp4",
    ),
    "sample_submission.csv": "filename,label\nsecret.mp4,0.5\n",
}

_FF = "FaceForensics++"
_FAKES = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
FACEFORENSICS = {
    **media(
        f"{_FF}/original_sequences/youtube/c23/videos/000.mp4",
        f"{_FF}/original_sequences/youtube/c23/videos/003.mp4",
        f"{_FF}/original_sequences/youtube/c40/videos/000.mp4",
        f"{_FF}/original_sequences/actors/c23/videos/01__talking.mp4",
        f"{_FF}/manipulated_sequences/DeepFakeDetection/c23/videos/01_02__talking__AB12.mp4",
        *(f"{_FF}/manipulated_sequences/{name}/c23/videos/000_003.mp4" for name in _FAKES),
        f"{_FF}/manipulated_sequences/FaceShifter/c23/videos/003_000.mp4",
        f"{_FF}/manipulated_sequences/FaceShifter/c23/videos/777_000.mp4",
        f"{_FF}/manipulated_sequences/Deepfakes/c23/masks/000_003.mp4",
        f"{_FF}/manipulated_sequences/Unheard/c23/videos/000_003.mp4",
        f"{_FF}/original_sequences/youtube/c23/videos/000_003.mp4",
    ),
    "FaceForensics/dataset/splits/train.json": '[["000", "003"]]',
    "FaceForensics/dataset/splits/val.json": '[["004", "005"]]',
    "FaceForensics/dataset/splits/test.json": '[["777", "778"]]',
}
FACEFORENSICS_SOUND = {
    "conversion_dict.json": '{"000": "qXy_-1 2", "003": "gone12 0"}',
    "downloaded_videos/qXy_-1/qXy_-1.mp4": MEDIA,
    "downloaded_videos/qXy_-1/extracted_sequences/2.json": "[250, 251, 252]",
    "downloaded_videos_info/qXy_-1/qXy_-1.json": '{"fps": 25}',
}

TREES: dict[str, Tree] = {
    "dfdc": DFDC,
    "faceforensics": FACEFORENSICS,
    "folder": FOLDER,
    "ravdess": RAVDESS,
    "table": TABLE,
}
