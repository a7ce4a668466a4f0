"""Of which clips single pictures are drawn: many faces, and real beside fake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from avfd.clips import LABELS
from classify.columns import Unit

Kind = tuple[str | None, str | None, str | None]


def clips_to_draw(units: Sequence[Unit], among: Sequence[int], count: int) -> list[int]:
    """`count` of the units `among`, real ones first; fewer where there are no more.

    A group gives a second unit only when each has given one. The kinds take turns: real and fake,
    and where the labels of the tracks are known, each combination of them. A kind takes a group
    that few others need: one that has both is left to the kind that has no other.
    """
    groups = {i: units[i].group for i in among}
    kinds = {i: _kind(units[i]) for i in among}
    needed = Counter(group for group, _ in {(groups[i], kinds[i]) for i in among})
    taken: list[int] = []
    while len(taken) < min(count, len(groups)):
        by_group = Counter(groups[i] for i in taken)
        by_kind = Counter(kinds[i] for i in taken)
        taken.append(
            min(
                groups.keys() - set(taken),
                key=lambda i: (
                    by_group[groups[i]],
                    kinds[i][0] is None,
                    by_kind[kinds[i]],
                    _order(kinds[i]),
                    needed[groups[i]],
                    i,
                ),
            )
        )
    return sorted(taken, key=lambda i: (_order(kinds[i]), i))


def _kind(unit: Unit) -> Kind:
    """What takes turns: label, label of the picture, label of the sound."""
    return unit.label, unit.video_label, unit.audio_label


def _order(kind: Kind) -> tuple[int, ...]:
    """Real, fake, then what is neither; of the whole, then of its tracks."""
    return tuple(LABELS.index(one) if one in LABELS else len(LABELS) for one in kind)
