from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import date, timedelta
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ytap_assets.domain.production.events import IN_PRODUCTION
from ytap_assets.domain.production.rules import Rules
from ytap_assets.domain.reporting.numbers import ReportInputs
from ytap_assets.domain.reporting.pages import ReportDay
from ytap_assets.reports.render import (
    OVERVIEW_COLUMNS,
    render_essentials,
    render_index,
    render_month,
    render_overview,
    render_report,
)
from ytap_assets.tables import (
    COLLECTION_COVERAGE,
    COLLECTION_LOG,
    PRODUCTION_EVENTS,
    SCORED_TRENDS,
    SOURCE_PERFORMANCE,
    VIDEO_METRICS,
    VIDEOS,
    WORKSPACE_REPORTS,
)
from ytap_assets_tests.domain.reporting.examples import (
    EDITION,
    MONDAY,
    TUESDAY,
    WEDNESDAY,
    coverage,
    event,
    fetch,
    metric,
    raw,
    report_days,
    result,
    story,
    summarize_days,
    unread,
    video,
)
from ytap_assets_tests.effort import examples

STRICT = replace(EDITION, rules=Rules(max_hours=dict.fromkeys(IN_PRODUCTION, 1.0)))
"""Every script that has been in its state for more than an hour is stuck."""
HOSTILE = [
    "<script>alert(1)</script>",
    "</title></style><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% include 'style.css' %}",
    "<!-- --><svg/onload=alert(1)>",
    "]]><![CDATA[<script>",
    "\u202egnp.exe\u202c مرحبا بالعالم",
    "👩‍👩‍👧‍👦 🇩🇪 emoji",
    "a\x00b\x1b[31mc\r\nd\u2028e",
    "x" * 10_000,
    '=HYPERLINK("http://evil.example")',
    "&lt;script&gt; &amp;",
    "",
]
HOSTILE_URLS = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "//evil.example/x",
    "file:///etc/passwd",
    "https://user:pass@evil.example/",
    'https://evil.example/"onmouseover="alert(1)',
    "https://evil.example/ onclick=alert(1)",
    "https://[::1",
    "https://evil.example:99999/",
    "\x01https://evil.example/",
    "",
]


WATCH = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"


class Page(HTMLParser):
    """What a browser would make of a page, as far as safety goes."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.stack: list[str] = []
        self.texts: list[str] = []
        self.declarations: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in {"meta", "br", "img", "link", "input"}:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.stack:
            self.texts.append(data)

    def handle_decl(self, decl: str) -> None:
        self.declarations.append(decl)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data}")

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def tooltips(self) -> list[str]:
        return [attributes["title"] for _, attributes in self.tags if "title" in attributes]

    def links(self) -> list[dict[str, str]]:
        return [attrs for tag, attrs in self.tags if tag == "a"]


KNOWN_TAGS = """
    html head meta title style body header footer main nav section div span p h1 h2 h3 a bdi
    strong i ul ol li dl dt dd table thead tbody tr th td figure figcaption details summary
    code svg g rect path text
