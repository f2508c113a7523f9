"""Codes of languages and countries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.domain.languages import check_country, check_language, has_other_languages


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("en", "en"),
        ("EN", "EN"),
        ("pt-BR", "pt-BR"),
        ("eng", "en"),
        ("deu", "de"),
        ("ger", "de"),
        ("DEU-AT", "de-AT"),
        ("jpn", "ja"),
        ("zho_Hant", "zh_Hant"),
        ("chi", "zh"),
        ("cmn", "zh"),
        ("fil", "tl"),
        ("nob", "nb"),
        ("tlh", "tlh"),
        ("mul", "mul"),
    ],
)
def test_a_code_of_three_letters_is_the_one_of_two(text: str, tag: str) -> None:
    assert check_language(text) == tag
    assert check_language(tag) == tag


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("jp", "ja (Japanese)"),
        ("jap", "ja (Japanese)"),
        ("us", "en (English)"),
        ("iw", "he (Hebrew)"),
        ("German", "de (German)"),
        ("spansh", "es (Spanish)"),
        ("xyz", "such as en or pt-BR"),
        ("abc", "such as en or pt-BR"),
        ("xx-YY", "such as en or pt-BR"),
        ("en us", "such as en or pt-BR"),
        ("", "such as en or pt-BR"),
    ],
)
def test_what_is_no_language_is_refused_with_the_nearest(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match="is not a language code") as refused:
        check_language(text)
    assert meant in str(refused.value)


@given(st.text(max_size=12) | st.text("abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=3))
def test_a_language_stays_what_it_is_read_as(text: str) -> None:
    try:
        tag = check_language(text)
    except ValueError:
        return
    assert check_language(tag) == tag


@pytest.mark.parametrize("tag", ["en", "PT-br", "zh_Hant", "sr", "ka"])
def test_of_most_languages_the_script_is_known(tag: str) -> None:
    assert has_other_languages(tag)


@pytest.mark.parametrize("tag", ["br", "kr", "mul", "tlh"])
def test_of_some_languages_the_script_is_not_known(tag: str) -> None:
    assert not has_other_languages(check_language(tag))


@pytest.mark.parametrize("text", ["US", "GB", "NO", "ZW"])
def test_countries(text: str) -> None:
    assert check_country(text) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("us", "write US"),
        ("UK", "write GB"),
        ("EN", "a language"),
        ("EU", "list each"),
        ("XX", "such as US"),
        ("Germany", "such as US"),
        ("", "such as US"),
    ],
)
def test_what_is_no_country_is_refused_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_country(text)
