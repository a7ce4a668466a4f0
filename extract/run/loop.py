"""`avfd extract`: what is pending in the clip table → the cache.

The parent plans, hands clips to isolated workers and alone writes. What is finished waits in
memory for a commit of some size; a kill loses no more than that.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from avfd import asks
from avfd.errors import InputError, Stopped
from avfd.home import Home
from extract.arenas import share_memory_between_threads
from extract.compiling import COMPILING_SECONDS
from extract.pipeline import ClipReport, build_clip_work
from extract.pool import Pool
from extract.run.batch import Batch
from extract.run.devices import check_device
from extract.run.parts import parsed
from extract.run.plan import Limits, Plan, make_plan, worker_count, worker_memory_bytes
from extract.run.report import ExtractReport, Tally, make_report
from extract.run.signals import Signals
from extract.run.stage import DeviceStage
from extract.spool import Spool
from extract.task import Task

log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]
DEFAULT_LIMITS = Limits()

ON_DISK = "before compression; commits rewrite chunks, `avfd cache gc` frees what they replaced"
"""What has to be known of an estimate: until then more than that may lie on the disk."""


def _silent(done: int, total: int, note: str) -> None:
    """Progress that nobody watches."""


def extract_columns(
    home: Home,
    dataset: str | None,
    backbones: Sequence[str],
    *,
    device: str = "auto",
    compiled: bool = False,
    workers: int | None = None,
    limit: int | None = None,
    retry_failed: bool = False,
    part: str | None = None,
    as_name: str | None = None,
    weights: Sequence[str] = (),
    progress: Progress = _silent,
    limits: Limits = DEFAULT_LIMITS,
) -> ExtractReport:
    """Fill columns for every clip that is pending in them, or go on where a run was stopped.

    Args:
        home: where the clip table, the cache and the weights are.
        dataset: name of the data set; None: the only one there is.
        backbones: names of the backbones, with options as in `avfd.asks`; all share one decode
            and one face pass a clip.
        device: "auto", "cpu", "cuda" (all GPUs) or "cuda:1"; signal processing runs on the CPU
            whatever it says, networks on GPUs where "auto" finds some.
        compiled: networks go through `torch.compile`, which takes minutes once and changes numbers
            by rounding only; a clip may take `COMPILING_SECONDS` longer.
        workers: processes; default: the cores.
        limit: take no more than that many clips this time.
        retry_failed: take clips that failed before, too.
        part: "K/N", the K-th of N shares of the clips, where several machines share the work.
        as_name: name of the column, for one backbone whose own name is taken by other settings.
        weights: model files in place of those that are found: "NAME=PATH", or the path alone
            where one network is asked for; the name of a run that trained it counts as a path.
        progress: called with clips done, clips to do and a few words.
        limits: time and memory that a clip may take, size of a commit. By default a clip that takes
            longer than 120 s, 30 s for each of its seconds and as much again for each network that
            runs in its worker fails; on a device the time counts for each job there.

    Raises:
        FingerprintError: a column was written with other settings or weights.
        MissingError: an unknown data set or backbone, or no weights.
        CacheError: clips of the table are not in the cache.
        StoreError: the disk is full or the store is lost; what was committed stays.
        Stopped: by SIGINT, SIGTERM or SIGHUP, after what was finished had been committed.
    """
    start = time.monotonic()
    share_memory_between_threads()
    columns = _columns(backbones, as_name)
    _check_counts(workers, limit)
    if part is not None:
        parsed(part)
    check_device(device)
    with Signals() as signals:
        plan = make_plan(
            home,
            home.one_dataset(dataset),
            columns,
            limit=limit,
            retry_failed=retry_failed,
            part=part,
            weights=weights,
            device=device,
            compiled=compiled,
        )
        if compiled:
            longer = limits.clip_seconds + COMPILING_SECONDS
            limits = replace(limits, clip_seconds=longer)
        spool = Spool(home.spool_dir, limits.spool_bytes)
        spool.clear()
        plan = replace(plan, setup=replace(plan.setup, spool=spool))
        batch = Batch(plan.cache, limits)
        tally = Tally({clip.key: lacking for clip, lacking in plan.todo})
        workers = worker_count(workers, len(plan.todo))
        with batch.kept(), _pool(plan, workers, limits) as pool:
            progress(0, len(plan.todo), f"about {plan.bytes_needed / 1e9:.4g} GB {ON_DISK}")
            for outcomes in pool.rounds(plan.tasks()):
                for outcome in outcomes:
                    batch.add(tally.count(outcome))
                    # A terminal that closed takes no more progress.
                    if outcome.item.columns and not signals.caught:
                        progress(tally.clips, len(plan.todo), outcome.item.clip.key)
                if signals.caught:
                    break
                if batch.due:
                    batch.commit()
    if signals.caught:
        raise Stopped(signals.caught, f"{batch.written} results of this run are kept")
    devices = pool.work if isinstance(pool, DeviceStage) else []
    return make_report(plan, tally, devices, batch.skipped, time.monotonic() - start)


def _pool(plan: Plan, workers: int, limits: Limits) -> Pool[Task, ClipReport] | DeviceStage:
    """Who does the work: workers alone, or readers and a process a device."""
    memory_bytes = limits.memory_bytes or worker_memory_bytes(workers)
    memory_bytes += plan.setup.model_bytes()
    if plan.setup.away():
        return DeviceStage(
            plan.setup,
            workers=workers,
            memory_limit_bytes=memory_bytes,
            limits=limits,
            split=column_by_column,
        )
    return Pool(
        partial(build_clip_work, plan.setup),
        workers=workers,
        time_limit=partial(limits.time_limit, networks=plan.setup.networks_here()),
        memory_limit_bytes=memory_bytes,
        split=column_by_column,
    )


def column_by_column(task: Task) -> list[Task]:
    """The task as one for each column, so that a crash costs the guilty column only."""
    return [replace(task, columns={c: b}) for c, b in task.columns.items()]


def _columns(backbones: Sequence[str], as_name: str | None) -> dict[str, str]:
    """Column → backbone with its options."""
    asked = list(dict.fromkeys(backbones))
    if not asked:
        raise InputError("no backbone is named", where="--backbone", next_step="name at least one")
    if as_name is not None and len(asked) > 1:
        raise InputError(
            "one name cannot serve several columns",
            where="--as",
            found=", ".join(asked),
            accepted="one --backbone",
        )
    if as_name is not None:
        return {as_name: asked[0]}
    columns: dict[str, str] = {}
    for text in asked:
        name = asks.parse(text).name
        if name in columns:
            raise InputError(
                "one backbone is asked for twice, with different options",
                where="--backbone",
                found=f"{columns[name]}, {text}",
                next_step="run them one after the other, the second with --as NAME",
            )
        columns[name] = text
    return columns


def _check_counts(workers: int | None, limit: int | None) -> None:
    for option, value in (("--workers", workers), ("--limit", limit)):
        if value is not None and value < 1:
            raise InputError("too few", where=option, found=value, accepted="1 or more")
