"""The keys of a config, as declared by its models: reference, template, and advice on unknown keys.

Belongs here: what is derived from the models. The reference in `docs/config.md`, the template of a
new config and the nearest key to an unknown one come from the same declarations. Does not belong
here: which keys there are (`workspace_sections`), or reading a config (`workspaces`).
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ytap_assets.plain_yaml import dump_yaml

MISTYPED = 0.8
"""The similarity of a name to a known one from which on it is a typing error: `titel`, not
`subtitle`."""
_WIDTH = 10_000
_COMMENT_AT = 44
_INVISIBLE = ("Cc", "Cf")


@dataclass(frozen=True)
class Key:
    """A key of a config.

    Attributes:
        name: Its path, such as ``sources.reddit.min_score``; ``[]`` stands for the items of a list.
        about: What it is for; without a full stop.
        default: Its default, as YAML; None if it is required, empty without a default.
        example: An example of its value, as YAML; empty for a section.
    """

    name: str
    about: str
    default: str | None
    example: str


@lru_cache(maxsize=1024)
def fold_name(text: str) -> str:
    """Normalize a name: case, width, spaces and invisible characters are ignored."""
    visible = "".join(c for c in text if unicodedata.category(c) not in _INVISIBLE)
    return "_".join(unicodedata.normalize("NFKC", visible).casefold().replace("-", " ").split())


def fold_handle(text: str) -> str:
    """Normalize an account's name: an address before it, `@` and case are ignored."""
    return fold_name(text.strip().rstrip("/").rpartition("/")[2].lstrip("@"))


def find_nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known name nearest to a mistyped one; None if none is similar.

    Args:
        name: The unknown name.
        known: The known names.
        cutoff: The minimum similarity, 0 to 1 (`difflib`). The default is for advice about an
            invalid name; `MISTYPED` is for places where any other name is valid.
    """
    folded = {fold_name(one): one for one in known}
    found = difflib.get_close_matches(fold_name(name), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


def refuse_repeats(values: Iterable[tuple[Hashable, str]]) -> None:
    """Refuse a list with duplicates.

    Args:
        values: The identity of each item, and its spelling in the config.

    Raises:
        ValueError: Two items are the same; the message names both.
    """
    spelled: dict[Hashable, str] = {}
    for place, (value, text) in enumerate(values, start=1):
        if value in spelled:
            raise ValueError(
                f"{spelled[value]!r} and {text!r} (item {place}) are the same; list it once"
            )
        spelled[value] = text


def explain_unknown(model: type[BaseModel], path: Sequence[str | int]) -> str:
    """Advice on an unknown key: the nearest key, or its right place.

    Args:
        model: The config's model.
        path: The path of the key.
    """
    name = str(path[-1])
    known = _fields_at(model, path[:-1])
    here = "".join("[]" if isinstance(part, int) else f".{part}" for part in path[:-1])[1:]
    homes = [
        key.name.rpartition(".")[0]
        for key in list_keys(model)
        if fold_name(key.name.rpartition(".")[2]) == fold_name(name)
    ]
    # A name that is a key elsewhere is more likely misplaced than mistyped.
    if homes and here not in homes:
        home = next((one for one in homes if one.startswith(f"{here}.")), homes[0])
        below = f"in an item of `{home[:-2]}:`" if home.endswith("[]") else f"below `{home}:`"
        place = below if home else "at the beginning of a line"
        return f"unknown key here; `{fold_name(name)}` belongs {place}, with its indentation"
    if (nearest := find_nearest(name, known)) is not None:
        return f"unknown key; did you mean `{nearest}`?"
    return f"unknown key; the keys are {', '.join(known)}"


def show_item(model: type[BaseModel], path: Sequence[str | int]) -> str | None:
    """The beginning of an item of a list of sections, as YAML; None if the path is not one.

    Args:
        model: The config's model.
        path: The path of the item.
    """
    if not path or not isinstance(path[-1], int):
        return None
    before = ".".join(str(part) for part in path[:-1])
    first = next((key for key in list_keys(model) if key.name.startswith(f"{before}[].")), None)
    return None if first is None else f"- {first.name.rpartition('.')[2]}: {first.example}"


def list_keys(model: type[BaseModel], before: str = "") -> Iterator[Key]:
    """Every key that a config may have, in the order of the models."""
    for name, field in _visible(model):
        section, is_list = _section(field)
        path = f"{before}{name}"
        if section is None:
            yield Key(path, field.description or "", _default(field), _example(field))
            continue
        default = "[]" if is_list else ""
        yield Key(path, field.description or _first_line(section), default, "")
        yield from list_keys(section, f"{path}{'[]' if is_list else ''}.")


def render_template(model: type[BaseModel], content: Mapping[str, Any]) -> str:
    """A config with the given content, and every other key as a comment.

    Args:
        model: The config's model.
        content: Keys and values that are set.
    """
    return "\n".join(_render(model, content, "")) + "\n"


def render_reference(model: type[BaseModel]) -> str:
    """The keys as a table in Markdown: key, default, example, what it is for."""
    rows = [
        f"| `{key.name}` | {_code(key.default)} | {_code(key.example)} | {key.about} |"
        for key in list_keys(model)
    ]
    return "\n".join(["| key | default | example | |", "|---|---|---|---|", *rows])


def _code(text: str | None) -> str:
    if text is None:
        return "required"
    return f"`{text}`".replace("|", "\\|") if text else ""


def _fields_at(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The keys of the section at a path; empty if there is no section."""
    section: type[BaseModel] | None = model
    for part in path:
        if section is not None and isinstance(part, str):
            field = section.model_fields.get(part)
            section = None if field is None else _section(field)[0]
    return [] if section is None else [name for name, _ in _visible(section)]