"""
OWN_PAGE = re.compile(r"(\.\./|[a-z0-9][a-z0-9_-]*/)?(index|\d{4}-\d\d(-\d\d)?)\.html")


def check_safe(html: str) -> Page:
    """The page is well formed, alone, and does nothing."""
    page = Page(html)
    assert page.stack == []
    assert page.declarations == ["doctype html"]
    for tag, attributes in page.tags:
        assert tag in KNOWN_TAGS.split()
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in {"src", "srcset", "action", "xlink:href", "background"}
            assert name != "style" or re.fullmatch(
                r"width:\d{1,3}%|list-style:none;margin:0;padding:0", value
            )
        if tag == "a":
            href = attributes["href"]
            assert OWN_PAGE.fullmatch(href) or re.match(r"https?://[a-z]", href)
            if not OWN_PAGE.fullmatch(href):
                assert attributes["rel"] == "noopener noreferrer nofollow"
        elif "href" in attributes:
            raise AssertionError(f"{tag} refers to {attributes['href']}")
    styles = "".join(re.findall(r"<style>(.*?)</style>", html, re.DOTALL))
    assert html.count("<style") == 1
    assert "url(" not in styles
    assert "@import" not in styles
    policies = [
        a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == [
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    ]
    return page


def test_a_discussion_is_linked_only_if_it_is_another_page() -> None:
    rows = [
        story(MONDAY, 1, url="https://youtu.be/dQw4w9WgXcQ", discussion_url=WATCH),
        story(MONDAY, 2, url="https://example.org/", discussion_url=WATCH),
    ]
    (_, html), *_ = pages(ReportInputs(scored=SCORED_TRENDS.frame(rows)))
    assert check_safe(html).text.count("discussion") == 1


def full_inputs(
    text: str = "A title", url: str | None = "https://example.org/a?b=1&c=2"
) -> ReportInputs:
    """Inputs that fill every part of the page, with ``text`` wherever a text can come from."""
    reasons = [f"{text}: x"]
    return ReportInputs(
        raw=pl.DataFrame([{**raw(MONDAY), "source": text}, raw(TUESDAY), raw(WEDNESDAY)]),
        scored=SCORED_TRENDS.frame(
            [
                story(
                    MONDAY,
                    1,
                    title=text,
                    url=url,
                    discussion_url=url,
                    source=text,
                    sources=[text, "hn"],
                ),
                story(
                    MONDAY,
                    2,
                    title=text,
                    url=None,
                    discussion_url=None,
                    hours_old=None,
                    reasons=[text, f"matches: {text}: x1.25"],
                ),
                story(MONDAY, 3, title=text, spam_reasons=reasons),
                story(TUESDAY, 1, title=text),
            ]
        ),
        quarantined=pl.DataFrame([unread(text, source=text, origin=text, reason=text)]),
        log=COLLECTION_LOG.frame(
            [
                fetch(MONDAY, text, "malformed", detail=text, source=text),
                fetch(MONDAY, "r/a", "disabled", detail=text),
                fetch(MONDAY, "r/b"),
            ]
        ),
        coverage=COLLECTION_COVERAGE.frame(
            [coverage(MONDAY, text), coverage(MONDAY, "hn", "unrecoverable")]
        ),
        performance=SOURCE_PERFORMANCE.frame(
            [
                result(MONDAY, text),
                result(TUESDAY, "hn", views_gained=40, cost_usd_micros=2_000_000),
            ]
        ),
        events=PRODUCTION_EVENTS.frame(
            [
                event(
                    1,
                    MONDAY,
                    text or "s",
                    "script_submitted",
                    "script_pending_review",
                    title=text,
                    hook=text,
                    hour=8,  # first of all waits, whatever its id
                ),
                event(2, MONDAY, text or "s", "gates_evaluated", failed_gates=[text]),
                event(
                    3,
                    MONDAY,
                    "b",
                    "imported",
                    "video_pending_review",
                    title=text,
                    quality_score=91.5,
                    cost_usd_micros=2_410_000,
                ),
                event(4, MONDAY, "c", "imported", "ready_for_generation"),
                event(5, MONDAY, "c", "job_failed"),
                *(
                    event(n, MONDAY, f"more-{n}", "imported", "script_pending_review")
                    for n in range(6, 40)
                ),
            ]
        ),
        videos=VIDEOS.frame(
            [video("vid-aaaaaaa", MONDAY, title=text), video("vid-bbbbbbb", MONDAY)]
        ),
        metrics=VIDEO_METRICS.frame(
            [
                metric(MONDAY, "vid-aaaaaaa", 100, 4.0, title=text),
                metric(TUESDAY, "vid-aaaaaaa", 90, 230.0),
                metric(MONDAY, text or "v", 7, platform=text),
            ]
        ),
    )


def pages(inputs: ReportInputs, **edition: Any) -> list[tuple[ReportDay, str]]:
    days = [MONDAY, TUESDAY, WEDNESDAY]
    history = summarize_days(days, inputs)
    reports = report_days(replace(STRICT, **edition), days, inputs)
    return [(report, render_report(report, history)) for report in reports]


def test_a_page_shows_the_day() -> None:
    (_, html), (_, tuesday), _ = pages(full_inputs())
    page = check_safe(html)
    assert "Tech Pulse Monday, 16 November 2026" in page.text
    assert (
        "3 stories scored, 1 of them spam. 2 videos published. 107 views in all, up 100."
        in page.text
    )
    assert "snapshot 412 of the lake; run 3f0b1c9e" in page.text
    assert "2026-11-20 02:00 UTC (21:00 in New York)" in page.text
    assert "no metrics for 1 of 2 videos" in page.text
    assert (
        "5.00 momentum 4.00 \N{MULTIPLICATION SIGN} relevance 1.25; base score 12.00" in page.text
    )
    assert "23 points an hour, top 10 % of Hacker News ; matches: rust: x1.25" in page.text
    assert "2026-11-16 Hacker News: cannot be backfilled" in page.tooltips()
    assert "Hacker News 1 1 1 1 1 1 40 $2.00 20" in check_safe(tuesday).text
    assert "quality 91.5 cost $2.41" in page.text
    assert "37" in page.text  # 36 wait for review, one generation has failed
    assert "and 11 scripts not shown" in page.text
    assert "97 views in all, down 10" in check_safe(tuesday).text
    assert "over 100 %" in check_safe(tuesday).text


def test_a_page_shows_stuck_scripts_with_what_they_wait_for() -> None:
    [(report, html)] = pages(full_inputs("Title"))[:1]
    page = check_safe(html)
    text = " ".join(" ".join(page.texts).split())
    assert report.stuck
    assert "waits for approval by a person" in text
    assert "not shown" in text
    [(_, relaxed)] = pages(full_inputs("Title"), rules=Rules())[:1]
    assert "waits for" not in relaxed


def test_links_are_the_stories_and_the_videos() -> None:
    (_, html), *_ = pages(full_inputs())
    hrefs = [link["href"] for link in check_safe(html).links()]
    assert "https://example.org/a?b=1&c=2" in hrefs
    assert "https://www.youtube.com/watch?v=vid-aaaaaaa" in hrefs


def test_the_day_before_is_linked_where_it_has_a_report() -> None:
    (_, monday), (_, tuesday), _ = pages(full_inputs())
    assert "2026-11-15.html" not in monday
    assert 'href="2026-11-16.html"' in tuesday


def test_charts_are_drawn_in_the_page() -> None:
    (_, html), *_ = pages(full_inputs())
    page = check_safe(html)
    # Two charts, each for a wide page and for a narrow one.
    assert [tag for tag, _ in page.tags].count("svg") == 4
    assert "2026-11-16: 107 views" in page.text
    assert "Hacker News: 1 stories that are not spam" in page.text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_texts(text: str) -> None:
    for _, html in pages(full_inputs(text), name=text, vertical=text, run_id=text, timezone=text):
        check_safe(html)
        assert len(html) < 150_000


@pytest.mark.parametrize("url", HOSTILE_URLS)
def test_hostile_urls_are_no_links(url: str) -> None:
    (_, html), *_ = pages(full_inputs("A title", url))
    hosts = {
        re.sub(r"^https?://([^/]+).*", r"\1", link["href"]) for link in check_safe(html).links()
    }
    assert hosts <= {"index.html", "www.youtube.com"}


def test_a_hostile_text_is_shown_as_it_is() -> None:
    (_, html), *_ = pages(full_inputs("<b>bold</b> & 'quoted'"))
    assert "<b>" not in html
    assert "<b>bold</b> & 'quoted'" in check_safe(html).text


PARTS = [
    "raw",
    "scored",
    "quarantined",
    "log",
    "coverage",
    "performance",
    "events",
    "videos",
    "metrics",
]


@pytest.mark.parametrize("size", range(len(PARTS) + 1))
def test_whatever_failed_upstream_there_is_a_page(size: int) -> None:
    full = vars(full_inputs())
    chosen = list(combinations(PARTS, size))
    for names in chosen[:: max(1, len(chosen) // 6)]:
        inputs = ReportInputs(**{name: full[name] for name in names})
        for report, html in pages(inputs):
            page = check_safe(html)
            assert all(gap in page.text for gap in report.missing)


def test_an_empty_day_reads_well() -> None:
    [report] = report_days(STRICT, [MONDAY], ReportInputs())
    page = check_safe(render_report(report, WORKSPACE_REPORTS.empty()))
    assert "No story scored. No video published." in page.text
    assert "no trends observed" in page.text
    assert "No script or video was in review at the end of the day." in page.text
    assert "No views are known for these days." in page.text
    assert "None" not in page.text
    assert "nan" not in page.text


def test_imported_observations_are_not_called_missing() -> None:
    (_, imported), *_ = pages(ReportInputs(raw=pl.DataFrame([raw(MONDAY)])))
    (_, nothing), *_ = pages(ReportInputs())
    assert "The day's observations were imported" in check_safe(imported).text
    assert "Nothing was fetched for this day." in check_safe(nothing).text
    assert "Nothing was fetched" not in imported


def test_a_cost_that_is_not_known_is_not_called_0() -> None:
    results = SOURCE_PERFORMANCE.frame([result(MONDAY, "hn", published=0)])
    (_, html), *_ = pages(ReportInputs(performance=results))
    assert "Hacker News 1 1 1 1 1 0 \N{EN DASH} \N{EN DASH} \N{EN DASH}" in check_safe(html).text


def test_history_of_other_days_is_left_out() -> None:
    [report] = report_days(STRICT, [MONDAY], ReportInputs())
    rows = [
        {"day": MONDAY + timedelta(days=n), "views": 10**6 + n, "views_gained": n, "stories": 5}
        for n in (-15, -14, -13, -1, 1)
    ]
    page = check_safe(render_report(report, pl.DataFrame(rows)))
    assert "usually 5" in page.text
    drawn = [text for text in page.texts if text.endswith(" views")]
    assert drawn == ["2026-11-03: 999,987 views", "2026-11-15: 999,999 views"] * 2


@settings(deadline=None, max_examples=examples(20))
@given(st.text(), st.text())
def test_any_text_and_url_make_a_safe_page(text: str, url: str) -> None:
    [report] = report_days(STRICT, [MONDAY], full_inputs(text, url))
    check_safe(render_report(report, WORKSPACE_REPORTS.empty()))


@pytest.mark.parametrize("text", HOSTILE)
def test_an_index_lists_the_days_the_latest_first(text: str) -> None:
    rows = summarize_days([MONDAY, TUESDAY, WEDNESDAY], full_inputs(text))
    page = check_safe(render_index(text, rows, total=rows.height))
    hrefs = [link["href"] for link in page.links()]
    assert hrefs == ["../index.html", "2026-11-18.html", "2026-11-17.html", "2026-11-16.html"]


def test_an_index_links_older_months_and_a_month_links_back() -> None:
    rows = summarize_days([MONDAY, TUESDAY], ReportInputs())
    months = [date(2026, 7, 1), date(2026, 8, 1)]
    page = check_safe(render_index("Tech", rows, total=60, months=months))
    hrefs = [link["href"] for link in page.links()]
    assert hrefs[0] == "../index.html"
    assert hrefs[1:] == ["2026-11-17.html", "2026-11-16.html", "2026-08.html", "2026-07.html"]
    assert "60 daily reports" in page.text
    month = check_safe(render_month("Tech", date(2026, 11, 1), rows))
    hrefs = [link["href"] for link in month.links()]
    assert hrefs == ["index.html", "../index.html", "2026-11-17.html", "2026-11-16.html"]


def test_an_index_without_reports_says_so() -> None:
    assert (
        "There is no report yet."
        in check_safe(render_index("Tech", WORKSPACE_REPORTS.empty(), total=0)).text
    )


def test_a_count_of_nothing_is_a_zero_and_no_unknown_value() -> None:
    row = {"workspace_id": "tech", "day": MONDAY, "views": 5, "views_gained": 1, "missing": []}
    counts = ("stories", "scripts_waiting", "videos_published")
    rows = WORKSPACE_REPORTS.frame([row | dict.fromkeys(counts, 2)])
    assert (
        "2026-11-16 none 2 2 2 5 +1 0"
        in check_safe(render_index("Tech", rows, total=rows.height)).text
    )
    rows = overview_rows({"workspace_id": "tech", "views": 5, "views_gained": 1})
    assert "2026-11-16 1 0 0 5 +1 0 0" in check_safe(render_overview({"tech": "T"}, rows)).text


def test_the_base_score_of_an_unknown_engagement_is_unknown() -> None:
    scored = SCORED_TRENDS.frame([story(MONDAY, 1, engagement=None, base_score=0.0)])
    (_, html), *_ = pages(ReportInputs(scored=scored))
    assert "base score \N{EN DASH}" in check_safe(html).text


def overview_rows(*rows: dict[str, Any]) -> pl.DataFrame:
    counts = ("stories", "scripts_waiting", "videos_published", "fetches_failed")
    numbers = [row.pop("rows", 1) for row in rows]
    given = [{"day": MONDAY, **dict.fromkeys(counts, 0), **row} for row in rows]
    newest = WORKSPACE_REPORTS.frame(given).select(OVERVIEW_COLUMNS)
    return newest.with_columns(pl.Series("rows", numbers, dtype=pl.Int64))


@pytest.mark.parametrize("name", HOSTILE)
def test_the_overview_links_each_workspace_and_its_latest_report(name: str) -> None:
    rows = overview_rows(
        {
            "workspace_id": "tech",
            "day": TUESDAY,
            "scripts_waiting": 3,
            "views": 2_500,
            "rows": 2,
        },
        {"workspace_id": "gone-1", "fetches_failed": 2},
    )
    page = check_safe(render_overview({"tech": name, "new": "New"}, rows))
    assert [link["href"] for link in page.links()] == [
        "gone-1/index.html",
        "gone-1/2026-11-16.html",
        "tech/index.html",
        "tech/2026-11-17.html",
    ]
    assert "3 workspaces, 3 daily reports" in page.text
    assert "2026-11-17 2 3 0 2.5k" in page.text
    assert "New new no report yet" in page.text


def test_the_overview_knows_counts_and_no_content() -> None:
    kinds = {name: WORKSPACE_REPORTS.schema[name] for name in OVERVIEW_COLUMNS}
    assert kinds.pop("workspace_id") == pl.String
    assert kinds.pop("day") == pl.Date
    assert set(kinds.values()) == {pl.Int64()}


def test_an_overview_without_workspaces_says_so() -> None:
    page = check_safe(render_overview({}, overview_rows()))
    assert "There is no workspace yet." in page.text


def markdown_shape(report: ReportDay) -> tuple[list[tuple[str, str]], list[str]]:
    """The tokens of a report's essentials, code left out, and the code."""
    tokens = MarkdownIt("commonmark").enable("table").parse(render_essentials(report))
    parts = [part for token in tokens for part in ([token, *(token.children or [])])]
    shape = [
        (part.type, "" if part.type in {"inline", "code_inline"} else part.content)
        for part in parts
    ]
    return shape, [part.content for part in parts if part.type == "code_inline"]


