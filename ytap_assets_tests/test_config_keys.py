"""The keys of a config: the template of a new one, the reference, and what a slip was to be."""

from __future__ import annotations

import ast
import importlib.util
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.config_keys import (
    explain_unknown,
    find_nearest,
    fold_handle,
    fold_name,
    list_keys,
    render_template,
)
from ytap_assets.domain.phrases import check_phrase
from ytap_assets.domain.source_profiles import SOURCES
from ytap_assets.domain.spam.rules import SpamRules
from ytap_assets.settings import VARIABLES, Settings
from ytap_assets.workspace_sections import Spam
from ytap_assets.workspaces import Workspace, parse_workspace, render_config

ROOT = Path(__file__).parents[1]
LEAST: dict[str, Any] = {"name": "Tech", "vertical": "technology"}


def test_a_template_says_what_is_set_and_nothing_else() -> None:
    text = render_template(Workspace, LEAST)
    assert parse_workspace("tech", text, origin="here") == parse_workspace(
        "tech", "name: Tech\nvertical: technology\n", origin="here"
    )


def test_every_example_of_a_template_can_be_taken_in() -> None:
    lines = render_template(Workspace, LEAST).splitlines()
    workspace = parse_workspace(
        "tech", "\n".join(line.removeprefix("# ") for line in lines), origin="here"
    )
    commented = [re.match(r"# ([a-z_]+):", line) for line in lines]
    assert {match[1] for match in commented if match} | LEAST.keys() == {
        key.name for key in list_keys(Workspace) if "." not in key.name
    }
    assert workspace.brand.banned_topics
    assert workspace.sources.youtube.monitored_channels
    assert workspace.accounts


TEXTS = st.text(min_size=1).filter(lambda text: not re.search("[\ud800-\udfff]", text))


def can_be_listed(text: str) -> bool:
    try:
        check_phrase(text)
    except ValueError:
        return False
    return True


PHRASES = st.text(min_size=1, max_size=20).filter(can_be_listed)


@given(
    name=TEXTS,
    tone=st.none() | TEXTS,
    topics=st.lists(PHRASES, max_size=3),
    keywords=st.lists(PHRASES, max_size=3),
    extra=st.dictionaries(TEXTS, TEXTS | st.booleans() | st.integers(), max_size=3),
)
def test_what_is_written_is_read_again(
    name: str, tone: str | None, topics: list[str], keywords: list[str], extra: dict[str, Any]
) -> None:
    brand = {"banned_topics": topics} | ({} if tone is None else {"tone": tone})
    content = {**LEAST, "name": name, "brand": brand, "keywords": keywords, "extra": extra}
    workspace = Workspace.model_validate({**content, "workspace_id": "tech"})
    assert parse_workspace("tech", render_config(workspace), origin="here") == workspace


