"""How much spam is caught, and how many honest titles with it, beside a substring blocklist.

    python benchmarks/spam.py [DATA_FOLDER]

Comments: every labelled file is left out once; the model learns from the others. Recall is given at
a false-positive rate of at most 1 %, once with the threshold chosen on the file itself (its curve),
once with a threshold fixed beforehand on the other files (what one gets). Titles: real ones that a
person labelled (`labels/titles.csv`), found in the data by their ids.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import polars as pl
from _report import finish, print_table, read_arguments
from _spam_data import Comments, read_comments, read_labels, read_titles

from ytap_assets.domain.spam import find_spam
from ytap_assets.domain.spam_model import SpamModel
from ytap_assets.domain.spam_rules import RuleName, SpamRules
from ytap_assets.domain.spam_training import train_spam_model

MAX_FALSE = 0.01
WANTED_RECALL = 0.75
MAX_FALSE_KILLS = 3
HONEST_PER_SOURCE = 1000
FOLDS = 5
ROWS = 1_000_000
SUBSTRINGS = (
    "subscribe",
    "check out",
    "my channel",
    "http",
    "www.",
    ".com",
    "free",
    "money",
    "follow",
    "click",
    "win",
    "giveaway",
)
"""What a user would write down first."""
BLOCKLIST, RULES, MODEL, BOTH = "substring blocklist", "rules", "model", "rules + model"
WORDS = "rules, without looks"
LOOKS: tuple[RuleName, ...] = (
    "emoji_excess",
    "capitals_excess",
    "repeated_characters",
    "repeated_words",
)
"""Rules about how a title looks. Comments are loud, spam or not, so for them these are off."""
Scorer = Callable[[pl.DataFrame], list[float]]


def main() -> int:
    """Measure, print tables and one JSON object."""
    data = read_arguments(__doc__)
    comments = read_comments(data)
    figures: dict[str, Any] = {}
    held: dict[str, bool] = {}
    if len(comments) > 1:
        figures |= leave_one_out(comments)
        held["recall_at_1pct"] = figures["recall_at_1pct"] >= WANTED_RECALL
    else:
        print(f"\n{len(comments)} files of labelled comments: none can be left out, part skipped")
    titles = read_titles(data)
    if titles is not None and comments:
        figures |= judge_titles(titles, comments)
        held["false_kills"] = figures["false_kills"] <= MAX_FALSE_KILLS
        figures |= measure_speed(titles)
    else:
        print("\nNo titles, or no comments to learn from: part skipped")
    return finish("spam", figures, held)


def leave_one_out(comments: Sequence[Comments]) -> dict[str, Any]:
    """Recall of each contestant on each file, learned from the others."""
    curve: dict[str, list[float]] = {}
    fixed: dict[str, list[tuple[float, float]]] = {}
    unseen = []
    for held_out in comments:
        others = [one for one in comments if one is not held_out]
        labels = held_out.rows["is_labelled_spam"].to_list()
        known = pl.concat([one.rows["title"] for one in others])
        found = {
            name: scorer(held_out.rows) for name, scorer in _contestants(train(others)).items()
        }
        for name, scores in found.items():
            threshold = threshold_of(scores, labels)
            curve.setdefault(name, []).append(recall(scores, labels, threshold))
            if name == BOTH:
                new = (~held_out.rows["title"].is_in(known.implode())).to_list()
                unseen.append(recall(scores, labels, threshold, new))
        for name, threshold in fixed_thresholds(others).items():
            scores = found[name]
            fixed.setdefault(name, []).append(
                (recall(scores, labels, threshold), false_rate(scores, labels, threshold))
            )
    names = [one.name for one in comments]
    _print_recalls(names, curve, fixed)
    both = [round(value, 3) for value in curve[BOTH]]
    return {
        "recall_at_1pct": round(_mean(curve[BOTH]), 4),
        "recall_at_1pct_by_file": dict(zip(names, both, strict=True)),
        "recall_at_1pct_texts_not_learned": round(_mean(unseen), 4),
        "recall_at_1pct_others": {
            name: round(_mean(values), 4) for name, values in curve.items() if name != BOTH
        },
        "fixed_threshold": {
            name: {
                "recall": round(_mean(r for r, _ in at), 4),
                "fpr": round(_mean(f for _, f in at), 4),
            }
            for name, at in fixed.items()
        },
    }


def train(comments: Sequence[Comments], honest: pl.Series | None = None) -> SpamModel:
    """The product's model of labelled comments, and of titles taken to be honest."""
    texts = [one.rows["title"] for one in comments]
    labels = [one.rows["is_labelled_spam"] for one in comments]
    if honest is not None:
        texts.append(honest)
        labels.append(pl.Series([False] * len(honest)))
    return train_spam_model(pl.concat(texts), pl.concat(labels))


