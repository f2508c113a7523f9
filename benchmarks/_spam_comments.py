"""The part of the spam benchmark about comments: files that were not used for training.

In two ways: each file with a model of all the others, and with a model of one other. The scores of
all files are pooled, and one threshold is chosen at which at most 1 % of all honest comments are
false positives. So a score must have the same meaning in each file.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from _report import print_table
from _spam_data import Comments

from ytap_assets.domain.spam.detection import find_spam
from ytap_assets.domain.spam.model import SpamModel
from ytap_assets.domain.spam.rules import SpamRules
from ytap_assets.domain.spam.training import train_spam_model

MAX_FALSE = 0.01
WITHIN = 0.02
RESAMPLES = 500
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
"""A simple blocklist."""
BLOCKLIST, RULES, MODEL, BOTH = "substring blocklist", "rules", "model", "rules + model"
RIVALS = (BLOCKLIST, RULES, MODEL)
Scorer = Callable[[pl.DataFrame], list[float]]


@dataclass(frozen=True)
class Judged:
    """The comments of one file, with the score of each method."""

    name: str
    is_spam: list[bool]
    scores: Mapping[str, list[float]]


def judge_comments(comments: Sequence[Comments]) -> tuple[dict[str, Any], dict[str, bool]]:
    """Figures of every file with models of other files, and which requirements hold."""
    figures: dict[str, Any] = {}
    held: dict[str, bool] = {}
    for name, title, learned in (
        ("left_out", "each file left out, learned from the others", _all_others(comments)),
        ("pairs", "learned from one file, judged on one other", _one_other(comments)),
    ):
        judged = [_judge(file, others) for file, others in learned]
        figures[name] = measure(judged, title)
        for rival in (BLOCKLIST, MODEL):
            key = f"{name}_at_least_{rival.replace(' ', '_')}"
            held[key] = figures[name]["recall"][BOTH] >= figures[name]["recall"][rival] - WITHIN
        if name == "left_out":
            figures["calibration"] = show_calibration(judged)
    return figures, held


def _all_others(comments: Sequence[Comments]) -> list[tuple[Comments, list[Comments]]]:
    return [(file, [one for one in comments if one is not file]) for file in comments]


def _one_other(comments: Sequence[Comments]) -> list[tuple[Comments, list[Comments]]]:
    return [(file, [one]) for file, others in _all_others(comments) for one in others]


def _judge(file: Comments, learned_from: Sequence[Comments]) -> Judged:
    scorers = contestants(train(learned_from))
    scores = {name: scorer(file.rows) for name, scorer in scorers.items()}
    names = "+".join(one.name for one in learned_from)
    return Judged(f"{names} -> {file.name}", file.rows["is_labelled_spam"].to_list(), scores)


def train(
    comments: Sequence[Comments],
    honest: pl.Series | None = None,
    *,
    spam_share: float | None = None,
) -> SpamModel:
    """The product's model of labelled comments, and of titles that are assumed to be honest."""
    texts = [one.rows["title"] for one in comments]
    labels = [one.rows["is_labelled_spam"] for one in comments]
    if honest is not None:
        texts.append(honest)
        labels.append(pl.Series([False] * len(honest)))
    return train_spam_model(pl.concat(texts), pl.concat(labels), spam_share=spam_share)


def contestants(model: SpamModel) -> dict[str, Scorer]:
    """The methods that give each row a score; a higher score means more likely spam."""
    return {
        BLOCKLIST: lambda rows: [float(count) for count in count_substrings(rows["title"])],
        RULES: lambda rows: find_spam(rows, SpamRules())["spam_probability"].to_list(),
        MODEL: lambda rows: model.probabilities(rows["title"]).to_list(),
        BOTH: lambda rows: find_spam(rows, SpamRules(), model)["spam_probability"].to_list(),
    }


def count_substrings(texts: pl.Series) -> pl.Series:
    """How many of the substrings each text contains."""
    lower = texts.str.to_lowercase()
    return pl.select(
        pl.sum_horizontal(lower.str.contains(one, literal=True) for one in SUBSTRINGS)
    ).to_series()


