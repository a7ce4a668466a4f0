"""`NAME:key=value,key=value`: how a backbone or a model is asked for with options.

The options of a thing are the fields of a frozen dataclass; an ask is bound to an instance that
holds the defaults. Several numbers in one option are joined by a plus: `widths=32+64`.
"""

from __future__ import annotations

import math
import types
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from avfd.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from _typeshed import DataclassInstance

    Options = TypeVar("Options", bound=DataclassInstance)
else:
    Options = TypeVar("Options")

INSTEAD = "instead"
"""Key of a field's metadata: what decides the field, which then cannot be asked for."""

_WORDS = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True)
class Ask:
    """A name and the options given with it, as text."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)


def parse(text: str) -> Ask:
    """The ask that `text` spells.

    >>> parse("eat")
    Ask(name='eat', options={})
    >>> parse("faces:rate_hz=30,size_px=112").options
    {'rate_hz': '30', 'size_px': '112'}

    Raises:
        InputError: an option without a value, or one given twice.
    """
    name, _, rest = text.partition(":")
    options: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key or key in options:
            raise InputError(
                "not an option, or one given twice",
                where=text,
                found=part,
                accepted="NAME:key=value,key=value",
            )
        options[key] = value.strip()
    return Ask(name.strip(), options)


def bind(ask: Ask, defaults: Options | None) -> Options | None:
    """The defaults with what was asked for; None where there are none and nothing was asked.

    Raises:
        InputError: an unknown option, a value that is not of its type, or an option that something
            else decides; what is accepted is said.
    """
    if defaults is None:
        if ask.options:
            raise InputError("this takes no options", where=ask.name, found=_spelled(ask.options))
        return None
    if not ask.options:
        return defaults
    types_of = get_type_hints(type(defaults))
    own = [f for f in fields(defaults) if f.init]
    refuse(ask, {f.name: f.metadata[INSTEAD] for f in own if INSTEAD in f.metadata})
    known = {f.name: types_of[f.name] for f in own if INSTEAD not in f.metadata}
    unknown = sorted(set(ask.options) - set(known))
    if unknown:
        raise InputError(
            "no such option",
            where=ask.name,
            found=", ".join(unknown),
            accepted=", ".join(f"{k}={getattr(defaults, k)}" for k in known),
        )
    typed = {k: _typed(f"{ask.name}:{k}", v, known[k]) for k, v in ask.options.items()}
    return replace(defaults, **typed)


def refuse(ask: Ask, instead: Mapping[str, str]) -> None:
    """Refuse options that would change nothing.

    Args:
        instead: such an option → what decides it instead, in words.

    Raises:
        InputError: the first of them that is asked for.
    """
    for name in ask.options:
        if name in instead:
            raise InputError(
                "this option would change nothing",
                where=f"{ask.name}:{name}",
                found=ask.options[name],
                next_step=f"leave it out: {instead[name]}",
            )


def did_you_mean(name: str, known: Sequence[str]) -> str | None:
    """The known name that looks most like it, as a next step; None where none does.

    >>> did_you_mean("Eat", ["eat", "mel"])
    'did you mean eat?'
    """
    plain = name.lower().replace("_", "-")
    found = get_close_matches(plain, known, n=1) or [k for k in known if k in plain or plain in k]
    return f"did you mean {found[0]}?" if found else None


def spelled(name: str, given: Mapping[str, object]) -> str:
    """The text that asks for `name` with these options.

    >>> spelled("eat", {"tokens": "raw"})
    'eat:tokens=raw'
    """
    return f"{name}:{_spelled(given)}" if given else name


def _spelled(options: Mapping[str, object]) -> str:
    return ",".join(f"{key}={value}" for key, value in options.items())


def _typed(where: str, text: str, kind: Any) -> object:
    """The value of that type that `text` spells."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _of_union(where, text, get_args(kind))
    if origin is Literal:
        for value in get_args(kind):
            if str(value) == text:
                return value
        raise _not_accepted(where, text, ", ".join(map(str, get_args(kind))))
    if origin is tuple:
        return tuple(_typed(where, part, get_args(kind)[0]) for part in text.split("+"))
    if kind is bool:
        if text.lower() in _WORDS:
            return _WORDS[text.lower()]
        raise _not_accepted(where, text, "true, false")
    if kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            raise _not_accepted(where, text, f"a number ({kind.__name__})") from None
        if not math.isfinite(value):
            raise _not_accepted(where, text, "a finite number")
        return value
    if kind is str:
        return text
    raise InputError("this cannot be set from outside", where=where, found=text)


def _of_union(where: str, text: str, kinds: tuple[Any, ...]) -> object:
    if type(None) in kinds and text.lower() == "none":
        return None
    (kind,) = (k for k in kinds if k is not type(None))
    return _typed(where, text, kind)


def _not_accepted(where: str, text: str, accepted: str) -> InputError:
    return InputError("not an accepted value", where=where, found=text, accepted=accepted)
