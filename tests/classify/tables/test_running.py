"""Tables on small caches: what runs, what is taken as it is, what says why not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from avfd import runs
from avfd.clips import read_table, write_table
from avfd.errors import InputError, MissingError
from classify.tables import load, printing
from classify.tables.jobs import Asked, setting_for, sides_of
from classify.tables.making import make
from classify.tables.spec import Setting, parse
from classify.tables.stock import Stock, WeightsState, spelled_name

TABLE = """
title = "t"
paper = "A paper"
place = "Table 9"
wrong = ["Something is wrong."]
[settings.s]
datasets = ["d"]
[settings.unseen]
datasets = ["d"]
test = "e"
[stand_ins]
lost = "compare2016"
[[columns]]
head = "AUC"
metric = "auc"
setting = "s"
percent = true
[[columns]]
head = "accuracy"
metric = "balanced_accuracy"
setting = "s"
[[rows]]
id = "audio"
name = "Sound"
audio = "compare2016"
model = "logreg"
published = ["50.0", ""]
[[rows]]
id = "video"
name = "Picture"
video = "face_track"
model = "logreg"
published = ["60.0", "0.6"]
[[rows]]
id = "both"
name = "Both"
fuse = ["audio", "video"]
published = ["70.0", "0.7"]
[[rows]]
id = "lost"
name = "Without weights"
audio = "lost"
model = "logreg"
published = ["80.0", ""]
[[rows]]
id = "other"
name = "A competitor"
kind = "quoted"
published = ["90.0", "N/A"]
[[rows]]
id = "unbuilt"
name = "Not to be had"
kind = "unbuilt"
why = "its data are gone"
published = ["95.0", ""]
"""
ASKED = Asked(folds=2, replicates=20)


class Fake:
    """Stage 1 of tests: three-number columns, weights that tests name, columns of noise."""

    def __init__(self, kit, home, needs=None):
        self.kit, self.home, self.needs = kit, home, needs or {}
        self.filled = []

    def spec(self, ask):
        name = ask.partition(":")[0]
        modality = "video" if name in ("face_track", "faces") else "audio"
        options = {"asked": ask} if ":" in ask else {}
        return self.kit.spec(name, modality, options=options)

    def weights(self, ask):
        return [self.found(name) for name in self.needs.get(ask, ())]

    def found(self, name):
        return WeightsState(name, None, f"run `avfd weights add FILE --as {name}`")

    def extract(self, dataset, columns, weights):
        self.filled.append((dataset, dict(columns), dict(weights)))
        clips = read_table(self.home.clip_table(dataset))
        made = []
        for name, ask in columns.items():
            # A column under another name than its backbone's keeps the backbone's spec.
            assert name in (self.spec(ask).name, spelled_name(ask))
            made.append(self.kit.Column(self.spec(ask), self.kit.noise))
        self.kit.make_home(self.home.path, dataset, clips, made)


@pytest.fixture
def home(kit, tmp_path):
    columns = [
        kit.Column(kit.spec("compare2016"), kit.mean_signal),
        kit.Column(kit.spec("face_track", "video"), kit.mean_signal),
    ]
    return kit.make_home(tmp_path, "d", kit.make_clips("d", 8, 2), columns)


@pytest.fixture
def fake(kit, home):
    return Fake(kit, home, {"lost": ["lost-weights"]})


def cells(report):
    return {row.id: row.cells for row in report.rows}


def made(home, fake, asked=ASKED, text=TABLE):
    return make(home, parse(text, "t"), asked, fake)


def test_what_can_run_runs_and_the_rest_says_why_not(home, fake):
    report = made(home, fake)
    found = cells(report)
    assert found["audio"][0].ours.value > 0.9
    assert found["audio"][0].published_low == 0.5
    assert found["both"][1].ours.clips == found["both"][1].ours.covered == 16
    assert "lost-weights" in found["lost"][0].reason
    assert "avfd weights add" in found["lost"][0].reason
    assert found["other"][0].reason.startswith("a competitor")
    assert found["unbuilt"][0].reason == "its data are gone"
    for row in report.rows:
        for cell in row.cells:
            assert (cell.ours is not None) or cell.reason
    assert report.filled == 6  # the accuracy of Sound comes along with its AUC
    assert runs.names(home) == [
        "d-compare2016-logreg-001",
        "d-face_track-logreg-001",
        "d-fused-mean-001",
    ]


def test_a_second_time_finished_runs_are_taken(home, fake):
    first, second = made(home, fake), made(home, fake)
    assert len(runs.names(home)) == 3
    assert not cells(first)["both"][0].reused
    assert all(c.reused for row in second.rows for c in row.cells if c.ours)
    assert [c.ours for r in first.rows for c in r.cells] == [
        c.ours for r in second.rows for c in r.cells
    ]


def test_other_options_are_another_run(home, fake):
    made(home, fake)
    made(home, fake, replace(ASKED, seed=1))
    assert len(runs.names(home)) == 6


def test_other_labels_are_another_run(home, fake):
    made(home, fake)
    clips = read_table(home.clip_table("d"))
    turned = [replace(c, label="fake") if i == 0 else c for i, c in enumerate(clips)]
    write_table(turned, home.clip_table("d"))
    assert not any(c.reused for row in made(home, fake).rows for c in row.cells)


def test_a_column_of_no_concern_changes_nothing(kit, home, fake):
    made(home, fake)
    column = kit.Column(kit.spec("noise"), kit.noise)
    kit.make_home(home.path, "d", read_table(home.clip_table("d")), [column])
    assert all(c.reused for row in made(home, fake).rows for c in row.cells if c.ours)


def test_stand_ins_stand_in_where_they_are_asked_for_and_are_marked(home, fake):
    row = next(r for r in made(home, fake, replace(ASKED, stand_ins=True)).rows if r.id == "lost")
    assert row.cells[0].ours.value > 0.9
    assert row.notes[0].startswith("STAND-IN: compare2016 for lost")


def test_a_column_that_lacks_nothing_but_work_is_filled_once(kit, home):
    fake = Fake(kit, home)
    report = made(home, fake)
    assert fake.filled == [("d", {"lost": "lost"}, {})]
    assert cells(report)["lost"][0].ours is not None
    made(home, fake)
    assert len(fake.filled) == 1


def test_without_extracting_a_missing_column_says_what_to_run(kit, home):
    fake = Fake(kit, home)
    report = made(home, fake, replace(ASKED, extract=False))
    assert fake.filled == []
    assert "avfd extract --dataset d --backbone lost" in cells(report)["lost"][0].reason


def test_whose_clips_trained_a_column_is_said(kit, tmp_path):
    facts = {"training_keys": ["acted/a.wav", "acted/b.wav"]}
    columns = [
        kit.Column(kit.spec("compare2016"), kit.mean_signal, facts=facts),
        kit.Column(kit.spec("face_track", "video"), kit.mean_signal),
    ]
    home = kit.make_home(tmp_path, "d", kit.make_clips("d", 4, 2), columns)
    rows = {row.id: row for row in made(home, Fake(kit, home)).rows}
    assert rows["audio"].notes == ("the network of compare2016 learnt on acted",)
    assert rows["video"].notes == ()
    assert rows["both"].notes == rows["audio"].notes


def test_with_folds_a_row_cannot_begin_with_another_rows_model(home, fake):
    begins = """
