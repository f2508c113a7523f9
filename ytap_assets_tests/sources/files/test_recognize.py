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
    assert "Known formats of hn: hn_stories, " in message
    assert "youtube" not in message
    assert "docs/importing.md" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"SQ\x03\x04\0\0\0\0lite",
        "id,title".encode("utf-16-le"),
        b"\xff\xfd\xfd",
        b"[]",
    ],
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


def test_the_nearest_format_is_of_the_source_that_was_asked_for(read: Read) -> None:
    header = "id,title,score,num_comments,created_utc,subreddit,link\n"
    with pytest.raises(ImportRefusedError) as caught:
        read("posts.csv", header + "a,b,1,2,3,c,d\n", source="youtube")
    assert "It looks like --source reddit (reddit_" in str(caught.value)
    nearest = str(caught.value).partition("Nearest is ")[2]
    assert nearest.startswith("youtube_")
    with pytest.raises(ImportRefusedError) as caught:
        read("posts.csv", header + "a,b,1,2,3,c,d\n", source="reddit")
    assert "It looks like" not in str(caught.value)
    assert "Nearest is reddit_posts" in str(caught.value)
    assert "also needs url" in str(caught.value)


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_tables_of_other_delimiters_are_read(read: Read, delimiter: str) -> None:
    name, text = "stories_2016-09-16.csv", HN.replace('""quoted""', "quoted, too")
    fetch = read(name, text.replace(",", delimiter), source="hn")
    assert fetch.rows.get_column("item_id").to_list() == ["12518265", "12405698"]
    packed = read(name, text.replace(",", delimiter).encode("utf-16"), source="hn")
    assert packed.rows.drop("collection_id").equals(fetch.rows.drop("collection_id"))


def test_the_name_does_not_matter_for_the_format(read: Read) -> None:
    fetch = read("data.txt", HN, source="hn", observed_on=date(2016, 9, 16))
    assert fetch.rows.height == 2


def test_a_table_saved_by_a_spreadsheet_in_other_capitals_is_read(read: Read) -> None:
    header = "ID;Title;URL;Num Points;num-comments;Author;Created_At"
    row = "1;Story;https://example.org/1;12;3;u;9/16/2016 3:21"
    fetch = read("stories_2016-09-17.csv", f"sep=;\r\n{header}\r\n{row}\r\n", source="hn")
    assert fetch.rows.select("item_id", "title", "points", "comments").rows() == [
        ("1", "Story", 12, 3)
    ]


def test_names_that_fit_as_they_are_go_before_those_that_are_like_them(read: Read) -> None:
    header = "id,title,Title,url,num_points,num_comments,author,created_at"
    row = "1,Story,Other,https://example.org/1,12,3,u,9/16/2016 3:21"
    fetch = read("stories_2016-09-17.csv", f"{header}\n{row}\n", source="hn")
    assert fetch.rows["title"].to_list() == ["Story"]