def _visible(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    return [(name, field) for name, field in model.model_fields.items() if not field.exclude]


def _section(field: FieldInfo) -> tuple[type[BaseModel] | None, bool]:
    """The section of a key, if it has one; and whether it is a list of sections."""
    annotation = field.annotation
    is_list = get_origin(annotation) is tuple
    if is_list:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, is_list
    return None, is_list


def _first_line(section: type[BaseModel]) -> str:
    return (section.__doc__ or "").strip().splitlines()[0].rstrip(".")


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    default = field.get_default(call_default_factory=True)
    return "" if default is None or default == "" else _as_yaml(_plain(default))


def _example(field: FieldInfo) -> str:
    return _as_yaml(field.examples[0]) if field.examples else _default(field) or ""


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _as_yaml(value: Any) -> str:
    """A value in one line of YAML."""
    text = dump_yaml(_plain(value), default_flow_style=True, width=_WIDTH)
    return text.removesuffix("\n").removesuffix("\n...")


def _render(model: type[BaseModel], content: Mapping[str, Any], indent: str) -> Iterator[str]:
    """The lines of a section of which some keys are set."""
    for name, field in _visible(model):
        section, is_list = _section(field)
        if section is not None and not is_list and name in content:
            yield f"{indent}{name}:"
            yield from _render(section, content[name], f"{indent}  ")
        elif name in content:
            text = dump_yaml({name: content[name]}, width=_WIDTH)
            yield from (f"{indent}{line}" for line in text.removesuffix("\n").split("\n"))
        else:
            yield from (f"{indent}# {line}" for line in _propose(name, field))


def _propose(name: str, field: FieldInfo) -> Iterator[str]:
    """The lines that would set a key, with its description."""
    section, is_list = _section(field)
    about = field.description or (_first_line(section) if section else "")
    if section is None:
        yield _with_comment(f"{name}: {_example(field)}", about, _default(field))
        return
    yield _with_comment(f"{name}:", about, None)
    lines = [line for inner, below in _visible(section) for line in _propose(inner, below)]
    heads = ("  - " if is_list else "  ", "    " if is_list else "  ")
    yield from (f"{heads[min(place, 1)]}{line}" for place, line in enumerate(lines))


def _with_comment(line: str, about: str, default: str | None) -> str:
    shown = f"; default {default}" if default not in (None, "", "[]", "{}") else ""
    return f"{line:<{_COMMENT_AT}}  # {about}{shown}"