[[rows]]
id = "begins"
name = "From the picture's"
video = "face_track"
model = "cnn3d:start={row:video}"
published = ["70.0", ""]
"""
    reason = cells(made(home, fake, text=TABLE + begins))["begins"][0].reason
    assert "every fold has one" in reason
    assert "--protocol hash" in reason


def test_needs_are_said_before_anything_runs(home, fake):
    seen = []

    def found(needs):
        assert runs.names(home) == []
        seen.extend((n.kind, n.name, n.state) for n in needs)

    make(home, parse(TABLE, "t"), ASKED, fake, needs_found=found)
    assert ("data set", "d", "here") in seen
    assert ("column", "face_track of d", "here") in seen
    assert ("weights", "lost-weights", "missing") in seen
    assert ("column", "lost of d", "missing") in seen


def test_weights_are_trained_by_the_row_that_the_table_names(kit, home):
    text = TABLE + '[trained.lost-weights]\ntable = "thesis-5.3"\nrow = "experiment-3b"\n'
    fake = Fake(kit, home, {"lost": ["lost-weights"]})
    assert "iemocap" in cells(made(home, fake, text=text))["lost"][0].reason
    kit.make_home(
        home.path,
        "acted",
        kit.make_clips("acted", 8, 3),
        [kit.Column(kit.spec("compare2016"), kit.mean_signal)],
    )
    asked = replace(ASKED, emotions="acted", preset="small", epochs=1)
    report = made(home, fake, asked, text)
    assert cells(report)["lost"][0].ours is not None
    ((dataset, columns, weights),) = fake.filled
    assert (dataset, columns) == ("d", {"lost": "lost"})
    trained = runs.load(home, weights["lost-weights"])
    assert (trained.facts["target"], trained.facts["datasets"]) == ("emotion", ["acted"])


ACROSS = TABLE.replace('setting = "s"\npercent = true', 'setting = "unseen"\npercent = true')


def test_an_unseen_data_set_is_scored_by_the_run_of_the_seen_one(kit, home, fake):
    columns = [
        kit.Column(kit.spec("compare2016"), kit.mean_signal),
        kit.Column(kit.spec("face_track", "video"), kit.mean_signal),
    ]
    assert (
        "e: the data set is not indexed" in cells(made(home, fake, text=ACROSS))["audio"][0].reason
    )
    kit.make_home(home.path, "e", kit.make_clips("e", 5, 2), columns)
    found = cells(made(home, fake, text=ACROSS))
    assert found["video"][0].ours.clips == 10
    assert found["video"][1].ours.clips == 16
    assert found["video"][0].run == found["video"][1].run


def test_on_other_data_what_crosses_wants_a_data_set_to_test():
    setting = Setting("x", ("dfdc",), test="fakeavceleb", test_protocol="astrid")
    table = parse(TABLE, "t")
    with pytest.raises(MissingError, match="--test-dataset"):
        setting_for(None, table, setting, Asked(datasets=("d",)))
    other = setting_for(None, table, setting, Asked(datasets=("d",), test_datasets=("e",)))
    assert (other.datasets, other.test, other.test_protocol) == (("d",), "e", "")


def test_other_data_are_split_by_what_they_know(kit, tmp_path):
    home = kit.make_home(tmp_path, "few", kit.make_clips("few", 3, 2), [])
    kit.make_home(tmp_path, "many", kit.make_clips("many", 100, 1), [])
    setting, stock = Setting("x", ("few",), protocol="thesis"), Stock(home, Fake(kit, home))
    assert sides_of(stock, setting, Asked()) == {"folds": 3}
    assert sides_of(stock, replace(setting, datasets=("many",)), Asked()) == {"protocol": "hash"}
    assert sides_of(stock, setting, Asked(folds=7)) == {"folds": 7}
    asked = Asked(datasets=("few",), protocol="mine")
    assert sides_of(stock, setting_for(stock, parse(TABLE, "t"), setting, asked), asked) == {
        "protocol": "mine"
    }


LEFT_OUT = """
title = "t"
paper = "A paper"
place = "Table 3"
[settings.first]
datasets = ["d"]
leave_out = ["Deepfakes", "griffin-lim"]
[settings.second]
datasets = ["d"]
leave_out = ["FaceSwap", "wavernn"]
[settings.third]
datasets = ["d"]
leave_out = ["Face2Face", "world"]
[[columns]]
head = "AUC 1"
metric = "auc"
setting = "first"
[[columns]]
head = "AUC 2"
metric = "auc"
setting = "second"
[[columns]]
head = "AUC 3"
metric = "auc"
setting = "third"
[[rows]]
id = "audio"
name = "Sound"
audio = "compare2016"
model = "logreg"
published = ["0.5", "0.5", "0.5"]
"""


def by_methods(kit, path, *methods):
    """A home whose fakes were made in these ways by turns."""
    clips = kit.make_clips("d", 8, 4)
    fakes = [c for c in clips if c.label == "fake"]
    turns = {c.key: methods[i % len(methods)] for i, c in enumerate(fakes)}
    named = [replace(c, method=turns.get(c.key)) for c in clips]
    return kit.make_home(path, "d", named, [kit.Column(kit.spec("compare2016"), kit.mean_signal)])


def test_other_data_leave_their_own_manipulations_out_in_order(kit, tmp_path):
    home = by_methods(kit, tmp_path, "vocoder", "blend")
    asked = replace(ASKED, datasets=("d",))
    (row,) = made(home, Fake(kit, home), asked, LEFT_OUT).rows
    first, second, third = row.cells
    options = [runs.load(home, cell.run).facts["options"] for cell in (first, second)]
    assert [told["leave_out"] for told in options] == [["blend"], ["vocoder"]]
    assert row.notes == (
        "STAND-IN: blend is left out for Deepfakes and griffin-lim, which made no fake here",
        "STAND-IN: vocoder is left out for FaceSwap and wavernn, which made no fake here",
    )
    assert third.ours is None
    assert "no manipulation is left to leave out for Face2Face and world" in third.reason
    assert "found: blend, vocoder" in third.reason


def test_manipulations_that_are_there_are_left_out_as_the_paper_has_it(kit, tmp_path):
    home = by_methods(kit, tmp_path, "griffin-lim", "blend", "mix")
    (row,) = made(home, Fake(kit, home), replace(ASKED, datasets=("d",)), LEFT_OUT).rows
    options = [runs.load(home, cell.run).facts["options"] for cell in row.cells if cell.run]
    assert [told["leave_out"] for told in options] == [["griffin-lim"], ["blend"], ["mix"]]
    assert row.notes[0] == "griffin-lim alone is left out: no fake here by Deepfakes"


def test_the_papers_own_data_never_leave_others_out(kit, tmp_path):
    home = by_methods(kit, tmp_path, "vocoder", "blend")
    (row,) = made(home, Fake(kit, home), ASKED, LEFT_OUT).rows
    assert all("no fake was made that way" in cell.reason for cell in row.cells)


def test_columns_are_told_by_what_made_them(kit, home):
    stock = Stock(home, Fake(kit, home))
    assert stock.column(["d"], "compare2016") == "compare2016"
    assert stock.column(["d"], "compare2016:rate_hz=5") is None
    assert stock.name_for(["d"], "compare2016:rate_hz=5") == "compare2016-5"
    assert stock.name_for(["d"], "mel") == "mel"


def told(capsys, *call):
    """What a command prints: on stdout, on stderr."""
    from avfd.cli import app

    app(["table", *call], standalone_mode=False)
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_footnotes_and_caveats_stand_with_the_table_on_stdout(home, fake, monkeypatch, capsys):
    import avfd.cli.tables

    monkeypatch.setattr(avfd.cli.tables, "ByExtract", lambda *_: fake)
    monkeypatch.setattr(avfd.cli.tables, "_named", lambda _: [parse(TABLE, "t")])
    call = ("t", "--dataset", "d", "--folds", "2", "--home", str(home.path))
    out, err = told(capsys, *call)
    assert "of the paper: Something is wrong." in out
    assert "here: the published numbers are of other data" in out
    assert "[1] " in out
    assert "Something is wrong" not in err
    assert "t needs:" in err
    out, err = told(capsys, *call, "--plan")
    assert out.startswith("t needs:\n")
    assert "missing      weights lost-weights: run `avfd weights add" in out
    assert err == ""


def test_a_plan_as_json_is_a_list_however_many_tables(home, fake, monkeypatch, capsys):
    import avfd.cli.tables

    monkeypatch.setattr(avfd.cli.tables, "ByExtract", lambda *_: fake)
    for tables in (["t"], ["t", "u"]):
        made = [parse(TABLE, name) for name in tables]
        monkeypatch.setattr(avfd.cli.tables, "_named", lambda _, made=made: made)
        out, _ = told(capsys, *tables, "--plan", "--json", "--home", str(home.path))
        plans = json.loads(out)
        assert [one["table"] for one in plans] == tables
        for need in (need for one in plans for need in one["needs"]):
            assert set(need) == {"kind", "name", "state", "detail", "optional"}


@pytest.mark.parametrize("other", ["--plan", "--json"])
def test_a_format_that_would_be_ignored_is_refused(tmp_path, capsys, other):
    with pytest.raises(InputError, match=f"{other}, --format: .*found: --format csv"):
        told(capsys, "thesis-5.5", other, "--format", "csv", "--home", str(tmp_path))


def test_what_is_printed_has_numbers_reasons_and_marks(home, fake):
    report = made(home, fake)
    text = printing.markdown(report)
    assert "| A competitor (quoted) | 90.0 | N/A | – |" in text
    assert "| Not to be had (not built) | 95.0 \\| [" in text
    assert "its data are gone" in text
    assert "Something is wrong." in text
    lines = printing.as_csv(report).splitlines()
    assert lines[0].startswith("table,row,name,kind,column,published,value")
    assert len(lines) == 1 + 10  # cells that the paper has, and the one that comes along
    assert json.loads(json.dumps(report.to_json()))["filled"] == 6


def test_the_command_says_every_row_in_json_and_refuses_an_empty_grid(kit, tmp_path, capsys):
    from avfd.cli import app
    from extract.backbones import build, load_all

    load_all()

    def fill(clip, rows, rng):
        return kit.Content(rng.normal(size=(rows, 100, 130)))

    column = kit.Column(build("compare2016").spec, fill, "1" * 64)
    kit.make_home(tmp_path, "tiny", kit.make_clips("tiny", 4, 2), [column])
    call = ["table", "thesis-5.5", "--dataset", "tiny", "--home", str(tmp_path), "--no-extract"]
    call += ["--folds", "2", "--preset", "small", "--epochs", "1", "--json"]
    assert app([*call, "--stand-ins"], standalone_mode=False) is None
    told = json.loads(capsys.readouterr().out)
    table = load("thesis-5.5")
    assert [row["id"] for row in told["rows"]] == [row.id for row in table.rows]
    for row, known in zip(told["rows"], table.rows, strict=True):
        assert [cell["published"] for cell in row["cells"]] == list(known.published)
        assert all(cell["ours"] or cell["reason"] for cell in row["cells"])
    by_id = {row["id"]: row for row in told["rows"]}
    assert by_id["lightgbm-audio"]["cells"][0]["ours"]["clips"] == 8
    assert "STAND-IN" in by_id["lightgbm-audio"]["notes"][0]
    assert "not cached" in by_id["cnn3d"]["cells"][0]["reason"]
    assert app(call, standalone_mode=False) == 2
    captured = capsys.readouterr()
    assert json.loads(captured.out)["filled"] == 0
    assert "the grid is empty" in captured.err
    assert Path(tmp_path / "runs").is_dir()