def measure(judged: Sequence[Judged], title: str) -> dict[str, Any]:
    """Recall of each method at a false-positive rate of at most 1 %; prints it by file."""
    names = [BLOCKLIST, RULES, MODEL, BOTH]
    pooled = {name: _pooled_recall(judged, name) for name in names}
    by_file = {
        name: [recall_at_1pct(one.scores[name], one.is_spam) for one in judged] for name in names
    }
    drawn = _resample(judged, names)
    intervals = {name: _interval([one[name] for one in drawn]) for name in names}
    ahead = {rival: _interval([one[BOTH] - one[rival] for one in drawn]) for rival in RIVALS}
    print_table(
        f"Comments, {title}: recall at a false-positive rate of at most 1 %",
        ["", "pooled", "95 %", "rules + model ahead by", "95 %", "mean of files"],
        [
            [
                name,
                f"{pooled[name]:.3f}",
                "{:.3f}-{:.3f}".format(*intervals[name]),
                *(
                    ["", ""]
                    if name == BOTH
                    else [
                        f"{pooled[BOTH] - pooled[name]:+.3f}",
                        "{:+.3f} to {:+.3f}".format(*ahead[name]),
                    ]
                ),
                f"{_mean(by_file[name]):.3f}",
            ]
            for name in names
        ],
    )
    print_table(
        "The same, each file with the threshold of its own curve",
        ["", *names],
        [
            [one.name, *(f"{by_file[name][n]:.3f}" for name in names)]
            for n, one in enumerate(judged)
        ],
    )
    return {
        "recall": {name: round(value, 4) for name, value in pooled.items()},
        "interval": {name: _rounded(pair) for name, pair in intervals.items()},
        "ahead_interval": {name: _rounded(pair) for name, pair in ahead.items()},
        "mean_of_files": {name: round(_mean(values), 4) for name, values in by_file.items()},
        "files": {one.name: round(by_file[BOTH][n], 4) for n, one in enumerate(judged)},
    }


def _pooled_recall(judged: Sequence[Judged], name: str) -> float:
    scores = [score for one in judged for score in one.scores[name]]
    return recall_at_1pct(scores, [spam for one in judged for spam in one.is_spam])


def recall_at_1pct(scores: Sequence[float], is_spam: Sequence[bool]) -> float:
    """The share of spam above the lowest score that at most 1 % of the honest texts exceed."""
    pairs = list(zip(scores, is_spam, strict=True))
    honest = sorted((score for score, spam in pairs if not spam), reverse=True)
    threshold = honest[int(MAX_FALSE * len(honest))]
    spam = [score for score, is_one in pairs if is_one]
    return sum(score > threshold for score in spam) / len(spam)


def _resample(judged: Sequence[Judged], names: Sequence[str]) -> list[dict[str, float]]:
    """Pooled recalls of resampled comments, within each file and class; equal for all methods."""
    rng = random.Random(20261126)
    drawn = []
    for _ in range(RESAMPLES):
        again = [_draw(one, rng) for one in judged]
        drawn.append({name: _pooled_recall(again, name) for name in names})
    return drawn


def _draw(file: Judged, rng: random.Random) -> Judged:
    places: list[int] = []
    for label in (True, False):
        of_class = [place for place, spam in enumerate(file.is_spam) if spam == label]
        places += rng.choices(of_class, k=len(of_class))
    scores = {name: [values[place] for place in places] for name, values in file.scores.items()}
    return Judged(file.name, [file.is_spam[place] for place in places], scores)


def show_calibration(judged: Sequence[Judged]) -> dict[str, Any]:
    """How many texts of each range of probability are spam; prints it."""
    values = [
        (score, spam)
        for one in judged
        for score, spam in zip(one.scores[BOTH], one.is_spam, strict=True)
    ]
    rows = []
    for low, high in ((0, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 0.99), (0.99, 1.01)):
        inside = [(score, spam) for score, spam in values if low <= score < high]
        if inside:
            said, found = _mean(s for s, _ in inside), _mean(spam for _, spam in inside)
            rows.append(
                [f"{low:g} to {min(high, 1):g}", len(inside), f"{said:.3f}", f"{found:.3f}"]
            )
    print_table(
        "Comments, each file left out: probability of rules and model, and what was found",
        ["probability", "comments", "mean probability", "share of spam"],
        rows,
    )
    honest = [score for score, spam in values if not spam]
    spam = [score for score, is_spam in values if is_spam]
    fixed = {
        "recall": round(_mean(score >= 0.5 for score in spam), 4),
        "fpr": round(_mean(score >= 0.5 for score in honest), 4),
    }
    print(
        f"At 50 %, a threshold that nothing was fitted to: recall {fixed['recall']:.3f},", end=" "
    )
    print(f"false-positive rate {fixed['fpr']:.3f}")
    loss = {name: round(_log_loss(judged, name), 4) for name in (MODEL, BOTH)}
    print(f"Log loss: model {loss[MODEL]:.3f}, rules + model {loss[BOTH]:.3f}")
    return {"at_50_pct": fixed, "log_loss": loss}


def _log_loss(judged: Sequence[Judged], name: str) -> float:
    least = 1e-9
    return -_mean(
        math.log(max(least, score if spam else 1 - score))
        for one in judged
        for score, spam in zip(one.scores[name], one.is_spam, strict=True)
    )


def _interval(values: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return ordered[int(0.025 * len(ordered))], ordered[int(0.975 * len(ordered))]


def _rounded(pair: tuple[float, float]) -> list[float]:
    return [round(value, 4) for value in pair]


def _mean(values: Any) -> float:
    values = list(values)
    return math.fsum(values) / len(values)
