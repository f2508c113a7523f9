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

_ROUNDS = 100
PHI = 0.5
_SLICE = 20_000


@dataclass(frozen=True)
class Rules:
    """When two groups, of n and m titles, are one story.

    Attributes:
        similarity: Mean similarity of their pairs that large groups need.
        similarity_of_two: What two single titles need beside it; / sqrt(n x m) for groups.
        evidence: What the shared terms must prove (nats; see `weigh_terms`), for large groups.
        evidence_of_two: What two single titles need beside it; / sqrt(n x m) for groups.
        across_days: Times the similarity, where one group has no title of the day itself.
        posting_cap: Terms in more groups than this suggest no partners; they still count.
        hub: A group this many times larger takes in smaller ones while it merges with another.
    """

    similarity: float = 0.03
    similarity_of_two: float = 0.4
    evidence: float = 5.0
    evidence_of_two: float = 11.0
    across_days: float = 1.2
    posting_cap: int = 100
    hub: int = 4


def merge_groups(
    groups: pl.DataFrame, vectors: pl.DataFrame, marks: pl.DataFrame, rules: Rules
) -> pl.DataFrame:
    """Merge groups as long as any two are the same story.

    Args:
        groups: ``group`` (UInt32, unique), ``n`` (Int64, titles), ``is_fixed`` (Boolean: two of
            them never merge), ``is_away`` (Boolean: no title of the day itself).
        vectors: ``group``, ``term``, ``weight`` (Int64, sums over the group's titles),
            ``evidence``.
        marks: ``group``, ``key``, ``value``: groups that share a key and no value of it never
            merge.
        rules: When to merge.

    Returns:
        ``group``, ``into``: the group that stands for it; one row per group.
    """
    return _Merging(groups, vectors, marks, rules).run()


class _Merging:
    """The groups as they are, and the pairs that could merge but have not yet."""

    def __init__(
        self, groups: pl.DataFrame, vectors: pl.DataFrame, marks: pl.DataFrame, rules: Rules
    ) -> None:
        self.rules = rules
        self.evidence = vectors.group_by("term").agg(pl.col("evidence").first())
        self.groups = groups
        self.vectors = vectors.select("group", "term", "weight")
        self.marks = marks
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
        told = self.vectors.join(self.changed, on="group", how="semi").select("term").unique()
        lists = self.vectors.join(told, on="term", how="semi")
        size = pl.len().over("term")
        listed = lists.filter(size.is_between(2, self.rules.posting_cap))
        facts = self.groups
        changed = self.changed.with_columns(is_changed=True)
        found = [self.pairs]
        for part in self.changed.sort("group").iter_slices(_SLICE):
            mine = listed.join(part, on="group", how="semi")
            shared = mine.join(listed, on="term", suffix="_b").rename({"group_b": "other"})
            sums = shared.group_by("group", "other").agg(
                dot=(pl.col("weight").cast(pl.Int64) * pl.col("weight_b")).sum()
            )
            # A pair of two changed groups is met from both sides.
            sums = sums.join(changed, left_on="other", right_on="group", how="left").filter(
                (pl.col("group") < pl.col("other"))
                | (pl.col("is_changed").is_null() & (pl.col("group") != pl.col("other")))
            )
            found.append(self._judge(sums.select("group", "other", "dot"), facts))
        return pl.concat(found)

    def _judge(self, sums: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
        """Of candidates (``group``, ``other``, ``dot`` of their listed terms) those that may."""
        rules = self.rules
        pairs = sums.join(facts, on="group").join(
            facts, left_on="other", right_on="group", suffix="_b"
        )
        root = (pl.col("n") * pl.col("n_b")).cast(pl.Float64).sqrt()
        away = pl.col("is_away") != pl.col("is_away_b")
        needed = (rules.similarity + rules.similarity_of_two / root) * pl.when(away).then(
            rules.across_days
        ).otherwise(1.0)
        full = pl.col("n") * pl.col("n_b") * SCALE**2
        pairs = pairs.with_columns(
            needed=needed, proof=rules.evidence + rules.evidence_of_two / root, full=full
        ).filter(
            (pl.col("dot") >= PHI * pl.col("needed") * pl.col("full"))
            & ~(pl.col("is_fixed") & pl.col("is_fixed_b"))
        )
        exact = self._compare(pairs.select("group", "other"))
        rank = pl.col("dot") / pl.col("full") / pl.col("needed")
        pairs = (
            pairs.drop("dot")
            .join(exact, on=["group", "other"])
            .filter(pl.col("evidence") >= pl.col("proof") * 100)
            .select("group", "other", n="n", n_other="n_b", rank=rank)
            .filter(pl.col("rank") >= 1)
        )
        return pairs.join(find_conflicts(pairs, self.marks), on=["group", "other"], how="anti")

    def _compare(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """With ``dot`` and ``evidence`` over all terms that two groups share."""
        mine = self.vectors.join(pairs.select("group").unique(), on="group", how="semi")
        theirs = self.vectors.join(pairs.select(group="other").unique(), on="group", how="semi")
        shared = pairs.join(mine, on="group").join(
            theirs, left_on=["other", "term"], right_on=["group", "term"], suffix="_b"
        )
        return (
            shared.join(self.evidence, on="term")
            .group_by("group", "other")
            .agg(
                dot=(pl.col("weight").cast(pl.Int64) * pl.col("weight_b")).sum(),
                evidence=pl.col("evidence").sum(),
            )
        )

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
        roots = pl.concat([couple, couples.select("group", into="group")])
        # A group with marks, or fixed, might contradict another that joins in the same round.
        joining = (
            choice.filter(~is_couple, pl.col("n_other") >= self.rules.hub * pl.col("n"))
            .join(self.careful, on="group", how="anti")
            .join(roots, left_on="other", right_on="group")
        )
        return pl.concat([couple, joining.select("group", "into")])

    def _apply(self, moves: pl.DataFrame) -> None:
        """Make the moves; what was known of pairs with a changed group is forgotten."""
        self.changed = moves.select(group="into").unique()
        touched = pl.concat([self.changed, moves.select("group")])
        self.pairs = self.pairs.join(touched, on="group", how="anti").join(
            touched, left_on="other", right_on="group", how="anti"
        )
        self.vectors = _folded(self.vectors, moves, touched, ["group", "term"])
        self.groups = _folded(self.groups, moves, touched, ["group"])
        self.marks = _renamed(self.marks, moves)
        self.careful = _renamed(self.careful, moves)
        into = self.into.rename({"group": "member", "into": "group"})
        self.into = _renamed(into, moves).select(group="member", into="group")


def _renamed(rows: pl.DataFrame, moves: pl.DataFrame) -> pl.DataFrame:
    moved = rows.join(moves, on="group", how="left")
    return moved.with_columns(group=pl.coalesce("into", "group")).drop("into").unique()


def _folded(
    rows: pl.DataFrame, moves: pl.DataFrame, touched: pl.DataFrame, key: list[str]
) -> pl.DataFrame:
    """Rows of groups that became one, added up: numbers are summed, flags as said below."""
    moved = rows.join(touched, on="group", how="semi").join(moves, on="group", how="left")
    moved = moved.with_columns(group=pl.coalesce("into", "group")).drop("into")
    sums = [
        pl.col("is_fixed").any()
        if name == "is_fixed"
        else pl.col(name).all()
        if name == "is_away"
        else pl.col(name).sum()
        for name in rows.columns
        if name not in key
    ]
    return pl.concat([rows.join(touched, on="group", how="anti"), moved.group_by(key).agg(sums)])


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
