"""Train a spam model from labelled texts of your own.

    python scripts/train_spam_model.py DATA... --out FILE [--no-spam FILE...] [--spam-share SHARE]

DATA are CSV files (or folders of them) with a text and a class per row, 1 for spam and 0 for no
spam; the columns are found by their names. The files of `--no-spam` are CSV files of texts that are
assumed to be no spam, such as collected titles: a model trained on comments alone classifies many
titles as spam. SHARE is the share of spam where the model will be used; by default 0.0002 with
`--no-spam`, as among collected titles, else that of DATA.

Prints what was read and what was learned. A workspace uses the model by `spam.model: NAME` in its
config, where the file lies in the data folder's `models`.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from ytap_assets.domain.spam.model import SpamModel
from ytap_assets.domain.spam.training import SPAM_SHARE_OF_TITLES, train_spam_model
from ytap_assets.errors import ConfigError

TEXT_COLUMNS = ("content", "text", "comment", "title", "message")
CLASS_COLUMNS = ("class", "label", "is_spam", "spam")
_CLASSES = {"0": False, "1": True}


def find_files(paths: Sequence[Path]) -> list[Path]:
    """The files, and the CSV files of the folders, in order."""
    return [
        file for path in paths for file in (sorted(path.glob("*.csv")) if path.is_dir() else [path])
    ]


def read_labelled(path: Path) -> pl.DataFrame:
    """The texts of a CSV file with their classes: ``text`` and ``is_spam``.

    Raises:
        ConfigError: A column is missing, or a class is neither 0 nor 1.
    """
    rows = []
    for line, row in enumerate(_read_rows(path), start=2):
        text, label = _cell(path, row, TEXT_COLUMNS), _cell(path, row, CLASS_COLUMNS)
        if label.strip() not in _CLASSES:
            raise ConfigError(f"{path}: record {line}: class {label[:20]!r} is neither 0 nor 1")
        rows.append((text, _CLASSES[label.strip()]))
    schema = {"text": pl.String, "is_spam": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row")


def read_no_spam(path: Path) -> pl.DataFrame:
    """The texts of a CSV file, all of them assumed to be no spam: ``text`` and ``is_spam``."""
    texts = [_cell(path, row, TEXT_COLUMNS) for row in _read_rows(path)]
    return pl.DataFrame({"text": texts}, schema={"text": pl.String}).with_columns(
        is_spam=pl.lit(value=False)
    )


def write_model(model: SpamModel, path: Path) -> None:
    """The model as JSON, in one step; the same model gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    text = json.dumps(model.to_dict(), ensure_ascii=False, separators=(",", ":"))
    partial.write_text(f"{text}\n", encoding="utf-8")
    partial.replace(path)


def _read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Records by lower-case column name; a byte order mark and stray bytes do no harm."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        for row in csv.DictReader(file):
            yield {name.strip().lower(): cell or "" for name, cell in row.items() if name}


def _cell(path: Path, row: dict[str, str], names: Sequence[str]) -> str:
    for name in names:
        if name in row:
            return row[name]
    raise ConfigError(f"{path}: no column {' or '.join(names)}; it has {', '.join(row)[:200]}")


def main() -> None:
    """Read the texts, train the model, write it, and print a summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", type=Path, metavar="DATA")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE")
    parser.add_argument("--no-spam", nargs="*", default=[], type=Path, metavar="FILE")
    parser.add_argument("--spam-share", type=float, metavar="SHARE")
    arguments = parser.parse_args()
    share = arguments.spam_share
    if share is None and arguments.no_spam:
        share = SPAM_SHARE_OF_TITLES
    try:
        labelled = [read_labelled(path) for path in find_files(arguments.data)]
        no_spam = [read_no_spam(path) for path in find_files(arguments.no_spam)]
        texts = pl.concat([*labelled, *no_spam]) if labelled else parser.error("no CSV files")
        model = train_spam_model(texts["text"], texts["is_spam"], spam_share=share)
    except (ConfigError, OSError, csv.Error) as error:
        parser.error(str(error))
    write_model(model, arguments.out)
    spam = texts["is_spam"].sum()
    print(f"read     {texts.height:,} texts, {spam:,} of them spam")
    print(f"learned  {len(model.weights):,} weights, precisions of {len(model.precisions)} rules")
    print(f"wrote    {arguments.out}, {arguments.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