def first_report(text: str) -> ReportDay:
    return next(iter(report_days(replace(STRICT, name=text), [MONDAY, TUESDAY], full_inputs(text))))


BENIGN = markdown_shape(first_report("A title"))[0]


@pytest.mark.parametrize(
    "text",
    [
        *(text for text in HOSTILE if text.strip()),
        "[a](https://evil.example) ![b](https://evil.example/x.png)",
        "`code` ``` **bold** | cell | # heading",
        "`",
        "```",
        "https://evil.example www.evil.example a@evil.example",
        "- item\n\n# heading\n<div>",
        "trailing backslash \\",
    ],
)
def test_hostile_texts_are_code_in_the_essentials(text: str) -> None:
    shape, code = markdown_shape(first_report(text))
    assert shape == BENIGN
    assert not any("\u202e" in one for one in code)


@settings(deadline=None, max_examples=examples(15))
@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Z"]), min_size=1, max_size=60))
def test_any_text_is_code_in_the_essentials(text: str) -> None:
    shape, _ = markdown_shape(first_report(f"x{text}"))
    assert shape == BENIGN


def test_the_essentials_say_what_happened_what_to_do_and_the_numbers() -> None:
    text = render_essentials(first_report("A `title`"))
    for line in (
        "3 stories scored, 1 of them spam. 2 videos published. 107 views in all, up 100.",
        "- Review the script: `` A `title` ``, for 16 h",
        "- and 32 more",
        "1. `` A `title` ``: 5.00",
        "| 107 | +100 | 4.00 % | 2 | 37 | 3 | 1 | 3 | 1 |",
    ):
        assert line in text
    assert "- Script in review for 16 h, limit 1 h: `` A `title` `` waits for `` gate A" in text
    [nothing] = report_days(STRICT, [MONDAY], ReportInputs())
    assert "**In review: 0. Blocked by a gate: 0.**" in render_essentials(nothing)
    assert "None" not in render_essentials(nothing)


