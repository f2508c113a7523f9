"""A workspace's config: what is read, what is refused, and that one mistake stops nobody else."""

from __future__ import annotations

import os
from pathlib import Path
from traceback import format_exception

import pytest

from ytap_assets.errors import ConfigError
from ytap_assets.settings import Settings
from ytap_assets.workspaces import CONFIG_NAME, Workspaces, parse_workspace

GOOD = "name: Tech\nvertical: technology\n"


@pytest.fixture
def workspaces(tmp_path: Path) -> Workspaces:
    return Workspaces(Settings.from_env({"YTAP_DATA": str(tmp_path)}))


def write(workspaces: Workspaces, folder: str, text: str) -> Path:
    path = workspaces.root / folder / CONFIG_NAME
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("folder", "text", "reason"),
    [
        ("broken", "name: [", "not YAML"),
        ("tech (copy)", GOOD, "a workspace's name is"),
        (".git", GOOD, "a workspace's name is"),
        ("no-date", "name: 2026-13-45\nvertical: x\n", "month must be in"),
        ("deep", "name: " + "[" * 5000, "nested deeper"),
        ("unending", f"{GOOD}budget: {{per_video_usd: .inf}}\n", "finite"),
    ],
)
def test_a_bad_folder_stops_nobody_else(
    workspaces: Workspaces, folder: str, text: str, reason: str
) -> None:
    for name in ("zoo", "arts"):
        write(workspaces, name, GOOD)
    write(workspaces, folder, text)
    good, problems = workspaces.readable()
    assert [one.workspace_id for one in good] == ["arts", "zoo"]
    assert list(problems) == [folder]
    assert reason in str(problems[folder])
    assert folder in str(problems[folder])


@pytest.mark.parametrize("hours", ["0", "25", "1.5", "yes", "-1", "often"])
def test_an_interval_that_cannot_be_is_refused(hours: str) -> None:
    with pytest.raises(ConfigError, match=r"here: sources\.every_hours: "):
        parse_workspace("tech", f"{GOOD}sources: {{every_hours: {hours}}}\n", origin="here")


