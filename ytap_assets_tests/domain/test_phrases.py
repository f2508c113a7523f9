from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ytap_assets.domain.phrases import (
    MAX_PHRASE_CHARACTERS,
    _compile_phrases,
    check_phrase,
    check_regex,
    find_phrases,
    is_listing,
    is_phrase,
    join_regexes,
    mask_phrases,
)
from ytap_assets.domain.text import normalize_texts
from ytap_assets_tests.effort import examples

Found = list[tuple[int, str]]


def find(texts: list[str], phrases: list[str]) -> Found:
    forms = normalize_texts(pl.Series(texts, dtype=pl.String))
    return find_phrases(forms, phrases).select("row", "phrase").rows()


def is_found(phrase: str, text: str) -> bool:
    return bool(find([text], [phrase]))


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("secret", "My SECRET recipe"),
        ("secret", "(secret)"),
        ("free robux", "Get Free\t ROBUX now"),
        ("казино", "Лучшее КАЗИНО!"),
        ("हिन्दी", "यह हिन्दी है"),
        ("c++", "C++ in 2026"),
        (".NET", "Use .NET now"),
        ("$$$", "win $$$ today"),
        ("a.b", "a.b"),
        ("Tesla", "Tesla's battery"),
        ("hôtel", "L\u2019hôtel"),
    ],
)
def test_finds_whole_words_whatever_the_case(phrase: str, text: str) -> None:
    assert is_found(phrase, text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("人工知能", "日本の人工知能研究"),
        ("副業", "誰でもできる副業で月収"),
        ("カジノ", "オンラインカジノ"),
        ("赌博", "网络赌博的危害"),
        ("การพนัน", "เว็บการพนันออนไลน์"),
        ("ឡាន", "ទិញឡានថ្មី"),
        ("AI", "最新のAIモデル"),
        ("2025", "2025年の予測"),
        ("5月1日", "5月1日に発売"),
        ("AI 副業", "AI副業で稼ぐ"),
        ("AI副業", "AI 副業で稼ぐ"),
        ("AI 副業", "AI 副業"),
        ("スティーブ・ジョブズ", "スティーブ ジョブズの言葉"),
        ("도박", "도박을 끊다"),
        ("도박", "AI도박"),
        ("AI", "AI가 세상을 바꾼다"),
        ("인공 지능", "인공지능의 미래"),
    ],
)
def test_finds_words_of_scripts_without_spaces_and_korean_with_particles(
    phrase: str, text: str
) -> None:
    assert is_found(phrase, text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("قمار", "حكم القمار"),
        ("قمار", "والقمار حرام"),
        ("قمار", "لا للقمار"),
        ("القمار", "لا للقمار"),
        ("القمار", "بالقمار"),
        ("كرة قدم", "كرة القدم"),
        ("قمار", "ق\u064fم\u064eار"),
        ("قمار", "قمـــار"),
        ("إسلام", "الاسلام"),
        ("می\u200cخواهم", "ميخواهم"),
        ("הימורים", "בהימורים"),
        ("צה\u05f4ל", 'צה"ל'),
    ],
)
def test_finds_arabic_and_hebrew_words_with_what_is_written_before_them(
    phrase: str, text: str
) -> None:
    assert is_found(phrase, text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("don't", "I don\u2019t know"),
        ("don\u2019t", "I don`t know"),
        ("AT&T", "AT&amp;T news"),
        ("AT&amp;T", "AT&T news"),
        ("caf\u00e9 noir", "caf&eacute;&nbsp;noir"),
        ("iPhone 17", "iPhone\u2122 17"),
        ("Ozempic", "Ozempic\u2122"),
        ("Coca\u00ae", "coca"),
        ("free robux", "free-robux"),
        ("free robux", "free_robux"),
        ("secret", "my_secret_file"),
        ("free robux", "free\u2011robux"),
        ("v\u2013bucks", "v bucks"),
        ("robux", "ro\u00adbux"),
        ("casino", "ca\u200bsi\u2060no\ufe0f"),
        ("casino", "\uff23\uff41\uff53\uff49\uff4e\uff4f"),
        ("casino", "\U0001f172\U0001f170\U0001f182\U0001f178\U0001f17d\U0001f17e"),
        ("casino", "c\u0430sin\u043e"),
        ("казино", "кaзинo"),
        ("パチンコ", "\uff8a\uff9f\uff81\uff9d\uff7a"),
        ("٢٠٢٥", "2025"),
    ],
)
def test_spellings_of_one_word_are_one_word(phrase: str, text: str) -> None:
    assert is_found(phrase, text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("Pokemon", "Pok\u00e9mon"),
        ("Pok\u00e9mon", "POKE\u0301MON"),
        ("cafe ol\u00e9", "Caf\u00e9 Ol\u00e9"),
        ("Lodz", "\u0141\u00f3d\u017a"),
        ("casino", "c\u0337a\u0337sino"),
        ("\u00c9tats-Unis", "ETATS-UNIS"),
        ("καζίνο", "ΚΑΖΙΝΟ"),
        ("οδος", "ΟΔΟΣ"),
        ("ёлка", "елка"),
        ("казино", "кази\u0301но"),
        ("straße", "STRASSE"),
        ("ışık", "IŞIK"),
        ("istanbul", "İSTANBUL"),
        ("İstanbul", "istanbul"),
    ],
)
def test_a_phrase_without_accents_is_found_with_them_and_in_capitals(
    phrase: str, text: str
) -> None:
    assert is_found(phrase, text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("secret", "Secretary of State"),
        ("secret", "top-secrets"),
        ("ass", "Classic class"),
        ("AI", "he said"),
        ("caf", "caf\u00e9"),
        ("казино", "Казинорояль"),
        ("हिन्द", "हिन्दी"),
        ("a.b", "axb"),
        ("c++", "C+"),
        ("free robux", "free, robux"),
        ("C programming", "C# programming"),
        ("fck", "f*ck"),
        ("hashtag x", "#hashtag #y"),
        ("나이", "나 이거 봤어"),
        (".NET", "In the end. Net profit fell"),
        ("5月1日", "15月1日"),
        ("도박", "온라인도박"),
        ("قمار", "أقمارنا"),
        ("año", "ano"),
        ("bán", "bạn"),
        ("bê", "bế"),
        ("мои", "мой"),
        ("C", "С Новым годом"),
    ],
)
def test_never_finds_a_part_of_a_word_or_another_word(phrase: str, text: str) -> None:
    assert not is_found(phrase, text)