LONG = [
    "x" * 500,
    "https://very-long-host.example/" + "a/b-c_d" * 60,
    "\u4eba\u5de5\u77e5\u80fd" * 60,
    "\u0644\u0645\u0627\u0630\u0627 " * 60 + "\u0645" * 200,
    "W" * 70 + " \u0645\u0631\u062d\u0628\u0627 " + "\u5b57" * 80,
]
WIDTHS = (320, 390, 761, 861, 1280)
MEASURE = """<!doctype html><body>{frames}<pre id="out"></pre><script>
addEventListener("load", () => {{
  const texts = (d) => [...d.querySelectorAll("body *")].filter((e) =>
    e.tagName !== "title" && e.getBoundingClientRect().width > 1 &&
    [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()));
  const size = (d, e) => parseFloat(d.defaultView.getComputedStyle(e).fontSize) *
    (e.ownerSVGElement ? e.getScreenCTM().a : 1);
  out.textContent = JSON.stringify([...document.querySelectorAll("iframe")].map((f) => {{
    const d = f.contentDocument;
    return [f.title, f.clientWidth, d.documentElement.scrollWidth,
      Math.min(...texts(d).map((e) => size(d, e)))];
  }}));
}});
</script>"""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the browser chromium")
def test_pages_fit_a_phone_and_stay_readable(tmp_path: Path) -> None:
    """The layout, as a browser does it: nothing wider than the window, no text below 12 pixels."""
    for number, text in enumerate(LONG):
        (_, report), *_ = pages(full_inputs(text), name=text, vertical=text, run_id=text)
        rows = summarize_days([MONDAY, TUESDAY], full_inputs(text))
        overview = render_overview({"tech": text}, overview_rows({"workspace_id": "w" * 63}))
        made = {
            "report": report,
            "index": render_index(text, rows, total=rows.height),
            "overview": overview,
        }
        for name, html in made.items():
            (tmp_path / f"{name}-{number}.html").write_text(html, encoding="utf-8")
    frames = "".join(
        f'<iframe title="{path.stem}" src="{path.name}" style="width:{width}px;border:0"></iframe>'
        for path in sorted(tmp_path.glob("*.html"))
        for width in WIDTHS
    )
    (tmp_path / "all.html").write_text(MEASURE.format(frames=frames), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    options += ["--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run"]
    options += ["--allow-file-access-from-files", "--virtual-time-budget=20000"]
    options += [f"--user-data-dir={tmp_path / 'browser'}"]
    command = ["chromium", *options, "--dump-dom", (tmp_path / "all.html").as_uri()]
    done = subprocess.run(command, check=True, capture_output=True, timeout=120)
    found = re.search(rb'<pre id="out">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None
    measured = json.loads(found[1])
    assert len(measured) == len(LONG) * 3 * len(WIDTHS)
    assert [one for one in measured if one[2] > one[1]] == []
    assert [one for one in measured if one[1] in (390, 1280) and one[3] < 12] == []
