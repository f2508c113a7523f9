"""What words are read out of titles, and what they weigh."""

from __future__ import annotations

import importlib
from pathlib import Path

import polars as pl
import pytest

from ytap_assets.domain.stories.terms import (
    COMMON_SHARES,
    MAX_CHARACTERS,
    SCALE,
    number_words,
    read_words,
    weigh_terms,
)


def words_of(title: str | None) -> list[str]:
    titles = pl.DataFrame(
        {"title_no": [0], "title": [title]}, schema={"title_no": pl.UInt32, "title": pl.String}
    )
    return read_words(titles)["word"].to_list()


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Apple's iPhones: 7.1, unveiled!", ["appl", "iphon", "7.1", "unveil"]),
        ("BEYONCÉ beyonce", ["beyonc", "beyonc"]),
        ("#272 now", ["nr", "272", "now"]),
        ("東京都 と", ["東京", "京都", "と"]),
        ("한국어", ["한국", "국어"]),
        ("Привет, мир", ["привет", "мир"]),
        ("🔥\x00\u202e\u2066", []),
        (
            "Vol\u00adcano\u200b er\u2060upts\ufeff \u2764\ufe0f now\u200d",
            ["volcano", "erupt", "now"],
        ),
        ("\u3164hang\u034ful\ufe0f", ["hangul"]),
        (
            "第十二集 第3回 ep.12 (2/5)",
            ["第", "12", "集", "第", "3", "回", "ep", "12", "2", "of", "5"],
        ),
        ("\u0663 \u0e53 \u096b \uff15 twenty-one", ["3", "3", "5", "5", "21"]),
        ("", []),
        (None, []),
        ("Attention Required! | Cloudflare", []),
        ("Before you continue to YouTube", []),
        ("Subscribe to read | Financial Times", []),
        ("[deleted by user]", []),
        ("404 - Page not found", []),
        ("Bloomberg - Are you a robot?", []),
        ("しばらくお待ちください...", []),
        ("Are you a robot lover", ["are", "you", "a", "robot", "lov"]),
    ],
)
def test_words(title: str | None, words: list[str]) -> None:
    assert words_of(title) == words


def test_what_cannot_be_seen_does_not_use_up_what_is_read_of_a_title() -> None:
    assert words_of("\u200b" * 10_000 + "word") == ["word"]


def test_the_rest_of_a_long_title_is_not_read() -> None:
    assert words_of("x" * MAX_CHARACTERS + " more" * 1_000_000) == ["x" * MAX_CHARACTERS]


def test_each_title_has_the_same_length() -> None:
    titles = pl.DataFrame(
        {"title_no": [0, 1], "title": ["Snowden speaks at SXSW", "the video"]},
        schema_overrides={"title_no": pl.UInt32},
    )
    terms = weigh_terms(*number_words(titles))
    lengths = terms.group_by("title_no").agg((pl.col("weight") ** 2).sum().sqrt())["weight"]
    assert lengths.is_between(SCALE * 0.99, SCALE * 1.01).all()


def test_rare_words_prove_more_than_common_ones_and_phrases_take_back() -> None:
    titles = pl.DataFrame(
        {"title_no": [0], "title": ["snowden how"]}, schema_overrides={"title_no": pl.UInt32}
    )
    evidence = weigh_terms(*number_words(titles)).sort("evidence")["evidence"].to_list()
    phrase, common, rare = evidence
    assert phrase < 0 < common < rare


def test_what_a_large_window_repeats_proves_less_there() -> None:
    titles = [f"zorblax {number} quux{number}" for number in range(2000)]
    frame = pl.DataFrame({"title": titles}).with_row_index("title_no")
    terms = weigh_terms(*number_words(frame))
    by_use = terms.group_by("term").agg(pl.len(), pl.col("evidence").first()).sort("len")
    evidence = by_use["evidence"].to_list()
    assert evidence[-1] < 400
    assert max(evidence) > 900


def test_common_words_are_shares_of_stems() -> None:
    assert COMMON_SHARES["the"] >= 0.05
    assert all(0 < share < 1 for share in COMMON_SHARES.values())


def test_the_script_replaces_its_assignment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "scripts")
    script = importlib.import_module("count_common_words")
    before = '"""A module."""\n\nOTHERS = {\n    1: "x",\n}\n\n# About the bands.\n_BANDS = '
    after = "\n\nSHARES = {\n    word for words in _BANDS.values() for word in words.split()\n}\n"
    shares = pl.DataFrame({"word": ["of", "new", "and"], "share": [0.06, 0.03, 0.05]})

    written = script.replace_bands(
        f'{before}{{\n    0.5: """\n    old\n    """,\n}}{after}', shares, 9
    )

    assert written.startswith(before)
    assert written.endswith(after)
    assert script.replace_bands(written, shares, 9) == written
    names: dict[str, dict[float, str]] = {}
    exec(written, names)  # noqa: S102 - the module above
    words = {share: tuple(words.split()) for share, words in names["_BANDS"].items()}
    assert words == dict.fromkeys(script.BANDS, ()) | {0.05: ("and", "of"), 0.02: ("new",)}