def _contestants(model: SpamModel) -> dict[str, Scorer]:
    """What gives each row a score; the higher, the more speaks for spam."""
    words = SpamRules(rules_off=frozenset(LOOKS))
    return {
        BLOCKLIST: lambda rows: [float(count) for count in count_substrings(rows["title"])],
        RULES: lambda rows: count_reasons(rows, SpamRules()),
        WORDS: lambda rows: count_reasons(rows, words),
        MODEL: lambda rows: model.log_odds(rows["title"]).to_list(),
        BOTH: lambda rows: [
            math.inf if reasons else odds
            for reasons, odds in zip(
                count_reasons(rows, words), model.log_odds(rows["title"]), strict=True
            )
        ],
    }


def count_substrings(texts: pl.Series) -> pl.Series:
    """How many of the substrings each text holds."""
    lower = texts.str.to_lowercase()
    return pl.select(
        pl.sum_horizontal(lower.str.contains(one, literal=True) for one in SUBSTRINGS)
    ).to_series()


def count_reasons(rows: pl.DataFrame, rules: SpamRules) -> list[float]:
    """How many reasons each row has."""
    found = find_spam(rows, rules)["spam_reasons"].list.len()
    return found.cast(pl.Float64).to_list()


def fixed_thresholds(others: Sequence[Comments]) -> dict[str, float]:
    """The thresholds that the other files suggest, each part judged by what the rest taught."""
    scores: dict[str, list[float]] = {}
    labels: list[bool] = []
    for learned, judged in _folds(others):
        for name, scorer in _contestants(train(learned)).items():
            scores.setdefault(name, []).extend(scorer(judged.rows))
        labels += judged.rows["is_labelled_spam"].to_list()
    return {name: threshold_of(values, labels) for name, values in scores.items()}


def _folds(others: Sequence[Comments]) -> list[tuple[list[Comments], Comments]]:
    """File by file; a single file in parts."""
    if len(others) > 1:
        return [([one for one in others if one is not judged], judged) for judged in others]
    rows = others[0].rows.with_row_index("number")
    parts = [rows.filter(pl.col("number") % FOLDS == fold).drop("number") for fold in range(FOLDS)]
    pieces = [Comments(str(fold), part) for fold, part in enumerate(parts)]
    return [([one for one in pieces if one is not judged], judged) for judged in pieces]


