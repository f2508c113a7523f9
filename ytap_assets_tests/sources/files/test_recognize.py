from __future__ import annotations

from datetime import date

import pytest

from ytap_assets.errors import ImportRefusedError
from ytap_assets_tests.sources.files.conftest import Read
from ytap_assets_tests.sources.files.samples import DAILY, DAILY_NAME, HN


def test_a_file_of_no_known_format_is_refused_with_the_nearest_one(read: Read) -> None:
    text = HN.replace("num_points", "score_of_story").replace("created_at", "made")
    with pytest.raises(ImportRefusedError) as caught:
        read("mine.csv", text, source="hn")
    message = str(caught.value)
    assert message.startswith("mine.csv: of no known format. Its columns: 'id', 'title', 'url', ")
    assert "Nearest is hn_stories (Hacker News stories" in message
    assert "which also needs created_at, num_points" in message or (
        "which also needs num_points" in message
    )
    assert "Known formats: youtube_daily_list, " in message
    assert "docs/importing.md" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"PK\x03\x04\0\0\0\0zip", "id,title".encode("utf-16"), b"\xff\xfe\xfd", b"[]"],
)
def test_a_file_without_named_columns_is_refused(read: Read, content: bytes) -> None:
    with pytest.raises(ImportRefusedError, match="holds no rows of named columns"):
        read("mine.bin", content)


def test_broken_json_is_refused(read: Read) -> None:
    with pytest.raises(ImportRefusedError, match=r"mine\.json: is not readable JSON"):
        read("mine.json", '{"hits": [{"objectID": "1"')


def test_hostile_names_of_columns_are_shown_harmless_and_short(read: Read) -> None:
    header = ",".join(["\x1b[31mred", "x" * 10_000, *(f"c{number}" for number in range(500))])
    with pytest.raises(ImportRefusedError) as caught:
        read("mine.csv", header + "\n1,2\n")
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 3000


def test_a_file_of_another_source_is_refused_with_the_right_one(read: Read) -> None:
    with pytest.raises(ImportRefusedError, match="import it with --source youtube, not hn"):
        read(DAILY_NAME, DAILY, source="hn")


def test_the_name_does_not_matter_for_the_format(read: Read) -> None:
    fetch = read("data.txt", HN, source="hn", observed_on=date(2016, 9, 16))
    assert fetch.rows.height == 2