@pytest.mark.parametrize(
    "text",
    [
        "<b>free</b> <i>robux</i>",
        "free<br>robux",
        "<p>free</p><p>robux</p>",
        '<a href="https://a.example/x">free</a> robux',
        "fr<b>ee</b> robux",
        "free<!-- here --> robux",
        "&lt;b&gt;free&lt;/b&gt; robux",
        'free <break time="1s"/> robux',
        "**free** **robux**",
        "***free*** _robux_",
        "__free__ ~~robux~~",
        "`free` `robux`",
        "f**ree** robux",
        "[free](https://a.example/x) [robux](b)",
        "free\\_robux",
        "free\n\n## robux",
        "- free\n> - robux",
        "#free #robux",
        "free - robux",
        "free \u2013 robux",
        "free \u2022 robux",
    ],
)
def test_finds_phrases_in_html_and_markdown(text: str) -> None:
    assert is_found("free robux", text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("AT&T", "**AT&T** news"),
        ("AT&T", "AT<b>&amp;</b>T"),
        ("C#", "**C#** 12"),
        ("C#", "C\\# 12"),
        ("C++", "`C++`"),
        ("f*ck", "what the f*ck"),
        ("f**k", "f**k this s**t"),
        ("#hashtag", "a #hashtag"),
        ("A* search", "A* search"),
        ("don't", "don`t"),
        ("<select>", "the <select> element"),
        ("c", "a<b and c>d"),
        ("ouo.io", "[x](https://ouo.io/y)"),
        ("ouo.io", '<a href="https://ouo.io/y">x</a>'),
    ],
)
def test_marks_of_a_word_are_no_markup(phrase: str, text: str) -> None:
    assert is_found(phrase, text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("オンラインカジノ", "オンライン・カジノ"),
        ("オンラインカジノ", "オンライン カジノで"),
        ("オンラインカジノ", "**オンライン**カジノ"),
        ("オンライン・カジノ", "オンラインカジノ"),
        ("赌博", "参赛 赌 博"),
        ("赌博", "赌\u00b7博"),
        ("赌博", "赌<br>博"),
        ("พนันออนไลน์", "พนัน ออนไลน์"),
        ("온라인도박", "온라인 도박을"),
        ("비트코인", "비트 코인"),
        ("도박", "도\u00b7박"),
    ],
)
def test_finds_an_unspaced_phrase_in_spaced_text(phrase: str, text: str) -> None:
    assert is_found(phrase, text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("casino", "cas\u03b9no"),
        ("hack", "ha\u0441\u03ba"),
        ("hack", "h\u0430\u0441\u043a"),
        ("robux", "rob\u03c5x"),
        ("crypto", "cryp\u03c4o"),
        ("casino", "\u03f2asino"),
        ("casino", "\u03f9\u0430sino"),
        ("casino", "casin\u0585"),
        ("loan", "\u04cfoan"),
        ("viagra", "\u0475iagra"),
        ("free", "f\u0433ee"),
        ("robux", "\u0280\u1d0f\u0299\u1d1cx"),
        ("gold", "\u0261old"),
        ("robux", "r\u0489o\u0489b\u0489u\u0489x\u0489"),
        ("robux", "r\u20d2obux"),
        ("robux", "r\ufe20obux"),
        ("казино", "к\u0336а\u0336зино"),
        ("казино", "kазино"),
        ("καζίνο", "κ\u0061ζίν\u006f"),
    ],
)
def test_letters_and_overlays_of_the_same_look_are_one(phrase: str, text: str) -> None:
    assert is_found(phrase, text)