def threshold_of(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """The lowest score above which at most 1 % of the honest texts lie."""
    honest = sorted((s for s, spam in zip(scores, labels, strict=True) if not spam), reverse=True)
    return honest[int(MAX_FALSE * len(honest))]


def recall(
    scores: Sequence[float],
    labels: Sequence[bool],
    threshold: float,
    counted: Sequence[bool] | None = None,
) -> float:
    """The share of the spam above the threshold."""
    counted = counted or [True] * len(scores)
    spam = [s for s, is_spam, one in zip(scores, labels, counted, strict=True) if is_spam and one]
    return sum(s > threshold for s in spam) / len(spam) if spam else math.nan


def false_rate(scores: Sequence[float], labels: Sequence[bool], threshold: float) -> float:
    """The share of the honest texts above the threshold."""
    return recall(scores, [not one for one in labels], threshold)


def _mean(values: Any) -> float:
    values = list(values)
    return math.fsum(values) / len(values)


def _print_recalls(
    names: Sequence[str],
    curve: dict[str, list[float]],
    fixed: dict[str, list[tuple[float, float]]],
) -> None:
    print_table(
        "Comments, each file left out once: recall at a false-positive rate of at most 1 %",
        ["", *names, "mean"],
        [
            [name, *(f"{one:.3f}" for one in values), f"{_mean(values):.3f}"]
            for name, values in curve.items()
        ],
    )
    print_table(
        "The same with the threshold fixed on the other files: recall / false-positive rate",
        ["", *names, "mean"],
        [
            [
                name,
                *(f"{r:.3f} / {f:.3f}" for r, f in values),
                f"{_mean(r for r, _ in values):.3f} / {_mean(f for _, f in values):.3f}",
            ]
            for name, values in fixed.items()
        ],
    )


def judge_titles(titles: pl.DataFrame, comments: Sequence[Comments]) -> dict[str, Any]:
    """What each contestant does to the titles that a person labelled."""
    labelled = read_labels().join(titles, on=["source", "item_id"], how="inner")
    others = titles.join(read_labels(), on=["source", "item_id"], how="anti")
    others = others.filter(~pl.col("title").is_in(labelled["title"].implode()))
    honest = _some_honest(others)
    of_comments, of_both = train(comments), train(comments, honest)
    strict = SpamRules(style_signs=1)
    found = {
        BLOCKLIST: count_substrings(labelled["title"]) > 0,
        "rules, one sign is enough": _killed(labelled, strict),
        RULES: _killed(labelled, SpamRules()),
        "rules + model of comments": _killed(labelled, SpamRules(), of_comments),
        "rules + model of comments and titles": _killed(labelled, SpamRules(), of_both),
    }
    is_spam = labelled["label"] == "spam"
    outcome = {
        name: {
            "false_kills": int((kills & ~is_spam).sum()),
            "caught": int((kills & is_spam).sum()),
            "missed": int((~kills & is_spam).sum()),
        }
        for name, kills in found.items()
    }
    print_table(
        f"{labelled.height} labelled titles, {is_spam.sum()} of them spam",
        ["", "honest killed", "spam caught", "spam missed"],
        [[name, *counts.values()] for name, counts in outcome.items()],
    )
    product = find_spam(labelled, SpamRules(), of_both)
    _print_titles("Honest titles killed", product.filter(found[_PRODUCT] & ~is_spam))
    _print_titles("Spam missed", product.filter(~found[_PRODUCT] & is_spam))
    too_few = product["spam_reasons"].list.eval(pl.element().str.starts_with(_MINIMUM)).list.any()
    print(f"\nBelow the minimum engagement, which says nothing of a title: {too_few.sum()}")
    return {
        "false_kills": outcome[_PRODUCT]["false_kills"],
        "titles_found": labelled.height,
        "titles_labelled": read_labels().height,
        "titles": outcome,
        "titles_below_minimum": int(too_few.sum()),
        "unlabelled_titles_flagged": _flagged_share(others, of_both),
    }


_PRODUCT = "rules + model of comments and titles"
_MINIMUM = "minimum_engagement:"


def _some_honest(others: pl.DataFrame) -> pl.Series:
    """Unlabelled titles, taken to be honest: the same number of each source."""
    mixed = others.sort(pl.col("item_id").hash(seed=1), "item_id")
    return mixed.group_by("source", maintain_order=True).head(HONEST_PER_SOURCE)["title"]


def _killed(rows: pl.DataFrame, rules: SpamRules, model: SpamModel | None = None) -> pl.Series:
    """Whether anything but too little engagement is held against a title."""
    off = rules.extended(limits={"rules_off": frozenset({"minimum_engagement"})})
    return find_spam(rows, off, model)["is_spam"]


def _flagged_share(others: pl.DataFrame, model: SpamModel) -> dict[str, Any]:
    """How many of all the other titles are flagged; nobody labelled them."""
    rules = _killed(others, SpamRules())
    both = _killed(others, SpamRules(), model)
    told = find_spam(others.filter(both), SpamRules(), model)
    _print_titles(f"Of {others.height:,} other titles, which nobody labelled, flagged", told)
    return {"titles": others.height, RULES: int(rules.sum()), BOTH: int(both.sum())}


def _print_titles(head: str, rows: pl.DataFrame) -> None:
    print_table(
        f"{head}: {rows.height}",
        ["source and id", "title", "reasons"],
        [
            [f"{source} {item_id}", " ".join(title.split())[:80], "; ".join(reasons)]
            for source, item_id, title, reasons in rows.select(
                "source", "item_id", "title", "spam_reasons"
            ).iter_rows()
        ],
    )


def measure_speed(titles: pl.DataFrame) -> dict[str, Any]:
    """Seconds of the rules on a million rows: the titles, again and again on other days."""
    times = math.ceil(ROWS / titles.height)
    rows = pl.concat(
        [
            titles.with_columns(day=pl.col("day").dt.offset_by(f"{number}d"))
            for number in range(times)
        ]
    ).head(ROWS)
    find_spam(rows.head(10_000), SpamRules())
    began = perf_counter()
    find_spam(rows, SpamRules())
    seconds = perf_counter() - began
    print(f"\nRules on {rows.height:,} rows: {seconds:.1f} s")
    return {"seconds_per_million": round(seconds, 2)}


if __name__ == "__main__":
    sys.exit(main())