def test_the_reference_is_in_step_with_the_models() -> None:
    script = ROOT / "scripts" / "make_config_docs.py"
    spec = importlib.util.spec_from_file_location("make_config_docs", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    assert module.fill_page(page) == page, "run `python scripts/make_config_docs.py`"


def test_every_key_is_explained() -> None:
    keys = list(list_keys(Workspace))
    assert len(keys) > 60
    assert [key.name for key in keys if not key.about or key.about.endswith(".")] == []


_DECLARED = {"workspaces.py", "workspace_sections.py", "config_keys.py", "settings.py"}
"""Modules that declare keys; what they read of them has no effect."""


def _reads() -> dict[str, set[str]]:
    """The attributes that each module of the package reads."""
    reads = {}
    for path in sorted((ROOT / "ytap_assets").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        reads[str(path.relative_to(ROOT / "ytap_assets"))] = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
        }
    return reads


def test_every_key_has_an_effect() -> None:
    """Every key is read, by a module that reads the section it is in; `spam` is handed on whole."""
    reads = {name: read for name, read in _reads().items() if name not in _DECLARED}
    limits = {one.name for one in fields(SpamRules)} & set(Spam.model_fields)
    unread = set()
    for key in list_keys(Workspace):
        *sections, name = [part.removesuffix("[]") for part in key.name.split(".")]
        if sections == ["spam"] and name in limits:
            readers = {module for module, read in reads.items() if name in read}
            is_read = any(module.startswith("domain/spam") for module in readers)
        else:
            wanted = {name, *sections[-1:]}
            is_read = any(wanted <= read for read in reads.values())
        if not is_read:
            unread.add(key.name)
    # `Workspace.collects` and `Sources.minimums`, which others read, are made of them.
    minimums = {"sources.reddit.min_score", "sources.youtube.min_views"}
    assert unread == {"data_collection_enabled", *minimums}
    assert {"collects", "minimums"} <= set[str]().union(*reads.values())


def test_every_setting_has_an_effect(tmp_path: Path) -> None:
    """Every variable changes a setting, and every setting is read."""
    values = {
        "YTAP_DATA": str(tmp_path),
        "YTAP_CATALOG": str(tmp_path / "c.sqlite"),
        "YTAP_DATA_PATH": str(tmp_path / "files"),
        "YTAP_FILES": str(tmp_path / "store"),
        "YTAP_WORKSPACES": "lake",
        "YTAP_TRANSPORT": "record",
        "YTAP_FIRST_DAY": "2024-01-31",
        "YTAP_SNAPSHOT_DAYS": "7",
        "YTAP_SQL_SECONDS": "7",
        "YTAP_SQL_MEMORY": "512MiB",
        "YTAP_BATCH_WORKSPACES": "7",
        "YTAP_EVERY_HOURS": "7",
    }
    assert set(values) == set(VARIABLES)
    unset = Settings.from_env({})
    for name, value in values.items():
        assert Settings.from_env({name: value}) != unset, name
    read = set[str]().union(*(read for name, read in _reads().items() if name != "settings.py"))
    assert {one.name for one in fields(Settings)} <= read


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (("brnd",), "did you mean `brand`?"),
        (("Brand",), "did you mean `brand`?"),
        (("bran\u200bd",), "did you mean `brand`?"),
        (("\uff42\uff52\uff41\uff4e\uff44",), "did you mean `brand`?"),
        (("data-collection-enabled",), "did you mean `data_collection_enabled`?"),
        (("brand", "banned_topic"), "did you mean `banned_topics`?"),
        (("sources", "reddit", "subreddit"), "did you mean `subreddits`?"),
        (("accounts", 3, "handel"), "did you mean `handle`?"),
        (("banned_topics",), "belongs below `brand:`"),
        (("brand", "keywords"), "belongs at the beginning of a line"),
        (("budget", "zzz"), "the keys are per_video_usd"),
        (("sources", "subreddits"), "belongs below `sources.reddit:`"),
        (("sources", "youtube", "min_score"), "belongs below `sources.reddit:`"),
        (("sources", "youtube", "id"), "in an item of `sources.youtube.monitored_channels:`"),
        (("accounts", 0, "title"), "in an item of `sources.youtube.monitored_channels:`"),
        (("sources", "youtube", "monitored_channels", 0, "Title"), "did you mean `title`?"),
    ],
)
def test_what_an_unknown_key_was_meant_to_be(path: tuple[str | int, ...], said: str) -> None:
    assert said in explain_unknown(Workspace, path)


def test_nothing_is_nearest_to_nonsense() -> None:
    assert find_nearest("qqq", SOURCES) is None
    assert find_nearest("HN", SOURCES) == "hn"


@pytest.mark.parametrize(
    "text", ["tech", "@Tech", " TECH ", "https://youtube.com/@tech/", "Te\u200bch"]
)
def test_spellings_of_one_account(text: str) -> None:
    assert fold_handle(text) == "tech"


@given(st.text())
def test_folding_is_done_once(text: str) -> None:
    assert fold_name(fold_name(text)) == fold_name(text)
