"""Agglomerative clustering of titles about the same story, in rounds.

Belongs here: which groups are merged, and the limits of the cost. Does not belong here: a title's
terms (`terms`), what prevents a merge (`serials`), ids of stories (`grouping`).

A group is the sum of its titles' vectors, so the mean similarity (cosine) of the pairs between two
groups of n and m titles is the product of their sums, divided by n x m. In each round the best
partner of every group is found. Two groups that are each other's best partner are merged. A group
whose best partner is much larger is merged with it, too. A round compares only pairs with a group
that changed, and reads only the rows of these groups and of those that share a term with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from ytap_assets.domain.stories.serials import find_conflicts, read_marks
from ytap_assets.domain.stories.terms import SCALE, number_words, weigh_terms

_ROUNDS = 120
_BATCH_ROWS = 750_000
"""The most rows of candidate pairs in memory at once."""
_LEAST_WEIGHT = 0.02
_LEAST_LISTED = 30
_MOST_DOUBT = 1.3


@dataclass(frozen=True)
class Rules:
    """When two groups, of n and m titles, are one story.

    Attributes:
        similarity: The least mean similarity of their pairs, for large groups.
        similarity_of_two: Added to ``similarity`` for two single titles; divided by sqrt(n x m) for
            groups.
        evidence: The least evidence of the shared terms (nats; see `weigh_terms`), for large
            groups.
        evidence_of_two: Added to ``evidence`` for two single titles, times (1.3 - their
            similarity); divided by sqrt(n x m) for groups.
        across_days: A factor of the least similarity if one group has no title of the day itself.
        suggestions: Terms in more groups than this / groups, but at least `_LEAST_LISTED`, are not
            used to find candidates, which limits the cost. They count in the similarity.
        listed_share: The share of the least similarity that a pair's other terms must reach for
            all of its terms to be compared.
        hub: How many times larger a best partner must be to be merged with a group that is not
            its own best partner.
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
        """The information that equal words need for their titles to be the same story."""
        return self.evidence + self.evidence_of_two * (_MOST_DOUBT - 1)


def merge_groups(
    groups: pl.DataFrame, vectors: pl.DataFrame, marks: pl.DataFrame, rules: Rules
) -> pl.Series:
    """Merge groups as long as any two are the same story.

    Groups of different workspaces share no term, so each workspace's result is that of its groups
    alone. Time grows with the pairs of groups that share a listed term.

    Args:
        groups: ``group`` (UInt32, from 0, without gaps, in order), ``workspace_no``, ``n`` (Int64,
            titles), ``is_fixed`` (Boolean: two of them never merge), ``is_away`` (Boolean: no title
            of the day itself).
        vectors: ``group``, ``term`` (UInt32), ``weight`` (sums over the group's titles),
            ``evidence``; unique by group and term, in the order of the terms.
        marks: ``group``, ``key``, ``value`` (integers, of one workspace each): groups that share a
            key and no value of it never merge.
        rules: When to merge.

    Returns:
        For each group, in order, the group that stands for it.
    """
    merging = _Merging(groups, vectors, marks, rules)
    del vectors  # a sixth of the memory that a million titles take
    return merging.run()


def score_pairs(left: pl.Series, right: pl.Series, rules: Rules | None = None) -> pl.Series:
    """The score of each pair of titles; 1 or more means the same story.

    The smaller of similarity / least similarity and evidence / least evidence; 0 for different
    parts of a series.

    Args:
        left: Titles.
        right: As many titles.
        rules: When titles are the same story.

    Returns:
        One Float64 per pair.
    """
    rules = rules or Rules()
    titles = pl.concat([left, right]).unique().sort().alias("title").to_frame()
    titles = titles.with_row_index("title_no")
    number = dict(titles.select("title", "title_no").rows())
    pairs = pl.DataFrame(
        {
            "group": left.replace_strict(number, return_dtype=pl.UInt32),
            "other": right.replace_strict(number, return_dtype=pl.UInt32),
        }
    )
    words, vocabulary = number_words(titles)
    scored = score_numbered(pairs.unique(), words, vocabulary, rules)
    return pairs.join(scored, on=["group", "other"], how="left", maintain_order="left")["score"]


