"""Groups of titles that tell the same story, found best first, in rounds.

Belongs here: which groups become one, and what that costs. Does not belong here: what a title's
terms are (`terms`), what forbids a merger (`serials`), names of stories (`identity`).

A group is the sum of its titles' vectors, so the mean similarity (cosine) of the pairs between two
groups of n and m titles is one product of sums, divided by n x m. In each round every group looks
for its best partner; those that chose each other become one, and small groups that chose one of
them join. Only groups that changed look again.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ytap_assets.domain.stories.serials import find_conflicts
from ytap_assets.domain.stories.terms import SCALE

_ROUNDS = 120
_SLICE = 20_000
_LEAST_WEIGHT = 0.02
_LEAST_LISTED = 30
_MOST_DOUBT = 1.3


@dataclass(frozen=True)
class Rules:
    """When two groups, of n and m titles, are one story.

    Attributes:
        similarity: Mean similarity of their pairs that large groups need.
        similarity_of_two: What two single titles need beside it; / sqrt(n x m) for groups.
        evidence: What the shared terms must prove (nats; see `weigh_terms`), for large groups.
        evidence_of_two: What two single titles need beside it, less where they
            are more alike: x (1.3 - similarity), / sqrt(n x m) for groups.
        across_days: Times the similarity, where one group has no title of the day itself.
        suggestions: Terms in more groups than this / titles, but at least `_LEAST_LISTED`, suggest
            no partners; they still count. It bounds the work.
        listed_share: How much of the similarity the other terms must bring for a closer look.
        hub: A group this many times larger takes in smaller ones while it merges with another.
    """

    similarity: float = 0.04
    similarity_of_two: float = 0.33
    evidence: float = 6.0
    evidence_of_two: float = 21.0
    across_days: float = 1.2
    suggestions: int = 1_000_000
    listed_share: float = 0.5
    hub: int = 4

    @property
    def evidence_of_same(self) -> float:
        """What a title must prove for another of the same words to be the same story."""
        return self.evidence + self.evidence_of_two * (_MOST_DOUBT - 1)


def merge_groups(
    groups: pl.DataFrame, vectors: pl.DataFrame, marks: pl.DataFrame, rules: Rules
) -> pl.DataFrame:
    """Merge groups as long as any two are the same story.

    Args:
        groups: ``group`` (UInt32, from 0, without gaps), ``n`` (Int64, titles), ``is_fixed``
            (Boolean: two of them never merge), ``is_away`` (Boolean: no title of the day itself).
        vectors: ``group``, ``term``, ``weight`` (Int64, sums over the group's titles),
            ``evidence``.
        marks: ``group``, ``key``, ``value``: groups that share a key and no value of it never
            merge.
        rules: When to merge.

    Returns:
        ``group``, ``into``: the group that stands for it; one row per group.
    """
    return _Merging(groups, vectors, marks, rules).run()


def proof_needed(rules: Rules, likeness: pl.Expr, root: pl.Expr) -> pl.Expr:
    """The evidence (nats) that two groups need; ``root`` is sqrt(n x m)."""
    return rules.evidence + rules.evidence_of_two * (_MOST_DOUBT - likeness) / root


class _Merging:
    """The groups as they are, and the pairs that could merge but have not yet."""

    def __init__(
        self, groups: pl.DataFrame, vectors: pl.DataFrame, marks: pl.DataFrame, rules: Rules
    ) -> None:
        self.rules = rules
        self.listed = max(_LEAST_LISTED, rules.suggestions // max(1, groups.height))
        # A term of one group alone, as most are, never meets itself in another.
        shared = vectors.filter(pl.len().over("term") > 1)
        self.evidence = shared.group_by("term").agg(pl.col("evidence").first())
        self.groups = groups.sort("group")
        self.vectors = shared.select("group", "term", "weight")
        # What has one value throughout contradicts nothing.
        self.marks = marks = marks.filter(pl.col("value").n_unique().over("key") > 1)
        self.careful = pl.concat(
            [marks.select("group"), groups.filter("is_fixed").select("group")]
        ).unique()
        self.into = groups.select("group", into="group")
        self.pairs = _no_pairs()
        self.changed = groups.filter(~pl.col("is_fixed")).select("group")

    def run(self) -> pl.DataFrame:
        for _ in range(_ROUNDS):
            self.pairs = self._find_pairs()
            moves = self._choose_moves()
            if moves.is_empty():
                break
            self._apply(moves)
        return self.into

    def _find_pairs(self) -> pl.DataFrame:
        """The pairs of a changed group and any other that may become one."""
        listed = self._listed_terms()
        is_changed = self._fact(pl.col("group").is_in(self.changed["group"].implode()))
        group, other = pl.col("group"), pl.col("other")
        found = [self.pairs]
        for part in self.changed.sort("group").iter_slices(_SLICE):
            mine = listed.join(part, on="group", how="semi")
            shared = mine.join(listed.rename({"group": "other"}), on="term", suffix="_b")
            # A pair of two changed groups is met from both sides.
            once = (group < other) | (~pl.lit(is_changed).gather(other) & (group != other))
            sums = (
                shared.filter(once)
                .group_by("group", "other")
                .agg(dot=(pl.col("weight") * pl.col("weight_b")).sum())
            )
            found.append(self._judge(sums))
        return pl.concat(found)

    def _listed_terms(self) -> pl.DataFrame:
        """Of the terms of changed groups, those that suggest partners, with all who have them."""
        told = self.vectors.join(self.changed, on="group", how="semi").select("term").unique()
        lists = self.vectors.join(told, on="term", how="semi")
        n = pl.lit(self._fact(pl.col("n"))).gather(pl.col("group"))
        return lists.filter(pl.len().over("term").is_between(2, self.listed)).filter(
            pl.col("weight") >= n * int(_LEAST_WEIGHT * SCALE)
        )

    def _fact(self, fact: pl.Expr) -> pl.Series:
        """By the number of the group, which is faster than a join."""
        return self.groups.select(fact).to_series()

    def _judge(self, sums: pl.DataFrame) -> pl.DataFrame:
        """Of candidates (``group``, ``other``, ``dot`` of their listed terms) those that may."""
        rules = self.rules

        def of(fact: str, which: str) -> pl.Expr:
            return pl.lit(self._fact(pl.col(fact))).gather(pl.col(which))

        pairs = sums.with_columns(n=of("n", "group"), n_other=of("n", "other"))
        root = (pl.col("n") * pl.col("n_other")).cast(pl.Float64).sqrt()
        away = of("is_away", "group") != of("is_away", "other")
        needed = (rules.similarity + rules.similarity_of_two / root) * pl.when(away).then(
            rules.across_days
        ).otherwise(1.0)
        likeness = pl.col("dot") / (pl.col("n") * pl.col("n_other") * SCALE**2)
        pairs = pairs.with_columns(needed=needed).filter(
            likeness >= rules.listed_share * pl.col("needed"),
            ~(of("is_fixed", "group") & of("is_fixed", "other")),
        )
        proof = proof_needed(rules, likeness, root)
        pairs = (
            self._compare(pairs.drop("dot"))
            .filter(pl.col("evidence") >= proof * 100, likeness >= pl.col("needed"))
            .select("group", "other", "n", "n_other", rank=likeness / pl.col("needed"))
        )
        return pairs.join(find_conflicts(pairs, self.marks), on=["group", "other"], how="anti")

    def _compare(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """With ``dot`` and ``evidence`` over all terms that two groups share."""
        asked = pairs.select("group", "other")
        mine = self.vectors.join(asked, on="group", how="semi")
        theirs = self.vectors.rename({"group": "other"}).join(asked, on="other", how="semi")
        shared = asked.join(mine, on="group").join(theirs, on=["other", "term"], suffix="_b")
        sums = (
            shared.join(self.evidence, on="term")
            .group_by("group", "other")
            .agg(
                dot=(pl.col("weight") * pl.col("weight_b")).sum(),
                evidence=pl.col("evidence").sum(),
            )
        )
        return pairs.join(sums, on=["group", "other"])

    def _choose_moves(self) -> pl.DataFrame:
        """Who becomes part of whom in this round: ``group``, ``into``."""
        turned = self.pairs.select(
            group="other", other="group", n="n_other", n_other="n", rank="rank"
        )
        best = (
            pl.concat([self.pairs, turned])
            .sort("rank", "n_other", "other", descending=[True, True, False])
            .unique("group", keep="first", maintain_order=True)
        )
        choice = best.join(best.select(other="group", back="other"), on="other")
        is_couple = pl.col("back") == pl.col("group")
        couples = choice.filter(is_couple, pl.col("group") < pl.col("other"))
        couple = couples.select(group="other", into="group")
        # A group with marks, or fixed, might contradict another that joins in the same round.
        small = choice.filter(~is_couple, pl.col("n_other") >= self.rules.hub * pl.col("n")).join(
            self.careful, on="group", how="anti"
        )
        joining = (
            small.join(small.select(other="group"), on="other", how="anti")
            .join(couple.rename({"group": "other"}), on="other", how="left")
            .select("group", into=pl.coalesce("into", "other"))
        )
        return pl.concat([couple, joining])

    def _apply(self, moves: pl.DataFrame) -> None:
        """Make the moves; what was known of pairs with a changed group is forgotten."""
        self.changed = moves.select(group="into").unique()
        touched = pl.concat([self.changed, moves.select("group")])
        self.pairs = self.pairs.join(touched, on="group", how="anti").join(
            touched, left_on="other", right_on="group", how="anti"
        )
        moved = _renamed(self.vectors.join(touched, on="group", how="semi"), moves)
        self.vectors = pl.concat(
            [
                self.vectors.join(touched, on="group", how="anti"),
                moved.group_by("group", "term").agg(pl.col("weight").sum()),
            ]
        )
        facts = _renamed(self.groups.join(touched, on="group", how="semi"), moves)
        facts = facts.group_by("group").agg(
            pl.col("n").sum(), pl.col("is_fixed").any(), pl.col("is_away").all()
        )
        self.groups = self.groups.update(facts, on="group", maintain_order="left")
        self.marks = _renamed(self.marks, moves).unique()
        self.careful = _renamed(self.careful, moves).unique()
        into = self.into.rename({"group": "member", "into": "group"})
        self.into = _renamed(into, moves).select(group="member", into="group")


def _renamed(rows: pl.DataFrame, moves: pl.DataFrame) -> pl.DataFrame:
    moved = rows.join(moves, on="group", how="left")
    return moved.with_columns(group=pl.coalesce("into", "group")).drop("into")


def _no_pairs() -> pl.DataFrame:
    return pl.DataFrame(
        schema={
            "group": pl.UInt32,
            "other": pl.UInt32,
            "n": pl.Int64,
            "n_other": pl.Int64,
            "rank": pl.Float64,
        }
    )
