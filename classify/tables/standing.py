"""Whether any clip of a data set stands on a side of a job's protocol, by its clip table alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from avfd import manifest
from avfd.errors import AvfdError
from avfd.manifest import SIDES, Protocol, Side
from classify.protocols.crossing import WORDS
from classify.protocols.draft import Draft
from classify.protocols.filters import apply_filters
from classify.protocols.joint import parts_of
from classify.protocols.rules import apply_rule
from classify.sides import protocol_of
from classify.tables.jobs import Asked, Job
from classify.tables.stock import Stock

LISTED = 3  # reasons in a message
Placing = tuple[str, Protocol, tuple[Side, ...]]


def nowhere(stock: Stock, job: Job, asked: Asked) -> dict[str, str]:
    """Data set → in words, that none of its clips stands on a side, and why; the others not.

    Filters and rule of the protocol are asked; draws, and what only a cache knows, are not.
    """
    found = {}
    try:
        for name, protocol, sides in _placings(stock, job, asked):
            if reasons := _reasons(stock, job, name, protocol, sides):
                where = "a side" if sides == SIDES else f"the {sides[0]} side"
                said = ", ".join(_counted(*one) for one in reasons.most_common(LISTED))
                found[name] = f"no clip of it stands on {where} of {protocol.name}: {said}"
    except AvfdError:
        return found  # the fit says what is wrong with the protocol
    return found


def _placings(stock: Stock, job: Job, asked: Asked) -> Iterator[Placing]:
    """Indexed data set, its protocol, and the sides that count; folds place every clip."""
    setting, told, home = job.setting, job.options, stock.home
    trained = [name for name in setting.datasets if stock.indexed(name)]
    awaited = None if asked.folds else _awaited(stock, job)
    if trained and awaited:
        yield from ((name, awaited, SIDES) for name in trained)
    if told.folds or told.protocol in WORDS:
        return
    if trained and not awaited:
        pooled = protocol_of(home, trained, told.protocol)
        yield from ((name, pooled, SIDES) for name in trained)
    for name in filter(stock.indexed, setting.test_datasets):
        if told.protocol in manifest.load(home.read_facts(name).layout).protocols:
            yield name, protocol_of(home, [name], told.protocol), SIDES
    if setting.test_protocol and stock.indexed(setting.elsewhere):
        yield (
            setting.elsewhere,
            protocol_of(home, [setting.elsewhere], setting.test_protocol),
            ("test",),
        )


def _awaited(stock: Stock, job: Job) -> Protocol | None:
    """The table's protocol as the manifest of a data set has it that must still be indexed."""
    setting = job.setting
    lacking = [d for d in setting.datasets if not stock.indexed(d) and d not in setting.optional]
    for known in (manifest.load(d) for d in lacking if d in manifest.names()):
        if setting.protocol in known.protocols:
            return known.protocol(setting.protocol)
    return None


def _reasons(
    stock: Stock, job: Job, name: str, protocol: Protocol, sides: tuple[Side, ...]
) -> Counter[str]:
    """Why its clips stand on none of these sides → clips; empty where one does."""
    layouts = {name: stock.home.read_facts(name).layout}
    reasons: Counter[str] = Counter()
    for clips, own in parts_of(stock.clips(name), protocol, layouts):
        draft = Draft.of(clips, job.setting.target)
        apply_filters(draft, own.filters)
        apply_rule(draft, own, own.seed)
        if not set(sides).isdisjoint(draft.side.values()):
            return Counter()
        reasons.update(why.removesuffix(": on no side") for why in draft.excluded.values())
        reasons.update(f"on the {side} side" for side in draft.side.values())
    return reasons


def _counted(reason: str, clips: int) -> str:
    return f"{reason} ({clips} {'clip' if clips == 1 else 'clips'})"
