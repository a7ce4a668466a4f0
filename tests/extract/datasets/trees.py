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
        f"{_FF}/manipulated_sequences/Deepfakes/masks/videos/000_003.mp4",
        f"{_FF}/masks/carnival.mp4",
        f"{_FF}/original_sequences/youtube/c23/videos/000.wav",
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

_FAV = "FakeAVCeleb"
FAKEAVCELEB = {
    f"{_FAV}/meta_data.csv": (
        "source,target1,target2,method,category,type,race,gender,path,\n"
        "id00076,-,-,real,A,RealVideo-RealAudio,African,men,00109.mp4,"
        "FakeAVCeleb/RealVideo-RealAudio/African/men/id00076\n"
        "id00076,id00166,-,faceswap,C,FakeVideo-RealAudio,African,men,00109_id00166.mp4,"
        "FakeAVCeleb/FakeVideo-RealAudio/African/men/id00076\n"
        "id00166,-,-,rtvc,B,RealVideo-FakeAudio,Asian (East),women,00010_fake.mp4,"
        "FakeAVCeleb/RealVideo-FakeAudio/Asian (East)/women/id00166\n"
        "id00076,id00166,id00029,fsgan-wav2lip,D,FakeVideo-FakeAudio,African,men,twice #1.mp4,"
        "FakeAVCeleb/FakeVideo-FakeAudio/African/men/id00076\n"
        "id00076,id00031,id00029,wav2lip,D,FakeVideo-FakeAudio,African,men,twice #1.mp4,"
        "FakeAVCeleb/FakeVideo-FakeAudio/African/men/id00076\n"
        "id00076,id00166,-,wav2lip,D,FakeVideo-FakeAudio,African,men,gone.mp4,"
        "FakeAVCeleb/FakeVideo-FakeAudio/African/men/id00076\n"
    ),
    **media(
        f"{_FAV}/RealVideo-RealAudio/African/men/id00076/00109.mp4",
        f"{_FAV}/FakeVideo-RealAudio/African/men/id00076/00109_id00166.mp4",
        f"{_FAV}/RealVideo-FakeAudio/Asian (East)/women/id00166/00010_fake.mp4",
        f"{_FAV}/FakeVideo-FakeAudio/African/men/id00076/twice #1.mp4",
        f"{_FAV}/FakeVideo-FakeAudio/African/men/id00076/unlisted.mp4",
        f"{_FAV}/FakeVideo-FakeAudios/African/men/id00076/near.mp4",
        f"{_FAV}/FakeVideo-FakeAudio/African/men/id00076/loose.wav",
    ),
}

DEEPFAKETIMIT = media(
    "DeepfakeTIMIT/higher_quality/fadg0/sa1-video-fram1.avi",
    "DeepfakeTIMIT/higher_quality/fadg0/sa1.wav",
    "DeepfakeTIMIT/higher_quality/fadg0/sa2-video-fram1.avi",
    "DeepfakeTIMIT/higher_quality/fadg0/sa2-video-fram1.wav",
    "DeepfakeTIMIT/lower_quality/fadg0/sa1-video-fram1.avi",
    "DeepfakeTIMIT/lower_quality/fadg0/sx9.wav",  # belongs to no film
    "DeepfakeTIMIT/medium_quality/fadg0/sa1-video-fram1.avi",
    "VidTIMIT/fadg0/audio/sa1.wav",
    "VidTIMIT/fadg0/video/sa1/001",
    "VidTIMIT/fadg0/video/sa1/002",
    "VidTIMIT/fadg0/audio/sa2.wav",  # has lost its pictures
    "VidTIMIT/fram1/audio/sx7.wav",
    "VidTIMIT/fram1/video/sx7.avi",
    "VidTIMIT/fram1/video/head/001",  # turning heads have no sound
)

IEMOCAP = {
    "IEMOCAP_full_release/Session1/dialog/EmoEvaluation/Ses01F_impro01.txt": (
        "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
        "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\n"
        "C-E2:\tNeutral;\t()\n"
        "C-E3:\tNeutral; Sadness;\t(caf\u00e9)\n"
        "C-E4:\tAnger;\t()\n"
        "C-F1:\tNeutral;\t()\n"
        "A-E3:\tval 3; act 2; dom  2;\t()\n\n"
        "[6.2901 - 8.2357]\tSes01F_impro01_M000\tang\t[1.5, 2.5, 2.5]\n"
        "C-E2:\tAnger;\t()\n\n"
        "[10.0000 - 11.0000]\tSes01F_impro01_M001\txxx\t[1.5, 2.5, 2.5]\n"
        "C-E2:\tAnger;\t()\nC-E3:\tSadness;\t()\n\n"
        "[20.0000 - 21.0000]\tSes01F_impro01_F009\thap\t[1.5, 2.5, 2.5]\n"
    ),
    "IEMOCAP_full_release/Session5/dialog/EmoEvaluation/Ses05M_script01_1.txt": (
        "[1.0000 - 3.5000]\tSes05M_script01_1_F000\texc\t[4.0, 3.5, 2.5]\n"
        "C-E1:\tExcited;\t()\nC-E2:\tExcited;\t()\n\n"
    ),
    "IEMOCAP_full_release/Session1/dialog/EmoEvaluation/._Ses01F_impro01.txt": "\0\1",
    "IEMOCAP_full_release/Session1/dialog/EmoEvaluation/Categorical/Ses01F_impro01_e2_cat.txt": (
        "Ses01F_impro01_F000 :Neutral; ()\n"
    ),
    **media(
        "IEMOCAP_full_release/Session1/dialog/avi/DivX/Ses01F_impro01.avi",
        "IEMOCAP_full_release/Session1/dialog/avi/DivX/._Ses01F_impro01.avi",
        "IEMOCAP_full_release/Session1/dialog/wav/Ses01F_impro01.wav",
        "IEMOCAP_full_release/Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav",
        "IEMOCAP_full_release/Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M000.wav",
        "IEMOCAP_full_release/Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F777.wav",
        "IEMOCAP_full_release/Session1/sentences/wav/Ses01F_impro01/._Ses01F_impro01_F000.wav",
        "IEMOCAP_full_release/Session5/sentences/wav/Ses05M_script01_1/Ses05M_script01_1_F000.wav",
    ),
}

