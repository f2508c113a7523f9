"""The guide to spam names every rule and mark, and its example is valid."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import polars as pl
import yaml

from ytap_assets.domain.spam.model import MARKS
from ytap_assets.domain.spam.rules import RuleName
from ytap_assets.workspace_sections import Spam

_ROOT = Path(__file__).parents[3]
LABELS = _ROOT / "benchmarks" / "labels" / "titles.csv"
GUIDE = (_ROOT / "docs" / "spam.md").read_text(encoding="utf-8")


def test_every_rule_is_named() -> None:
    assert [name for name in get_args(RuleName) if f"`{name}`" not in GUIDE] == []


def test_the_examples_hold_every_key() -> None:
    examples = [
        yaml.safe_load(text)["spam"] for text in re.findall(r"```yaml\n(.*?)```", GUIDE, re.S)
    ]
    for example in examples:
        Spam.model_validate(example)
    assert {key for example in examples for key in example} == set(Spam.model_fields)


def test_the_marks_are_counted() -> None:
    assert f"{len(MARKS)} marks" in GUIDE


def test_the_labels_are_ids_and_labels_of_300_titles() -> None:
    labels = pl.read_csv(LABELS, infer_schema=False)
    assert labels.columns == ["source", "item_id", "label", "why"]
    assert labels.select("source", "item_id").is_duplicated().sum() == 0
    counts = dict(labels.group_by("source").len().iter_rows())
    assert counts == {"hn": 100, "reddit": 100, "youtube": 100}
    spam = labels["label"] == "spam"
    assert labels["label"].is_in(["spam", "honest"]).all()
    assert (labels["why"].is_not_null() == spam).all()
    assert f"{spam.sum()} of the 300" in GUIDE