def score_numbered(
    pairs: pl.DataFrame,
    words: pl.DataFrame,
    vocabulary: pl.Series,
    rules: Rules,
    *,
    with_window: bool = True,
) -> pl.DataFrame:
    """The score of pairs of titles whose words are known, as `score_pairs` gives it.

    Args:
        pairs: ``group`` and ``other`` (UInt32): two titles; unique.
        words: ``title_no`` (UInt32) and ``word`` of these titles, in order (`terms.number_words`).
        vocabulary: The words by number, sorted.
        rules: When titles are the same story.
        with_window: Whether the shares of words among these titles count (`terms.weigh_terms`). If
            not, the score of two titles depends on these two only.

    Returns:
        ``pairs`` with ``score`` (Float64), in any order.
    """
    terms = weigh_terms(words, vocabulary, with_window=with_window)
    terms = terms.with_columns(pl.col("weight").cast(pl.Int64))
    mine = terms.rename({"title_no": "group"})
    theirs = terms.select(pl.col("title_no").alias("other"), "term", "weight")
    sums = (
        pairs.join(mine, on="group")
        .join(theirs, on=["other", "term"], suffix="_b")
        .group_by("group", "other")
        .agg(
            likeness=(pl.col("weight") * pl.col("weight_b")).sum() / SCALE**2,
            evidence=pl.col("evidence").sum() / 100,
        )
    )
    likeness, one = pl.col("likeness"), pl.lit(1.0)
    score = pl.min_horizontal(
        likeness / (rules.similarity + rules.similarity_of_two),
        pl.col("evidence") / proof_needed(rules, likeness, one),
    )
    conflicts = find_conflicts(pairs, read_marks(words, vocabulary).rename({"title_no": "group"}))
    sums = sums.with_columns(score=score).join(conflicts, on=["group", "other"], how="anti")
    scored = pairs.join(sums, on=["group", "other"], how="left")
    return scored.select("group", "other", pl.col("score").fill_null(0.0))


def proof_needed(rules: Rules, likeness: pl.Expr, root: pl.Expr) -> pl.Expr:
    """The evidence (nats) that two groups need; ``root`` is sqrt(n x m)."""
    return rules.evidence + rules.evidence_of_two * (_MOST_DOUBT - likeness) / root