VOXCELEB2 = media(
    "vox2/dev/mp4/id00012/21Uxsk56VDQ/00001.mp4",
    "vox2/dev/aac/id00012/21Uxsk56VDQ/00001.m4a",
    "vox2/dev/mp4/id00012/21Uxsk56VDQ/00002.mp4",
    "vox2/dev/aac/id00015/-0rYq3iq_eA/00009.m4a",
    "vox2/dev/mp4/12/21Uxsk56VDQ/00001.mp4",  # no speaker
)

LAVDF = {
    "LAV-DF/metadata.min.json": json.dumps(
        [
            {
                "file": "train/000001.mp4", "n_fakes": 1, "fake_periods": [[1.5, 2.25]],
                "duration": 5.0, "original": "train/000002.mp4", "modify_video": True,
                "modify_audio": False, "split": "train", "a_new_field": 1,
            },
            {
                "file": "train/000002.mp4", "n_fakes": 0, "fake_periods": [], "original": None,
                "modify_video": False, "modify_audio": False, "split": "train",
            },
            {"file": "dev/000003.mp4", "n_fakes": 2, "fake_periods": [[0, 1], [2, 3.5]],
             "modify_video": False, "modify_audio": True, "split": "dev"},
            {"file": "test/000004.mp4", "n_fakes": 0, "split": "test"},
            {"file": "test/000005.mp4", "n_fakes": 0, "split": "test"},
        ]
    ),
    **media(
        "LAV-DF/train/000001.mp4", "LAV-DF/train/000002.mp4", "LAV-DF/dev/000003.mp4",
        "LAV-DF/test/000004.mp4", "LAV-DF/test/000006.mp4",
    ),
}  # fmt: skip

_AV = "AV-Deepfake1M"
AVDEEPFAKE1M = {
    f"{_AV}/train_metadata.json": json.dumps(
        [
            {
                "file": "id00012/vid/00001/real.mp4", "original": None, "split": "train",
                "modify_type": "real", "audio_model": None, "fake_segments": [],
                "audio_fake_segments": [], "visual_fake_segments": [], "video_frames": 100,
            },
            {
                "file": "id00012/vid/00001/fake_video_fake_audio.mp4",
                "original": "id00012/vid/00001/real.mp4", "split": "train",
                "modify_type": "both-modified", "audio_model": "yourtts",
                "fake_segments": [[0.5, 1.0]],
            },
            {"file": "id00012/vid/00001/gone.mp4", "split": "train",
             "modify_type": "audio_modified", "fake_segments": [[0, 1]]},
        ]
    ),
    f"{_AV}/val_metadata/id00099/vid/00002/fake.json": json.dumps(
        {"file": "id00099/vid/00002/fake.mp4", "split": "val", "modify_type": "visual_modified",
         "fake_segments": [[2, 3]]}
    ),
    f"{_AV}/test_files.txt": "000001.mp4\n000009.mp4\n",
    **media(
        f"{_AV}/train/id00012/vid/00001/real.mp4",
        f"{_AV}/train/id00012/vid/00001/fake_video_fake_audio.mp4",
        f"{_AV}/train/id00012/vid/00001/unlisted.mp4",
        f"{_AV}/val/id00099/vid/00002/fake.mp4",
        f"{_AV}/test/000001.mp4",
    ),
}  # fmt: skip

TREES: dict[str, Tree] = {
    "avdeepfake1m": AVDEEPFAKE1M,
    "deepfaketimit": DEEPFAKETIMIT,
    "dfdc": DFDC,
    "faceforensics": FACEFORENSICS,
    "fakeavceleb": FAKEAVCELEB,
    "folder": FOLDER,
    "iemocap": IEMOCAP,
    "lavdf": LAVDF,
    "ravdess": RAVDESS,
    "table": TABLE,
    "voxceleb2": VOXCELEB2,
}
