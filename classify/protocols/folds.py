"""Cross-validation by group: every clip is tested once, by a model that never met its group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from avfd.clips import Clip
from avfd.errors import InputError
from classify.protocols.draft import Draft, drawn_order
from classify.protocols.split import Split, Target, group_of

NO_VAL = "There is no validation side: no network stops early."
NO_TEST = (
    "There is no test clip here: the numbers are of the validation side, which may have chosen "
    "the model; index the test clips and run `avfd evaluate RUN --split test`, or `--dataset D` of "
    "other ones."
)


def folds(
    clips: Sequence[Clip], k: int, seed: int = 0, *, target: Target = "deepfake"
) -> list[Split]:
    """k splits; the i-th tests on the i-th part of the groups and trains on the others.

    Labels are spread as evenly as whole groups allow: the largest groups are dealt first, each to
    the part where its labels are rarest. The order of the clips does not matter.

    Args:
        k: number of folds, 2 or more, at most one a group.

    Raises:
        InputError: k is too small, or larger than the number of labelled groups.
    """
    draft = Draft.of(clips, target)
    groups = {key: group_of(clip) for key, clip in draft.clips.items()}
    count = len(set(groups.values()))
    if not 2 <= k <= count:
        raise InputError(
            "the number of folds does not fit the groups",
            where="--folds",
            found=f"{k} folds, {count} groups with labels",
            accepted=f"2 … {count}" if count > 1 else "two groups or more",
        )
    part = dealt(groups, draft.labels, k, seed)
    return [_fold(draft, groups, part, i, k, seed, target) for i in range(k)]


def dealt(
    groups: Mapping[str, str], labels: Mapping[str, str], k: int, seed: int
) -> dict[str, int]:
    """Group → part 0 … k - 1, parts alike in labels and none empty."""
    members: dict[str, Counter[str]] = {}
    for key, group in groups.items():
        members.setdefault(group, Counter())[labels[key]] += 1
    total = Counter(labels[key] for key in groups)
    order = drawn_order(seed, members)
    order.sort(key=lambda group: -members[group].total())  # a stable sort keeps the drawn order
    parts = [Counter[str]() for _ in range(k)]
    part: dict[str, int] = {}
    for group in order:
        part[group] = min(range(k), key=lambda i: _crowding(parts[i], members[group], total))
        parts[part[group]] += members[group]
    return part


def _crowding(there: Counter[str], coming: Counter[str], total: Counter[str]) -> tuple[float, int]:
    """How much of the coming group's labels a part already has; smaller first where equal."""
    share = sum(number * there[label] / total[label] for label, number in coming.items())
    return share, there.total()


def _fold(
    draft: Draft,
    groups: Mapping[str, str],
    part: Mapping[str, int],
    i: int,
    k: int,
    seed: int,
    target: Target,
) -> Split:
    train = tuple(key for key in draft.clips if part[groups[key]] != i)
    test = tuple(key for key in draft.clips if part[groups[key]] == i)
    lacking = sorted(set(draft.labels.values()) - {draft.labels[key] for key in test})
    return Split(
        protocol=f"fold {i + 1} of {k}",
        text=f"{k} folds by group, labels spread as evenly as whole groups allow.",
        target=target,
        seed=seed,
        train=train,
        val=(),
        test=test,
        labels=draft.labels,
        groups=groups,
        units={
            "train": tuple((key,) for key in train),
            "val": (),
            "test": tuple((key,) for key in test),
        },
        excluded=draft.excluded,
        leaky=False,
        leaking=(),
        notes=(NO_VAL, *(f"Its test has no {label} clip." for label in lacking)),
    )
