"""What a user would write: one loop over the files, one reference library after the other.

    python benchmarks/reference_loop.py --face-model FILE [--steps STEP,…] FILE…

`benchmarks.columns` measures avfd against this script; nothing here imports avfd. It is meant to be
as good as such a script gets without becoming a program: models are loaded once and stay loaded,
each file's sound is decoded once and resampled once for each rate, its pictures are decoded once,
faces are looked for in those frames only that a network is to see, all the seconds of a clip go
through the x-vector network at once. Libraries run with their default threads. Networks have the
published sizes and random weights: how fast they are does not depend on the numbers.

Prints one JSON document: wall and CPU seconds of each step over all files, decoding and storing
included, loading not.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np

FACES_HZ, FACE_PX = 10, 224
MARLIN_HZ, MARLIN_FRAMES = 32, 16
EMOTION2VEC_SECONDS = 30
MFCC_HZ, IAT_HZ, SPEECH_HZ = 44_100, 22_050, 16_000


class Clip:
    """One file; what several steps need is made once, when the first of them asks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._resampled: dict[int, np.ndarray] = {}

    @cached_property
    def sound(self) -> tuple[np.ndarray, int]:
        """Mono samples at the file's own rate."""
        with av.open(str(self.path)) as container:
            if not container.streams.audio:
                return np.zeros(0, np.float32), 1
            to_float = av.AudioResampler(format="fltp")
            frames = [f for raw in container.decode(audio=0) for f in to_float.resample(raw)]
            samples = [frame.to_ndarray().mean(axis=0) for frame in frames]
            return np.concatenate(samples).astype(np.float32), frames[0].sample_rate

    def at(self, rate_hz: int) -> np.ndarray:
        """The sound at a rate."""
        import librosa

        if rate_hz not in self._resampled:
            sound, own = self.sound
            self._resampled[rate_hz] = librosa.resample(
                sound, orig_sr=own, target_sr=rate_hz, res_type="soxr_hq"
            )
        return self._resampled[rate_hz]

    def pictures(self, rate_hz: int) -> list[np.ndarray]:
        """RGB pictures at a rate: for each moment the one that is on screen."""
        wanted, shown = [], -1
        with av.open(str(self.path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                last = math.floor(float(frame.time or 0.0) * rate_hz)
                if last > shown:
                    wanted += [frame.to_ndarray(format="rgb24")] * (last - shown)
                    shown = last
        return wanted


Step = Callable[[Clip], list[Any]]


def make_smile() -> Step:
    """ComParE 2016's descriptors, their deltas and functionals; the IS10 set's descriptors."""
    import opensmile

    levels = opensmile.FeatureLevel
    asked = levels.LowLevelDescriptors, levels.LowLevelDescriptors_Deltas, levels.Functionals
    smiles = [opensmile.Smile(opensmile.FeatureSet.ComParE_2016, level) for level in asked]
    configs = Path(opensmile.__file__).parent / "core" / "config"
    smiles.append(opensmile.Smile(str(configs / "is09-13" / "IS10_paraling_compat.conf"), "lld"))
    return lambda clip: [smile.process_signal(clip.at(SPEECH_HZ), SPEECH_HZ) for smile in smiles]


def make_librosa() -> Step:
    """Mel bands, loudness, and both kinds of MFCC."""
    import librosa

    def step(clip: Clip) -> list[Any]:
        speech, music, iat = clip.at(SPEECH_HZ), clip.at(MFCC_HZ), clip.at(IAT_HZ)
        power = librosa.feature.melspectrogram(
            y=speech, sr=SPEECH_HZ, n_fft=512, win_length=400, hop_length=160, n_mels=64
        )
        seconds = music[: len(music) // MFCC_HZ * MFCC_HZ].reshape(-1, MFCC_HZ)
        return [
            librosa.power_to_db(power),
            librosa.feature.rms(y=speech, frame_length=1600, hop_length=1600),
            speech,
            [librosa.feature.mfcc(y=second, sr=MFCC_HZ, n_mfcc=10) for second in seconds],
            librosa.feature.mfcc(y=iat, sr=IAT_HZ, n_mfcc=10),
        ]

    return step


class Faces:
    """MediaPipe's detector, and square crops around its largest face."""

    def __init__(self, model: Path) -> None:
        from mediapipe.tasks.python import BaseOptions
        from mediapipe.tasks.python.vision import FaceDetector, FaceDetectorOptions

        options = FaceDetectorOptions(BaseOptions(model_asset_path=str(model)))
        self._detector = FaceDetector.create_from_options(options)

    def crops(self, clip: Clip, rate_hz: int) -> np.ndarray:
        """uint8 [n, 224, 224, 3]; where no face is found, the last one's place serves."""
        from mediapipe import Image, ImageFormat
        from PIL import Image as Pillow

        crops, box, before = [], None, None
        for picture in clip.pictures(rate_hz):
            if picture is before:  # the same picture is still on screen
                crops.append(crops[-1])
                continue
            before = picture
            found = self._detector.detect(Image(image_format=ImageFormat.SRGB, data=picture))
            if found.detections:
                box = found.detections[0].bounding_box
            square = (0, 0, picture.shape[1], picture.shape[0])
            if box is not None:
                half = 0.65 * max(box.width, box.height)
                x, y = box.origin_x + box.width / 2, box.origin_y + box.height / 2
                square = tuple(round(v) for v in (x - half, y - half, x + half, y + half))
            face = Pillow.fromarray(picture).crop(square).resize((FACE_PX, FACE_PX))
            crops.append(np.asarray(face))
        return np.stack(crops)


def make_faces(model: Path) -> Step:
    """Crops, ten a second."""
    faces = Faces(model)
    return lambda clip: [faces.crops(clip, FACES_HZ)]


def make_emotion2vec() -> Step:
    """emotion2vec base by funasr, blocks of 30 s."""
    import torch
    from funasr.models.emotion2vec.model import Emotion2vec

    model = Emotion2vec(model_conf=EMOTION2VEC_BASE, vocab_size=-1).eval()

    @torch.inference_mode()
    def step(clip: Clip) -> list[Any]:
        block = EMOTION2VEC_SECONDS * SPEECH_HZ
        sound = torch.from_numpy(clip.at(SPEECH_HZ))
        parts = [part for part in sound.split(block) if len(part) >= 400]
        normal = [torch.nn.functional.layer_norm(part, part.shape) for part in parts]
        return [model.extract_features(part[None], padding_mask=None)["x"] for part in normal]

    return step


def make_xvector() -> Step:
    """SpeechBrain's x-vectors of the clip's seconds."""
    import torch
    from speechbrain.lobes.features import Fbank
    from speechbrain.lobes.models.Xvector import Xvector
    from speechbrain.processing.features import InputNormalization

    fbank = Fbank(n_mels=24)
    normalise = InputNormalization(norm_type="sentence", std_norm=False)
    network = Xvector(in_channels=24).eval()

    @torch.inference_mode()
    def step(clip: Clip) -> list[Any]:
        sound = torch.from_numpy(clip.at(SPEECH_HZ))
        seconds = sound[: len(sound) // SPEECH_HZ * SPEECH_HZ].reshape(-1, SPEECH_HZ)
        if not len(seconds):
            return []
        lengths = torch.ones(len(seconds))
        return [network(normalise(fbank(seconds), lengths), lengths)]

    return step


def make_marlin(model: Path) -> Step:
    """VideoMAE of MARLIN small's size by transformers: 16 of the 32 frames of each second."""
    import torch
    from transformers import VideoMAEConfig, VideoMAEModel

    faces = Faces(model)
    small = {"hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536}
    network = VideoMAEModel(VideoMAEConfig(**small, use_mean_pooling=False)).eval()

    @torch.inference_mode()
    def step(clip: Clip) -> list[Any]:
        crops = faces.crops(clip, MARLIN_HZ // 2)
        crops = crops[: len(crops) // MARLIN_FRAMES * MARLIN_FRAMES]
        windows = torch.from_numpy(crops).reshape(-1, MARLIN_FRAMES, FACE_PX, FACE_PX, 3)
        pictures = windows.permute(0, 1, 4, 2, 3).float() / 255
        return [network(picture[None]).last_hidden_state.mean(1) for picture in pictures]

    return step


EMOTION2VEC_BASE: dict[str, Any] = {
    "depth": 8,
    "embed_dim": 768,
    "num_heads": 12,
    "mlp_ratio": 4,
    "norm_eps": 1e-5,
    "norm_affine": True,
    "encoder_dropout": 0.1,
    "post_mlp_drop": 0.1,
    "attention_dropout": 0.1,
    "activation_dropout": 0.0,
    "dropout_input": 0.0,
    "layerdrop": 0.05,
    "start_drop_path_rate": 0,
    "end_drop_path_rate": 0,
    "layer_norm_first": False,
    "average_top_k_layers": 8,
    "end_of_block_targets": False,
    "clone_batch": 8,
    "loss_beta": 0,
    "loss_scale": None,
    "normalize": True,
    "modalities": {
        "audio": {
            "type": "AUDIO",
            "prenet_depth": 4,
            "prenet_layerdrop": 0.05,
            "prenet_dropout": 0.1,
            "start_drop_path_rate": 0,
            "end_drop_path_rate": 0,
            "num_extra_tokens": 10,
            "init_extra_token_zero": True,
            "mask_noise_std": 0.01,
            "local_grad_mult": 1.0,
            "use_alibi_encoder": True,
            "alibi_scale": 1.0,
            "learned_alibi": False,
            "learned_alibi_scale": True,
            "learned_alibi_scale_per_head": True,
            "learned_alibi_scale_per_layer": False,
            "num_alibi_heads": 12,
            "model_depth": 8,
            "decoder": None,
            "extractor_mode": "layer_norm",
            "feature_encoder_spec": "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512, 2, 2)] * 2",
            "conv_pos_width": 95,
            "conv_pos_groups": 16,
            "conv_pos_depth": 5,
            "conv_pos_pre_ln": False,
        }
    },
}

SOUND_STEPS = ("smile", "librosa", "emotion2vec", "xvector")
STEPS: dict[str, Callable[[Path], Step]] = {
    "smile": lambda model: make_smile(),
    "librosa": lambda model: make_librosa(),
    "faces": make_faces,
    "emotion2vec": lambda model: make_emotion2vec(),
    "xvector": lambda model: make_xvector(),
    "marlin": make_marlin,
}


class Seconds:
    """Wall and CPU time by name."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = defaultdict(float)
        self.cpu: dict[str, float] = defaultdict(float)

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall[name] += time.perf_counter() - wall
        self.cpu[name] += time.process_time() - cpu


def loop(paths: list[Path], steps: dict[str, Step], results: Path) -> Seconds:
    """All steps over all files, what they give stored; decoding the sound counts apart."""
    seconds = Seconds()
    for path in paths:
        clip = Clip(path)
        with seconds.on("sound"):
            heard = any(name in SOUND_STEPS for name in steps) and len(clip.sound[0]) > 0
        for name, step in steps.items():
            if heard or name not in SOUND_STEPS:
                with seconds.on(name):
                    np.savez(results / f"{path.stem}-{name}", *map(np.asarray, step(clip)))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--face-model", type=Path, required=True)
    parser.add_argument("--steps", default=",".join(STEPS))
    parser.add_argument("files", type=Path, nargs="+")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    steps = {name: STEPS[name](options.face_model) for name in options.steps.split(",")}
    with TemporaryDirectory() as folder:
        loop(options.files[:1], steps, Path(folder))  # what the first use loads is loading, too
        seconds = loop(options.files, steps, Path(folder))
    print(json.dumps({"wall_seconds": seconds.wall, "cpu_seconds": seconds.cpu}), flush=True)
    os._exit(0)  # MediaPipe's own clean-up is noisy


if __name__ == "__main__":
    main()