def test_a_letter_of_another_alphabet_stays_in_its_own_words() -> None:
    assert not is_found("kiss", "\u03ba\u03b9\u03c3\u03c2")
    assert not is_found("hopa", "\u043d\u043e\u0440\u0430")


def test_phrases_that_share_their_longest_word_are_tried_by_another() -> None:
    phrases = [f"phrase number {number}" for number in range(2_000)]
    words = _compile_phrases(tuple(phrases))["word"]
    assert words.n_unique() > 1_900
    texts = [f"some phrase number {number} here" for number in range(0, 2_000, 7)]
    assert [phrase for _, phrase in find(texts, phrases)] == phrases[::7]


def test_words_within_each_other_are_looked_for_in_a_long_text() -> None:
    phrases = ["a" * count for count in range(1, 50)]
    assert find(["a" * 30_000 + " aaa"], phrases) == [(0, "aaa")]


def test_finds_in_the_order_of_the_list_each_phrase_once() -> None:
    texts = ["Rust and rust and AI", "", "AI モデル"]
    phrases = ["ai", "Rust", "RUST", "go"]
    assert find(texts, phrases) == [(0, "ai"), (0, "Rust"), (2, "ai")]


phrases = st.text(min_size=1, max_size=20).filter(is_phrase)


@given(st.one_of(st.text(max_size=5), st.sampled_from(["&nbsp;", "\u0640", "\u3164", "\u02bb"])))
def test_a_phrase_is_what_is_found_in_itself(text: str) -> None:
    assert is_phrase(text) == is_found(text, f"x {text} x")


@example("A\xb5", "日本{}日本")
@given(phrases, st.sampled_from(["{}", "a {} b", "({})", "日本{}日本", "\t{}\n"]))
def test_any_phrase_is_found_where_it_stands(phrase: str, place: str) -> None:
    # Marks alone are gaps between characters of a script without spaces.
    assume(place != "日本{}日本" or any(map(str.isalnum, phrase)))
    # The parenthesis behind it would complete the target of a Markdown link, which is no text.
    assume(place != "({})" or "](" not in phrase)
    assert is_found(phrase, place.format(phrase))


@settings(max_examples=examples(40))
@given(phrases, st.text(), st.text())
def test_any_text_can_be_searched_and_each_by_itself(phrase: str, one: str, two: str) -> None:
    together = find([one, two], [phrase])
    assert [row for row, _ in together] == [
        row for row, text in enumerate((one, two)) if is_found(phrase, text)
    ]


def test_a_very_long_list_is_searched() -> None:
    phrases = [f"phrase number {number} {'x' * 100}" for number in range(3_000)]
    texts = [phrases[0], phrases[-1], "phrase number"]
    assert find(texts, phrases) == [(0, phrases[0]), (1, phrases[-1])]
    forms = normalize_texts(pl.Series(texts))
    assert mask_phrases(forms, phrases)["masked"].to_list() == ["\x00", "\x00"]


def test_nothing_listed_is_nothing_to_find() -> None:
    assert find(["anything"], []) == []
    assert find([], ["anything"]) == []
    assert join_regexes([]) == []


def test_masking_does_not_join_neighbours() -> None:
    forms = normalize_texts(pl.Series(["free lunch robux", "free robux", "お昼のlunch"]))
    masked = mask_phrases(forms, ["lunch"])
    assert masked["row"].to_list() == [0, 2]
    rest = pl.DataFrame({"normal": masked["masked"], "searched": masked["masked"]})
    assert find_phrases(rest, ["free robux", "lunch"]).is_empty()


