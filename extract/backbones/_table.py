"""The table of columns in docs/columns.md, made from the specs.

`python -m extract.backbones._table docs/columns.md` writes it anew between its two marks.
"""

from __future__ import annotations

import sys
from pathlib import Path

from avfd.specs import AudioInput, BackboneSpec
from extract.backbones import build, load_all, names
from extract.backbones.base import is_face_pass

BEGIN, END = "<!-- columns: begin -->", "<!-- columns: end -->"
HEADINGS = (
    "column",
    "vectors a second",
    "shape",
    "dtype",
    "input",
    "downmix",
    "context",
    "weights",
    "licence",
    "source",
)


def table() -> str:
    """Markdown, one row for each backbone that avfd ships."""
    load_all()
    built = [build(name) for name in names()]
    specs = [b.spec for b in built if type(b).__module__.startswith(f"{__package__}.")]
    lines = [_line(HEADINGS), _line(["---"] * len(HEADINGS))]
    return "\n".join([*lines, *(_line(_cells(spec)) for spec in specs)])


def replaced(text: str) -> str:
    """The document with the table between its marks made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(spec: BackboneSpec) -> list[str]:
    return [
        f"`{spec.name}`",
        "one a clip" if spec.clip_level else str(spec.rate_hz),
        " × ".join(f"{n:,}" for n in spec.shape),
        spec.dtype,
        _input(spec),
        f"{spec.audio.downmix} of all channels" if spec.audio else "–",
        _context(spec),
        ", ".join(f"`{name}`" for name in spec.weights) or "none",
        spec.licence,
        spec.source,
    ]


def _input(spec: BackboneSpec) -> str:
    if spec.audio:
        return f"{spec.audio.sample_rate_hz:,} Hz, from native once ({spec.audio.resampler})"
    if spec.faces:
        f = spec.faces
        return f"crops of {f.size_px} px, margin {f.margin:.0%}, {f.interpolation}"
    return "pictures at native size and rate" if is_face_pass(spec) else f"column `{spec.reads}`"


def _context(spec: BackboneSpec) -> str:
    if spec.audio:
        return _audio_context(spec.audio)
    if is_face_pass(spec):
        return "online, about a second"
    if spec.reads:
        rows = spec.options.get("window_rows")
        return f"windows of {rows} of its vectors" if rows else "one of its vectors"
    frames = spec.options.get("frames")
    return f"windows of {frames} pictures" if frames else "one picture"


def _audio_context(audio: AudioInput) -> str:
    if audio.block_seconds is None:
        return "the whole clip"
    if audio.lead_seconds == audio.tail_seconds == 0:
        return "each vector its own span"
    around = f"{audio.lead_seconds:g} s before, {audio.tail_seconds:g} s after"
    return f"whole clip, above {audio.block_seconds:g} s in blocks ({around})"


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(replaced(document.read_text(encoding="utf-8")), encoding="utf-8")
