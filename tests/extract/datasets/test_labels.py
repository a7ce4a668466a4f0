"""Label files: every malformed one is refused by name, a row by its line too."""

from __future__ import annotations

import pytest

from avfd.errors import InputError
from extract.datasets.labels import read_json, read_rows, stretches


@pytest.fixture
def file(tmp_path):
    """`file(content)`: a file of that content."""

    def write(content: str | bytes):
        path = tmp_path / "t.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_rows_by_column_name_and_where_they_stand(file):
    path = file('\ufeffpath;label;note\na.mp4;real;"x;\ny"\n\nb.mp4;;\n')
    header, rows = read_rows(path, delimiters=",;")
    assert header == ["path", "label", "note"]
    assert rows == [
        (f"{path}:3", {"path": "a.mp4", "label": "real", "note": "x;\ny"}),
        (f"{path}:5", {"path": "b.mp4", "label": "", "note": ""}),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na,real\nb\n", r"t\.csv:3: the row is not as wide.*1 cells.*path, label"),
        ("path,label\na,real,x\n", r"t\.csv:2: the row is not as wide.*3 cells.*2 cells"),
        ("path,label,label\na,real,fake\n", r"t\.csv:1: two columns have one name; found: label"),
        ('path,label\na,real\nb,"fake\nc,real\n', r"t\.csv:4: not a CSV file"),
        ('path,label\n"a"b,real\n', r"t\.csv:2: not a CSV file"),
        ("", r"t\.csv: the table is empty"),
        (b"path,label\n\xff,real\n", r"t\.csv: not a UTF-8 text"),
    ],
)
def test_a_table_that_would_be_misread_is_refused_with_its_line(file, text, message):
    with pytest.raises(InputError, match=message):
        read_rows(file(text))


def test_columns_without_a_name_may_be_several(file):
    assert read_rows(file("path,,\na,b,c\n"))[0] == ["path", "", ""]


def test_ragged_rows_are_filled_and_cut_where_a_reader_asks(file):
    _, rows = read_rows(file("a,b\n1\n1,2,3\n"), ragged=True)
    assert [cells for _, cells in rows] == [{"a": "1", "b": ""}, {"a": "1", "b": "2"}]


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"a": ' + "1" * 5000 + "}"])
def test_what_is_no_json_is_named(file, text):
    with pytest.raises(InputError, match=r"t\.csv: not JSON"):
        read_json(file(text))


def test_stretches():
    assert stretches([[0, 1], [1, 1.5]], "f", "w") == ((0.0, 1.0), (1.0, 1.5))
    assert stretches([], "f", "w") == ()


@pytest.mark.parametrize(
    "stated",
    [
        None, 7, "ab", {"a": 1}, [3], [[1]], [[1, 2, 3]], ["12"], [["1", "2"]], [[False, True]],
        [[2, 1]], [[-5, 99]], [[0, float("nan")]], [[0, float("inf")]], [[0, 10**400]],
    ],
)  # fmt: skip
def test_what_is_no_list_of_stretches_is_refused(stated):
    with pytest.raises(InputError, match="w: f holds no list of stretches of time"):
        stretches(stated, "f", "w")