@pytest.mark.parametrize(
    "text",
    ["", " ", "\u200b", "\u00ad", "\u2014", "- _ -", "\u2122", "\u0301", "\x1f", "x" * 201],
    ids=range(10),
)
def test_a_phrase_that_is_found_nowhere_is_refused(text: str) -> None:
    with pytest.raises(
        ValueError, match="no searchable character" if len(text) < 201 else "at most 200"
    ):
        check_phrase(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("free*", "not a wildcard"),
        ("*free robux", "not a wildcard"),
        ("(?i)free", "not a regular expression"),
        (r"\bfree\b", "not a regular expression"),
        ("free.*robux", "not a regular expression"),
        ("free|robux", "not a regular expression"),
        ("^free", "not a regular expression"),
        ("/free robux/i", "not a regular expression"),
        ("free robux\nvbucks", "one line"),
    ],
)
def test_a_phrase_that_is_written_as_something_else_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_phrase(text)


@pytest.mark.parametrize(
    "text",
    ["A*", "f***", "f*ck", "AC\\DC", "^_^", "C++", ".NET", "wait...", "a | b", "/r/rust/", "x\n"],
)
def test_a_phrase_may_have_marks(text: str) -> None:
    assert check_phrase(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("free robux, free vbucks", True),
        ("副業、カジノ", True),
        ("5,000 subscribers", False),
        ("free robux,", False),
    ],
)
def test_commas_between_phrases_are_noticed(text: str, expected: bool) -> None:
    assert is_listing(text) == expected


@pytest.mark.parametrize("text", ["$$$", "C", "副", "!", "x" * MAX_PHRASE_CHARACTERS])
def test_a_phrase_is_given_back(text: str) -> None:
    assert check_phrase(text) == text


@pytest.mark.parametrize(
    ("regex", "said"),
    [
        ("(", "unclosed group"),
        ("(?=x)", "look-around"),
        (r"(x)\1", "backreferences are not supported"),
        ("(a{1000}){1000}", "exceeds size limit"),
        ("x*", "empty text"),
        ("x" * 501, "at most 500"),
        ("\bfree robux\b", r"U\+0008.*double quotes"),
        (r"\x08free", r"U\+0008"),
        ("\x00free", r"U\+0000"),
        ("/free robux/i", r"write \(\?i\)free robux instead"),
        ("/free robux/", "write free robux instead"),
        ("Ozempic\u2122", r"U\+2122"),
        ("\uff46ree", r"U\+FF46.*'f'"),
        ("free\u200brobux", r"U\+200B.*nothing"),
        (r"free\x{200B}robux", r"U\+200B.*nothing"),
        (r"free\u2122", r"U\+2122"),
        ("AT&amp;T", "write 'AT&T'"),
        ("cafe\u0301", "write 'caf\u00e9'"),
        ("don\u2019t", r"U\+2019"),
        ("[\u2013\u2014]x", r"U\+2013"),
    ],
)
def test_an_expression_is_refused_in_the_engines_words(regex: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_regex(regex)


@pytest.mark.parametrize(
    "regex",
    [
        r"(?i)\bx\b",
        "don['\u2019]t",
        "[^\x00-\x7f]{3}",
        r"[^\x00-\x7F]{3}",
        r"[\x{1F300}-\x{1FAFF}]{3}",
        r"free\/robux",
        "caf\u00e9|R&D",
        "副業.*万円",
        "\tx",
    ],
    ids=range(9),
)
def test_an_expression_is_given_back(regex: str) -> None:
    assert check_regex(regex) == regex


@settings(max_examples=examples(40))
@given(st.text(max_size=20))
def test_any_expression_is_taken_or_refused(regex: str) -> None:
    try:
        checked = check_regex(regex)
    except ValueError:
        return
    assert pl.Series(["abc"]).str.contains(checked).len() == 1


_GUIDE = Path(__file__).parents[2] / "docs" / "matching.md"


def test_the_guides_examples_match_as_it_says() -> None:
    rows = re.findall(
        r"^\|([^|\n]*)\|([^|\n]*)\|([^|\n]*)\|([^|\n]*)\|$", _GUIDE.read_text("utf-8"), re.M
    )
    examples = [
        (phrase, text, is_match)
        for *_, matches, others in rows
        for cell, is_match in ((matches, True), (others, False))
        for phrase, text in re.findall(r"`([^`]+)` in ([^,|]+?)(?:,| and |$)", cell.strip())
    ]
    assert len(examples) >= 10
    assert [one for one in examples if is_found(one[0], one[1]) != one[2]] == []


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("海南", "上海 南京 双城记"),
        ("京都", "東京 都知事選"),
        ("日本", "今日 本番スタート"),
        ("社会", "新華社-会社"),
        ("色情", "特色 情人节礼物"),
        ("赌博", "禁赌 博物馆开放"),
        ("中国", "生放送 中\n国会中継"),
        ("カジノ", "アフリカ ジノサイド"),
    ],
)
def test_the_ends_of_two_words_make_no_phrase(phrase: str, text: str) -> None:
    assert not is_found(phrase, text)