class _Merging:
    """The current groups, and the pairs that may be merged."""

    def __init__(
        self, groups: pl.DataFrame, vectors: pl.DataFrame, marks: pl.DataFrame, rules: Rules
    ) -> None:
        self.rules = rules
        self.n, self.is_fixed, self.is_away = groups["n"], groups["is_fixed"], groups["is_away"]
        self._index_terms(groups["workspace_no"], vectors)
        # A key with a single value cannot conflict.
        marks = marks.filter(pl.col("value").n_unique().over("key") > 1)
        self.marks = Segments(groups.height, marks)
        has_marks = self.marks.count > 0
        # Groups with marks and fixed groups may conflict with others merged in the same round.
        self.is_careful = self.is_fixed | has_marks
        self.into, self.has_merged = groups["group"], False
        self.pairs = _no_pairs()
        self.changed = groups["group"].filter(~self.is_fixed)

    def _index_terms(self, workspaces: pl.Series, vectors: pl.DataFrame) -> None:
        """Store the vectors by group, updated with each merge, and by term, never updated."""
        by_term = vectors.with_columns(pl.col("term").rle_id())
        runs = by_term.get_column("term").rle().struct.field("len")
        # Most terms are in one group only, and are in no pair.
        by_term = by_term.filter(pl.lit(runs).gather(pl.col("term")) > 1)
        by_term = by_term.with_columns(pl.col("term").rle_id(), pl.col("weight").cast(pl.Int32))
        counts = by_term.get_column("term").rle().struct.field("len")
        self.frequency = counts.cast(pl.Int64)
        first = pl.select(start=pl.lit(counts).cum_sum() - pl.lit(counts)).to_series()
        self.evidence = by_term.get_column("evidence").gather(first).cast(pl.Int64)
        self.postings = Segments.of_runs(by_term.select("group", "weight"), first, counts)
        sizes = workspaces.value_counts().rename({"count": "groups"})
        listed = pl.max_horizontal(
            pl.lit(_LEAST_LISTED), self.rules.suggestions // pl.col("groups").cast(pl.Int64)
        )
        of_group = workspaces.to_frame().join(
            sizes.select("workspace_no", listed=listed), on="workspace_no", maintain_order="left"
        )["listed"]
        self.listed = of_group.gather(by_term.get_column("group").gather(first))
        self.vectors = Segments(workspaces.len(), by_term.select("group", "term", "weight"))

    def run(self) -> pl.Series:
        for _ in range(_ROUNDS):
            self.pairs = self._find_pairs()
            moves = self._choose_moves()
            if moves.is_empty():
                break
            self._apply(moves)
        return self.into

    def _find_pairs(self) -> pl.DataFrame:
        """The pairs of a changed group and any other that may be merged."""
        changed = self.changed.alias("group").to_frame()
        parts = list(split_rows(changed, self.vectors.lengths(self.changed), by="group"))
        # The terms are read twice, which takes less memory than the rows of all groups.
        wanted = pl.repeat(value=False, n=self.frequency.len(), dtype=pl.Boolean, eager=True)
        for part in parts:
            wanted.scatter(self._list_terms(part)["term"].unique(), True)  # noqa: FBT003
        lists = self._list_groups(wanted.arg_true())
        found = [self.pairs]
        for part in parts:
            mine = self._list_terms(part)
            lengths = lists.lengths(mine.get_column("term"))
            found += [
                self._judge(self._sum_products(some, lists))
                for some in split_rows(mine, lengths, by="group")
            ]
        return pl.concat(found)

    def _list_terms(self, groups: pl.DataFrame) -> pl.DataFrame:
        """The terms of groups that are used to find candidates: ``group, term, weight``."""
        frequency = self._of(self.frequency, "term")
        is_listed = (frequency >= 2) & (frequency <= self._of(self.listed, "term"))
        rows = self.vectors.join(groups, "group").filter(is_listed)
        return rows.filter(self._has_weight("group"))

    def _list_groups(self, terms: pl.Series) -> Segments:
        """The current groups that contain each of the terms: ``other, weight_b``."""
        rows = self.postings.read(terms, "term").with_columns(
            group=pl.lit(self.into).gather(pl.col("group"))
        )
        if self.has_merged:
            keyed = rows.group_by(key=join_key("term", "group")).agg(pl.col("weight").sum())
            rows = _split_key(keyed, "term", "group")
        rows = rows.filter(self._has_weight("group"))
        return Segments(
            self.frequency.len(),
            rows.select("term", other="group", weight_b="weight"),
        )

    def _sum_products(self, mine: pl.DataFrame, lists: Segments) -> pl.DataFrame:
        """The pairs of groups that share a listed term: ``group, other, dot``."""
        is_changed = pl.repeat(value=False, n=self.n.len(), dtype=pl.Boolean, eager=True)
        is_changed.scatter(self.changed, True)  # noqa: FBT003
        group, other = pl.col("group"), pl.col("other")
        # A pair of two changed groups is found twice.
        once = (group < other) | (~self._of(is_changed, "other") & (group != other))
        sums = (
            lists.join(mine, "term")
            .filter(once)
            .group_by(key=join_key("group", "other"))
            .agg(dot=(pl.col("weight") * pl.col("weight_b").cast(pl.Int64)).sum())
        )
        return _split_key(sums, "group", "other")

    def _has_weight(self, which: str) -> pl.Expr:
        return pl.col("weight") >= self._of(self.n, which) * int(_LEAST_WEIGHT * SCALE)

    @staticmethod
    def _of(fact: pl.Series, which: str) -> pl.Expr:
        return pl.lit(fact).gather(pl.col(which))

    def _judge(self, sums: pl.DataFrame) -> pl.DataFrame:
        """The candidates (``group``, ``other``, ``dot`` of listed terms) that may be merged."""
        rules, of = self.rules, self._of
        pairs = sums.with_columns(n=of(self.n, "group"), n_other=of(self.n, "other"))
        root = (pl.col("n") * pl.col("n_other")).cast(pl.Float64).sqrt()
        away = of(self.is_away, "group") != of(self.is_away, "other")
        needed = (rules.similarity + rules.similarity_of_two / root) * pl.when(away).then(
            rules.across_days
        ).otherwise(1.0)
        likeness = pl.col("dot") / (pl.col("n") * pl.col("n_other") * SCALE**2)
        pairs = pairs.with_columns(needed=needed).filter(
            likeness >= rules.listed_share * pl.col("needed"),
            ~(of(self.is_fixed, "group") & of(self.is_fixed, "other")),
        )
        if pairs.is_empty():
            return _no_pairs()
        proof = proof_needed(rules, likeness, root)
        pairs = (
            self._compare(pairs.drop("dot"))
            .filter(pl.col("evidence") >= proof * 100, likeness >= pl.col("needed"))
            .select("group", "other", "n", "n_other", rank=likeness / pl.col("needed"))
        )
        return self._without_conflicts(pairs)

    def _compare(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """The pairs with ``dot`` and ``evidence`` of all terms that both groups have."""
        pairs = pairs.with_row_index("pair")
        key = join_key("pair", "term")
        found = []
        lengths = self.vectors.lengths(pairs["group"]) + self.vectors.lengths(pairs["other"])
        for part in split_rows(pairs.select("pair", "group", "other"), lengths, by="pair"):
            mine = self.vectors.join(part.select("pair", "group"), "group")
            theirs = self.vectors.join(part.select("pair", "other"), "other")
            shared = mine.select("pair", "term", "weight", key=key).join(
                theirs.select(weight_b="weight", key=key), on="key"
            )
            shared = shared.select(
                "pair",
                dot=pl.col("weight").cast(pl.Int64) * pl.col("weight_b"),
                evidence=self._of(self.evidence, "term"),
            )
            found.append(shared.group_by("pair").sum())
        return pairs.join(pl.concat(found), on="pair").drop("pair")

    def _without_conflicts(self, pairs: pl.DataFrame) -> pl.DataFrame:
        has_marks = (self._of(self.marks.count, which) > 0 for which in ("group", "other"))
        marked = pairs.filter(*has_marks)
        if marked.is_empty():
            return pairs
        marks = self.marks.read(pl.concat([marked["group"], marked["other"]]).unique(), "group")
        return pairs.join(find_conflicts(marked, marks), on=["group", "other"], how="anti")

    def _choose_moves(self) -> pl.DataFrame:
        """The merges of this round: ``group``, ``into``."""
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
        small = choice.filter(
            ~is_couple,
            pl.col("n_other") >= self.rules.hub * pl.col("n"),
            ~self._of(self.is_careful, "group"),
        )
        joining = (
            small.join(small.select(other="group"), on="other", how="anti")
            .join(couple.rename({"group": "other"}), on="other", how="left")
            .select("group", into=pl.coalesce("into", "other"))
        )
        return pl.concat([couple, joining])

    def _apply(self, moves: pl.DataFrame) -> None:
        """Merge groups, and remove the pairs that contain one of them."""
        self.changed = moves.get_column("into").unique().sort()
        touched = pl.concat([self.changed, moves.get_column("group")])
        target = pl.int_range(self.n.len(), dtype=pl.UInt32, eager=True)
        target.scatter(moves.get_column("group"), moves.get_column("into"))
        self.into, self.has_merged = target.gather(self.into), True
        is_touched = pl.repeat(value=False, n=self.n.len(), dtype=pl.Boolean, eager=True)
        is_touched.scatter(touched, True)  # noqa: FBT003
        self.pairs = self.pairs.filter(
            ~self._of(is_touched, "group"), ~self._of(is_touched, "other")
        )
        into = pl.lit(target).gather(pl.col("group")).alias("group")
        before = self.vectors.read(touched, "group").with_columns(into)
        after = _split_key(
            before.group_by(key=join_key("group", "term")).agg(
                pl.col("weight").sum(), len=pl.len()
            ),
            "group",
            "term",
        )
        # A term that several merged groups had is now in one group.
        lost = (
            after.filter(pl.col("len") > 1)
            .group_by("term")
            .agg(by=(pl.col("len").cast(pl.Int64) - 1).sum())
        )
        terms = lost.get_column("term")
        self.frequency.scatter(terms, self.frequency.gather(terms) - lost.get_column("by"))
        self.vectors.replace(touched, after.drop("len"))
        marks = self.marks.read(touched, "group").with_columns(into)
        self.marks.replace(touched, marks.unique())
        self._sum_facts(touched, target)

    def _sum_facts(self, touched: pl.Series, target: pl.Series) -> None:
        """Update the size and the flags of the groups that changed."""
        facts = pl.DataFrame(
            {
                "group": target.gather(touched),
                "n": self.n.gather(touched),
                "is_fixed": self.is_fixed.gather(touched),
                "is_away": self.is_away.gather(touched),
                "is_careful": self.is_careful.gather(touched),
            }
        )
        facts = facts.group_by("group").agg(
            pl.col("n").sum(),
            pl.col("is_fixed", "is_careful").any(),
            pl.col("is_away").all(),
        )
        for name in ("n", "is_fixed", "is_away", "is_careful"):
            changed = getattr(self, name).clone()
            changed.scatter(facts.get_column("group"), facts.get_column(name))
            setattr(self, name, changed)


class Segments:
    """Rows of many keys (numbers from 0), with the rows of each key in one contiguous piece.

    Replaced rows are appended and the old ones are no longer read, so the cost of a change is
    proportional to its rows.
    """

    def __init__(self, keys: int, rows: pl.DataFrame) -> None:
        """Take ``rows``, with their key in the first column, in any order."""
        name, *rest = rows.columns
        rows = rows.sort(name)
        runs = rows.get_column(name).rle()
        counts = runs.struct.field("len")
        self.start = pl.zeros(keys, pl.UInt32, eager=True)
        self.count = pl.zeros(keys, pl.UInt32, eager=True)
        self.rows = rows.select(rest)
        self._place(runs.struct.field("value"), counts, 0)

    @classmethod
    def of_runs(cls, rows: pl.DataFrame, start: pl.Series, count: pl.Series) -> Segments:
        """Segments of rows that are already sorted by key."""
        made = cls.__new__(cls)
        made.rows, made.start, made.count = rows, start.cast(pl.UInt32), count.cast(pl.UInt32)
        return made

    def _place(self, keys: pl.Series, counts: pl.Series, offset: int) -> None:
        starts = counts.cum_sum() - counts + offset
        self.start.scatter(keys, starts.cast(pl.UInt32))
        self.count.scatter(keys, counts.cast(pl.UInt32))

    def lengths(self, keys: pl.Series) -> pl.Series:
        """How many rows each key has."""
        return self.count.gather(keys)

    def read(self, keys: pl.Series, name: str) -> pl.DataFrame:
        """The rows of some keys, with the key as column ``name``."""
        return self.join(keys.alias(name).to_frame(), name)

    def join(self, frame: pl.DataFrame, name: str) -> pl.DataFrame:
        """``frame`` with the rows of the key in its column ``name``."""
        keys = frame.get_column(name)
        start, count = self.start.gather(keys), self.count.gather(keys)
        places = pl.select(
            place=pl.int_ranges(pl.lit(start), pl.lit(start + count), dtype=pl.UInt32)
        ).to_series()
        many = frame.with_columns(place=places).explode("place", empty_as_null=False)
        place = many.get_column("place")
        return many.drop("place").hstack(self.rows.select(pl.all().gather(place)).get_columns())

    def replace(self, keys: pl.Series, rows: pl.DataFrame) -> None:
        """Replace the rows of some keys; those without new rows have none."""
        name = rows.columns[0]
        rows = rows.sort(name)
        runs = rows.get_column(name).rle()
        self.count.scatter(keys, 0)
        self._place(runs.struct.field("value"), runs.struct.field("len"), self.rows.height)
        self.rows.extend(rows.select(self.rows.columns))


def split_rows(frame: pl.DataFrame, lengths: pl.Series, *, by: str) -> Iterator[pl.DataFrame]:
    """Split a frame, in the order of its rows, into parts of about `_BATCH_ROWS` of ``lengths``.

    Adjacent rows with the same value of ``by`` are in the same part.
    """
    if frame.is_empty():
        return
    batch = lengths.cast(pl.Int64).cum_sum() // _BATCH_ROWS
    if batch[-1]:
        piece = frame.get_column(by).rle_id()
        batch = batch.gather(piece.search_sorted(piece))
    start = 0
    for count in batch.rle().struct.field("len"):
        yield frame.slice(start, count)
        start += count


def join_key(high: str, low: str) -> pl.Expr:
    """Two columns as one number: grouping and joining by it takes half the time."""
    return pl.col(high).cast(pl.UInt64) * 2**32 + pl.col(low)


def _split_key(rows: pl.DataFrame, high: str, low: str) -> pl.DataFrame:
    """``rows`` with the two columns of `join_key` in place of ``key``."""
    both = pl.col("key") // 2**32, pl.col("key") % 2**32
    names = (high, low)
    halves = (half.cast(pl.UInt32).alias(name) for half, name in zip(both, names, strict=True))
    return rows.select(*halves, pl.exclude("key"))


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
