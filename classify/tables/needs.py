"""What a table needs before it can run, and what of it is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from avfd.errors import AvfdError
from classify.tables.jobs import Asked, Job, trainer_of
from classify.tables.spec import Setting
from classify.tables.standing import nowhere
from classify.tables.stock import Stock, WeightsState

State = Literal["here", "can be made", "missing"]


@dataclass(frozen=True)
class Need:
    """One thing that rows need.

    Attributes:
        kind: "data set", "column", "weights", or "setting" of the table, where the data sets do not
            allow it.
        name: what it is; of a column "BACKBONE of DATA SET".
        state: "can be made": by this command, from what is here.
        detail: what was found, or the next step where it is missing.
        optional: training can do without.
    """

    kind: str
    name: str
    state: State
    detail: str = ""
    optional: bool = False


def needs_of(stock: Stock, jobs: Iterable[Job], asked: Asked) -> list[Need]:
    """Every need of the jobs, each once, those of what must be trained first included."""
    survey = Survey(stock, asked)
    for job in jobs:
        survey.look(job)
    return list(survey.found.values())


class Survey:
    """Goes through jobs and remembers what they need."""

    def __init__(self, stock: Stock, asked: Asked) -> None:
        self.stock, self.asked = stock, asked
        self.found: dict[tuple[str, str], Need] = {}
        self._seen: set[tuple[str, str, str]] = set()
        self._off: dict[tuple[Setting, str | None, int | None], dict[str, str]] = {}

    def look(self, job: Job) -> bool:
        """Note what the job needs; whether it can run as far as that can be told now."""
        for other in (*job.fuses, *job.starts.values()):
            self.look(other)
        setting = job.setting
        sets = dict.fromkeys((*setting.datasets, *setting.test_datasets, setting.elsewhere))
        off = self._off_sides(job)
        here = {d: self._dataset(d, d in setting.optional, off.get(d)) for d in sets if d}
        without = [d for d, there in here.items() if not there or d in off]
        lacking = [d for d in without if d not in setting.optional]
        columns = [
            self._column(job, d, ask) or not there
            for ask in job.row.asks.values()
            for d, there in here.items()
        ]
        weights = [self._weights(job, self.stock.stage1.found(n)) for n in job.placeholders]
        return not lacking and any(here.values()) and all(columns) and all(weights)

    def _off_sides(self, job: Job) -> dict[str, str]:
        """Data set → why no clip of it stands on a side of the job's protocol."""
        key = (job.setting, job.options.protocol, job.options.folds)
        if key not in self._off:
            self._off[key] = nowhere(self.stock, job, self.asked)
        return self._off[key]

    def _dataset(self, name: str, optional: bool, off: str | None) -> bool:
        """Note the data set, and what keeps all its clips out; whether it is indexed."""
        here = self.stock.indexed(name)
        detail = "indexed" if here else f"avfd index {name} --root DIR"
        self._note(Need("data set", name, "here" if here else "missing", detail, optional))
        known = self.found["data set", name]
        if off and off not in known.detail:
            joint = "; " if known.state == "missing" else ", but "
            detail = f"{known.detail}{joint}{off}"
            self.found["data set", name] = replace(known, state="missing", detail=detail)
        return here

    def _column(self, job: Job, dataset: str, ask: str) -> bool:
        """Note the column of a data set, indexed or not; whether it is here or can be made."""
        name, there = f"{ask} of {dataset}", self.stock.indexed(dataset)
        optional = dataset in job.setting.optional
        try:
            cached = self.stock.column([dataset], ask) if there else None
            states = self.stock.stage1.weights(ask)
        except AvfdError as error:
            self._note(Need("column", name, "missing", str(error), optional))
            return False
        if cached:
            pending = self.stock.pending(dataset, cached)
            detail = f"column {cached}" + (f", {pending} clips pending" if pending else "")
            self._note(Need("column", name, "here", detail, optional))
            return True
        found = [self._weights(job, state) for state in states]
        able = all(found) and self.asked.extract
        other = job.table.stand_ins.get(ask)
        lacking = [state for state in states if state.path is None]
        if lacking:
            detail = self._untrained(job, lacking, able, other)
        else:
            detail = f"avfd extract --dataset {dataset} --backbone {ask}"
        if not there:
            detail = f"first index {dataset}; {detail}"
        if other and not able and self.asked.stand_ins:
            detail += f"; {other} stands in"
            self._column(job, dataset, other)
        made = able and there
        self._note(Need("column", name, "can be made" if made else "missing", detail, optional))
        return made

    def _untrained(
        self, job: Job, lacking: Sequence[WeightsState], able: bool, other: str | None
    ) -> str:
        """What comes before a column that lacks weights, and what helps where that cannot be."""
        trained = [state.name for state in lacking if state.name in job.table.trained]
        got = [state.name for state in lacking if state.name not in job.table.trained]
        steps = [f"first get the weights {', '.join(got)}"] if got else []
        for name in trained:
            by = job.table.trained[name]
            steps.append(f"{name} is trained first, by table {by.table}, row {by.row}")
        helps = []
        if trained and not able:
            if not self.asked.extract:
                helps.append("leave --no-extract out")
            elif not self.asked.emotions:
                helps.append("train it on clips that are here with --emotions NAME")
        if other and not able and not self.asked.stand_ins:
            helps.append(f"let {other} stand in with --stand-ins")
        return "; ".join([*steps, *([" or ".join(helps)] if helps else [])])

    def _weights(self, job: Job, state: WeightsState) -> bool:
        if state.path is not None:
            self._note(Need("weights", state.name, "here", str(state.path)))
            return True
        trainer = trainer_of(self.stock, job.table, state.name, self.asked)
        if trainer is None:
            self._note(Need("weights", state.name, "missing", state.next_step))
            return False
        key = (trainer.table.name, trainer.row.id, trainer.setting.name)
        if key in self._seen:
            return self.found["weights", state.name].state != "missing"
        self._seen.add(key)
        can = self.look(trainer)
        trained = f"trained by table {trainer.table.name}, row {trainer.row.id}"
        self._note(Need("weights", state.name, "can be made" if can else "missing", trained))
        return can

    def _note(self, need: Need) -> None:
        """Keep it; a need that some row cannot do without is not optional."""
        key = (need.kind, need.name)
        known = self.found.get(key)
        if known is None:
            self.found[key] = need
        elif known.optional and not need.optional:
            self.found[key] = replace(known, optional=False)