def test_a_config_is_parsed_again_only_when_it_changes(workspaces: Workspaces) -> None:
    path = write(workspaces, "tech", GOOD)
    first = workspaces.get("tech")
    assert workspaces.get("tech") is first
    facts = path.stat()
    path.write_text(GOOD.replace("Tech", "Food"), encoding="utf-8")  # of the same size
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert workspaces.get("tech").name == "Food"
    path.write_text("name: [", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(ConfigError, match="not YAML"):
            workspaces.get("tech")


def test_only_legal_names_are_ids(workspaces: Workspaces) -> None:
    write(workspaces, "tech (copy)", GOOD)
    write(workspaces, "tech", "name: [")
    assert workspaces.ids() == ["tech"]


def test_no_folder_at_all(workspaces: Workspaces) -> None:
    assert workspaces.ids() == []
    assert workspaces.readable() == ([], {})


def test_a_config_that_is_a_link_is_a_problem_and_is_replaced_not_followed(
    workspaces: Workspaces, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text(GOOD, encoding="utf-8")
    folder = workspaces.folder("tech")
    folder.mkdir(parents=True)
    (folder / CONFIG_NAME).symlink_to(elsewhere)
    assert "config.yaml is a symbolic link" in str(workspaces.readable()[1]["tech"])

    workspaces.save(parse_workspace("tech", GOOD, origin="test").model_copy(update={"name": "B"}))

    assert workspaces.get("tech").name == "B"
    assert elsewhere.read_text(encoding="utf-8") == GOOD


def test_a_workspace_folder_may_be_a_link(workspaces: Workspaces, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / CONFIG_NAME).write_text(GOOD, encoding="utf-8")
    workspaces.root.mkdir(parents=True, exist_ok=True)
    workspaces.folder("tech").symlink_to(tmp_path / "disk")
    assert workspaces.get("tech").workspace_id == "tech"


def test_a_config_that_may_not_be_opened_is_a_problem(
    workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(workspaces, "tech", GOOD)

    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    assert "Permission denied: check its permissions" in str(workspaces.readable()[1]["tech"])


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan"])
@pytest.mark.parametrize(
    "line",
    [
        "budget: {{per_video_usd: {}}}",
        "scoring: {{views_per_engagement: {}}}",
        "scoring: {{source_weights: {{hn: {}}}}}",
    ],
)
def test_numbers_are_finite(line: str, number: str) -> None:
    with pytest.raises(ConfigError, match="finite number"):
        parse_workspace("tech", f"{GOOD}{line.format(number)}\n", origin="here")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("retention: {raw_payloads_days: 1000000}", "retention.raw_payloads_days"),
        ("budget: {per_video_usd: 1.0e+300}", "budget.per_video_usd"),
        ("scoring: {views_per_engagement: 1.0e-300}", "scoring.views_per_engagement"),
        ("scoring: {source_weights: {hn: -1}}", "scoring.source_weights.hn"),
        (f"sources: {{hn: {{min_points: {10**30}}}}}", "sources.hn.min_points"),
        ("spam: {blocklist: [' ']}", "spam.blocklist.0"),
        ('spam: {allowlist: ["\\x1f"]}', "spam.allowlist.0"),
        (f"spam: {{link_farms: [{'a' * 254}.example]}}", "spam.link_farms.0"),
        ("spam: {link_farms: [https://spam.example/offers]}", "spam.link_farms.0"),
        ("spam: {link_farms: ['spam.example:8080']}", "spam.link_farms.0"),
        ("spam: {link_farms: [spam]}", "spam.link_farms.0"),
        ("spam: {link_farms: spam.example}", "spam.link_farms"),
        ("spam: {allowlist: [https://good.example/page]}", "spam.allowlist.0"),
        ("spam: {allowlist: ['good.example:443']}", "spam.allowlist.0"),
        ('spam: {patterns: {mine: "\\bfree\\b"}}', "spam.patterns.mine"),
        ("brand: {banned_topics: [free*]}", "brand.banned_topics.0"),
        (f"keywords: [{', '.join(f'w{n}' for n in range(2001))}]", "keywords"),
        ("keywords: ['—']", "keywords.0"),
        ("keywords: rust", "keywords"),
        ("brand: {banned_topics: [casino, '']}", "brand.banned_topics.1"),
        ("brand: {banned_topics: casino}", "brand.banned_topics"),
        ("language: jp", "language"),
        ("language: German", "language"),
        ("language: ''", "language"),
        ("sources: {reddit: {subreddits: [r/]}}", "sources.reddit.subreddits"),
        ("sources: {reddit: {subreddits: [u/somebody]}}", "sources.reddit.subreddits"),
        ("sources: {reddit: {subreddits: rust}}", "sources.reddit.subreddits"),
        ("sources: {youtube: {regions: [UK]}}", "sources.youtube.regions"),
        ("scoring: {source_weights: {Reddit: 2}}", "scoring.source_weights"),
        ("scoring: {source_weights: {hackernews: 2}}", "scoring.source_weights"),
        ("spam: {patterns: {mine: '('}}", r"spam\.patterns\.mine"),
        ("spam: {patterns: {mine: '(?=x)y'}}", r"spam\.patterns\.mine"),
        ("spam: {patterns: {mine: 'x*'}}", r"spam\.patterns\.mine"),
        ("spam: {patterns: {' ': x}}", r"spam\.patterns\. .*"),
        ("spam: {rules_off: [everything]}", r"spam\.rules_off\.0"),
        ("spam: {max_emoji: 0}", r"spam\.max_emoji"),
        ("spam: {max_run: 1001}", r"spam\.max_run"),
        ("spam: {max_capitals_pct: 101}", r"spam\.max_capitals_pct"),
        ("spam: {min_spam_pct: .nan}", r"spam\.min_spam_pct"),
        ("spam: {model: ../m.json}", r"spam\.model"),
        ("spam: {model: a/m.json}", r"spam\.model"),
        ("spam: {model: .json}", r"spam\.model"),
        ("spam: {model: m.exe}", r"spam\.model"),
        ("extra: {a: .nan}", "extra"),
        ("extra: {a: .nan, b: 2026-01-01}", "extra"),
        ("uid: tech", "uid"),
        ("uid: 81KXXXXXXXXXXXXXXXXXXXXXXX", "uid"),
        ("uid: 12", "uid"),
    ],
)
def test_a_value_that_nothing_could_work_with_is_refused_by_its_key(line: str, key: str) -> None:
    with pytest.raises(ConfigError, match=f"here: {key}: "):
        parse_workspace("tech", f"{GOOD}{line}\n", origin="here")


def test_the_longest_retention_is_a_hundred_years() -> None:
    text = f"{GOOD}retention: {{raw_payloads_days: 36500}}\n"
    assert parse_workspace("tech", text, origin="here").retention.raw_payloads_days == 36_500


@pytest.mark.parametrize("pasted", ["sesame", "YTAP_SECRET_", "ytap_secret_a", "YTAP_SECRET_A\\n"])
def test_a_secret_in_place_of_its_name_is_refused_and_not_repeated(pasted: str) -> None:
    text = f'{GOOD}accounts: [{{platform: x, handle: y, credential_ref: "{pasted}"}}]\n'
    with pytest.raises(
        ConfigError, match=r"accounts\.0\.credential_ref: expected the name"
    ) as refused:
        parse_workspace("tech", text, origin="here")
    assert "sesame" not in "".join(format_exception(refused.value))
    assert "sesame" not in str(refused.value.__context__)


def test_the_name_of_a_secret_is_kept() -> None:
    text = f"{GOOD}accounts: [{{platform: x, handle: y, credential_ref: YTAP_SECRET_KEY_2}}]\n"
    [account] = parse_workspace("tech", text, origin="here").accounts
    assert account.credential_ref == "YTAP_SECRET_KEY_2"


def test_a_uid_is_a_ulid_in_any_case() -> None:
    text = "name: Tech\nvertical: technology\nuid: 01m6a6ft007cvztyrqdw4hp9sj\n"
    assert parse_workspace("tech", text, origin="here").uid == "01M6A6FT007CVZTYRQDW4HP9SJ"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("brand:\nbanned_topics: [x]", "brand: it has no value.*line 3"),
        ("spam: {max_emoji: }", "spam.max_emoji: it has no value"),
        ("keywords:", "keywords: it has no value"),
        ("brand:\n- tone: x", "brand: expected `key: value` lines"),
        ("brand: quiet", "brand: expected `key: value` lines"),
        ("keywords: rust", "keywords: expected a list"),
        ("keywords: {a: b}", "keywords: expected a list"),
        ("keywords: [a, [b]]", r"keywords.1: expected a text, not a list"),
        ("keywords: ['a', b: c]", r"keywords.1: expected a text; `a: b` without quotes is a key"),
        ("keywords:\n- #metoo", r"keywords.0: it is empty"),
        ("brand: {banned_topic: [x]}", r"brand.banned_topic: .*did you mean `banned_topics`"),
        ("Brand: {tone: x}", r"Brand: .*did you mean `brand`"),
        ("bran\u200bd: {tone: x}", r"did you mean `brand`.*line 3"),
        ("banned_topics: [x]", r"`banned_topics` belongs below `brand:`"),
        ("language: NO", r"YAML reads NO as false.*'NO'.*line 3"),
        ("language: on", r"YAML reads on as true"),
        ("sources: {youtube: {regions: [NO]}}", r"regions.0: YAML reads NO as false"),
        ("sources: {youtube: {categories: [28]}}", r"reads 28 as the number 28"),
        ("sources: {reddit: {subreddits: [196]}}", r"reads 196 as the number 196.*'196'"),
        ("sources: {reddit: {subreddits: [18_19]}}", r"18_19 as the number 1819.*'18_19'"),
        ("sources: {reddit: {subreddits: [0x1F]}}", r"reads 0x1F as the number 31"),
        ("sources: {reddit: {subreddits: [2026-01-31]}}", r"reads 2026-01-31 as a date"),
        ("sources: {reddit: {subreddits: [~]}}", r"reads ~ as no value"),
        ("sources: {reddit: {subreddits: [null]}}", r"reads null as no value"),
        ("sources: {reddit: {min_score: yes}}", r"min_score: expected a number, not true"),
        ("budget: {per_video_usd: on}", r"per_video_usd: expected a number, not true"),
        ("scoring: {views_per_engagement: true}", r"expected a number, not true"),
        ("scoring: {weights: {spam: yes}}", r"expected a number, not true"),
        ("sources: {hn: {enabled: perhaps}}", r"enabled: expected true or false"),
        ("sources: {reddit: {subreddits: [rust, Rust]}}", r"'rust' and 'Rust' .* the same"),
        ("sources: {reddit: {subreddits: [rust, r/Rust]}}", r"'rust' and 'r/Rust' .* the same"),
        ("sources: {youtube: {regions: [US, US]}}", r"'US' and 'US' .* the same"),
        (
            "sources: {youtube: {regions: [US], categories: ['10', '010']}}",
            r"'10' and '010' .* the same",
        ),
        (f"channels: [{{id: UC{'a' * 22}}}, {{id: UC{'A' * 22}}}]", r"channels: .* the same"),
        (
            "sources: {youtube: {monitored_channels: [" + f"{{id: UC{'a' * 22}}}," * 2 + "]}}",
            r"monitored_channels: .* the same",
        ),
        (
            "accounts: [{platform: x, handle: '@Me'}, {platform: X, handle: me}]",
            r"accounts: 'x @Me' and 'X me' .* the same",
        ),
        ("sources: {youtube: {categories: ['20']}}", r"youtube\.categories: .*`regions`.*line 3"),
        ("sources: {youtube: {regions: [], categories: ['20']}}", r"categories: .*`regions`"),
        ("sources: {youtube: {regions: [us]}}", r"youtube\.regions: 'us' .* write US"),
        ("sources: {youtube: {regions: [EN]}}", r"EN is a language"),
        ("sources: {youtube: {regions: [EU]}}", r"EU is not a country"),
        ("sources: {youtube: {regions: [XX]}}", r"'XX' is not a country code"),
        ("reports: {recipients: [a@b.c]}", r"reports: this key was removed: .*`extra:`.*line 3"),
        (
            "retention: {metrics_days: 9}",
            r"retention\.metrics_days: this key was removed: .*remove",
        ),
        ("accounts: [{platform: youtub, handle: a}]", r"0\.platform: .* mean `youtube`"),
        ("accounts: [{platform: ' ', handle: a}]", r"0\.platform: the name of a platform"),
        ("scoring: {source_weights: {Reddit: 2}}", r"did you mean `reddit`"),
        ("scoring: {source_weights: {Hacker News: 2}}", r"did you mean `hn`"),
        ("scoring: {source_weights: {Mastodon!: 2}}", r"'Mastodon!' is not a source"),
        ("scoring: {weights: {keyword_stp: 1}}", r"did you mean `keyword_step`"),
        ("name: Other", r"the key `name` occurs twice, in lines 1 and 3"),
        ("budget: {per_video_usd: -1}", r"number of at least 0, not -1 \(line 3\)"),
        ("budget: {per_video_usd: 2000000}", r"number of at most 1,000,000, not 2000000 "),
        ("approval: {two_persons_above_usd: 2}", r"approval: .*two names in `approvers`"),
        ("approval: {two_persons_above_usd: 2, approvers: [Ada]}", r"two names in `approvers`"),
        ("approval: {approvers: [Ada, ' ada']}", r"approvers: 'Ada' and 'ada' .* the same"),
        ("approval: {approvers: ['']}", r"approvers\.0: expected a name"),
        ("approval: {approvers: ['person:Ada']}", r"without `person:`"),
        ("approval: {approvers: [policy]}", r"the name of a person"),
        ("approval: {policy_min_score: 80}", r"policy_min_score has no effect"),
        ("approval: {policy_max_cost_usd: 2}", r"policy_max_cost_usd has no effect"),
        ("scoring: {views_per_engagement: 0}", r"number of at least 0\.01, not 0 "),
        (f"sources: {{youtube: {{searches: {list('abcdefghijk')}}}}}", r"at most 10 .*not 11 "),
    ],
)
def test_what_would_not_apply_is_refused_with_key_and_line(lines: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_workspace("tech", f"{GOOD}{lines}\n", origin="here")


def test_an_unquoted_secret_is_not_repeated() -> None:
    text = f"{GOOD}accounts: [{{platform: x, handle: y, credential_ref: 8675309}}]\n"
    with pytest.raises(ConfigError, match=r"credential_ref: .*quotes") as refused:
        parse_workspace("tech", text, origin="here")
    assert "8675309" not in str(refused.value)


def test_what_is_meant_is_read() -> None:
    text = (
        f"{GOOD}sources: {{hn: {{enabled: no, min_points: 1_000}}, youtube: {{regions: ['NO']}}}}\n"
        "scoring: {source_weights: {lobsters: 2}}\nextra: {empty: , country: NO}\n"
        "accounts: [{platform: x, handle: me, credential_ref: null}, {platform: y, handle: me}]\n"
    )
    workspace = parse_workspace("tech", text, origin="here")
    assert (workspace.sources.hn.enabled, workspace.sources.hn.min_points) == (False, 1000)
    assert workspace.sources.youtube.regions == ("NO",)
    assert workspace.scoring.source_weights == {"lobsters": 2}


@pytest.mark.parametrize(
    "name",
    [
        "rust",
        "r/rust",
        "/r/rust",
        "/r/rust/",
        "https://www.reddit.com/r/rust/",
        "reddit.com/r/rust",
    ],
)
def test_a_subreddit_is_named_in_any_usual_way(name: str) -> None:
    text = f"{GOOD}sources: {{reddit: {{subreddits: [{name}]}}}}\n"
    assert parse_workspace("tech", text, origin="here").sources.reddit.subreddits == ("rust",)


@pytest.mark.parametrize("language", ["en", "EN", "pt-BR", "zh_Hant", "nb", "tlh", "mul"])
def test_a_language_is_a_code(language: str) -> None:
    text = f"{GOOD.replace('language: en', '')}language: {language}\n"
    assert parse_workspace("tech", text, origin="here").language == language


def test_a_language_by_its_country_is_told_its_code() -> None:
    with pytest.raises(ConfigError, match="ISO 639 code: ja"):
        parse_workspace("tech", f"{GOOD}language: jp\n", origin="here")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("budget: {per_video_usd: $3}", "budget.per_video_usd: expected a number, not '$3'"),
        ("budget: {per_video_usd: [3]}", "expected a number, not a list"),
        ("retention: {raw_payloads_days: 3.5}", "expected a whole number, not 3.5"),
        ("retention: {raw_payloads_days: a week}", "expected a whole number, not 'a week'"),
        ("data_collection_enabled: maybe", "expected true or false, not 'maybe'"),
        (
            "channels: ['https://www.youtube.com/@tech']",
            "channels.0: expected keys and their value",
        ),
        ("channels: ['https://www.youtube.com/@tech']", "such as `- id: UC"),
        ("accounts: ['@tech']", "such as `- platform: "),
        (
            f"channels: [{{id: 'https://www.youtube.com/channel/UC{'a' * 22}/videos'}}]",
            f"write UC{'a' * 22}",
        ),
        ("channels: [{id: 'https://www.youtube.com/@tech'}]", "not an address"),
    ],
)
def test_a_value_of_another_kind_is_shown_beside_what_is_expected(lines: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_workspace("tech", f"{GOOD}{lines}\n", origin="here")
    assert said in str(refused.value)


def test_a_secret_is_shown_in_no_error() -> None:
    lines = "accounts: [{platform: x, handle: y, credential_ref: [sesame]}]"
    with pytest.raises(ConfigError) as refused:
        parse_workspace("tech", f"{GOOD}{lines}\n", origin="here")
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize("platform", ["youtube_de", "youtube2", "tiktok_us", "mastodon.social"])
def test_a_platform_may_have_a_name_of_its_own(platform: str) -> None:
    text = f"{GOOD}accounts: [{{platform: {platform}, handle: me}}]\n"
    assert parse_workspace("tech", text, origin="here").accounts[0].platform == platform
