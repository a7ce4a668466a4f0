"""What a run calls its columns: `audio`, `video`, and a modality's further ones by name too.

The first column of a modality bears the modality's name alone, a further one `audio_emotion2vec`.
Features, coverage, members of a decision fusion and tables of scores are filed under these keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

MODALITIES = ("audio", "video")


def keyed(columns: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Key → column, from the modality and the name of each.

    >>> keyed([("audio", "mel"), ("audio", "eat"), ("video", "faces")])
    {'audio': 'mel', 'audio_eat': 'eat', 'video': 'faces'}
    """
    out: dict[str, str] = {}
    for modality, name in columns:
        out[f"{modality}_{name}" if modality in out else modality] = name
    return out


def modality_of(key: str) -> str:
    """The modality of the column under a key.

    >>> modality_of("audio_eat"), modality_of("video")
    ('audio', 'video')
    """
    return key.partition("_")[0]


def apart(keys: Iterable[str]) -> dict[str, str]:
    """Key where these columns are alone → key in the whole.

    >>> apart(["audio_eat", "video"])
    {'audio': 'audio_eat', 'video': 'video'}
    """
    out: dict[str, str] = {}
    for key in keys:
        modality = modality_of(key)
        out[key if modality in out else modality] = key
    return out


def titles(columns: Mapping[str, str]) -> dict[str, str]:
    """Key → what people read: the modality, or the column where the modality has several.

    >>> titles({"audio": "mel", "audio_eat": "eat", "video": "faces"})
    {'audio': 'mel', 'audio_eat': 'eat', 'video': 'video'}
    """
    count = Counter(map(modality_of, columns))
    return {key: key if count[modality_of(key)] == 1 else name for key, name in columns.items()}
