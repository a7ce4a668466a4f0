"""Which clips a protocol takes at all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from avfd.clips import Clip
from avfd.manifest import Filters
from classify.protocols.draft import Draft, value_of

ANY_OTHER = "*"

SeveralFaces = Callable[[Sequence[str]], Collection[str]]
"""Of the clips with these keys, those in which more than one face is seen."""


def apply_filters(
    draft: Draft, filters: Filters, several_faces: SeveralFaces | None = None
) -> None:
    """Exclude what the filters do not take and map the emotions.

    Args:
        several_faces: asked for the clips that all other filters take; None: nobody counted, and
            a protocol that asks gets a note instead of a filter.
    """
    for key, clip in list(draft.clips.items()):
        if reason := _refusal(clip, filters):
            draft.drop(key, reason)
    if filters.one_face:
        _drop_crowds(draft, several_faces)
    _map_emotions(draft, filters.emotions)


def _refusal(clip: Clip, filters: Filters) -> str:
    """Why the filters leave the clip out; empty where they take it."""
    for column, accepted in filters.where.items():
        value = value_of(clip, column)
        if value not in accepted:
            return f"{column} is {value or 'not stated'}"
    if filters.min_agreement:
        agreement = _whole_number(clip.extra.get("agreement"))
        if agreement < filters.min_agreement:
            return f"fewer than {filters.min_agreement} evaluators agree"
    if clip_seconds(clip) < filters.min_seconds:
        return f"shorter than {filters.min_seconds:g} s"
    if filters.emotions and _mapped(clip.emotion, filters.emotions) is None:
        return f"emotion is {clip.emotion or 'not stated'}"
    return ""


def clip_seconds(clip: Clip) -> float:
    """Length of the clip: as scanned, else as its cut says, else 0."""
    if clip.seconds:
        return clip.seconds
    return 0.0 if clip.end_seconds is None else clip.end_seconds - clip.start_seconds


def _mapped(emotion: str | None, emotions: Mapping[str, str]) -> str | None:
    return None if emotion is None else emotions.get(emotion, emotions.get(ANY_OTHER))


def _map_emotions(draft: Draft, emotions: Mapping[str, str]) -> None:
    """Rename the labels where they are emotions."""
    for key, clip in draft.clips.items():
        mapped = _mapped(clip.emotion, emotions)
        if mapped is not None and draft.labels[key] == clip.emotion:
            draft.labels[key] = mapped


def _whole_number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


def _drop_crowds(draft: Draft, several_faces: SeveralFaces | None) -> None:
    if several_faces is None:
        draft.notes.append("The protocol's one-face filter was not applied: no face was counted.")
    else:
        draft.drop_all(several_faces(list(draft.clips)), "more than one face")
