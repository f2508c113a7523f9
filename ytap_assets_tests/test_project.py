"""The project's own files agree with each other."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_tool_of_dagster_loads_the_same_definitions() -> None:
    dg = PROJECT["tool"]["dg"]["project"]
    module = PROJECT["tool"]["dagster"]["module_name"]
    assert dg["code_location_target_module"] == module
    assert (ROOT / "workspace.yaml").read_text(encoding="utf-8").split()[-1] == module
    assert module.startswith(f"{dg['root_module']}.")
    found = importlib.util.find_spec(module)
    assert found is not None
    assert found.origin is not None
    assert re.search(r"^defs = build_definitions\(\)$", Path(found.origin).read_text(), re.M)


def test_locks_pin_hashes_and_name_no_host() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        lock = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"://|--index|--find-links", lock), name
        pins = re.findall(r"^[A-Za-z0-9].*$", lock, re.MULTILINE)
        assert all(re.match(r"[\w.-]+==\S+ .*\\$", pin) for pin in pins), name
        assert len(re.findall(r"^    --hash=sha256:", lock, re.MULTILINE)) >= len(pins), name


def test_tables_of_the_documentation_have_a_line_for_each_row() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    broken = [str(page) for page in pages if "| |---" in page.read_text(encoding="utf-8")]
    assert len(pages) > 20
    assert broken == []


def list_anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_relative_links_of_the_documentation_resolve() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\(([^()\s]+)\)", page.read_text(encoding="utf-8"))
        if "://" not in link
    ]
    assert len(links) > 100
    broken = []
    for page, link in links:
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in list_anchors(target)):
            broken.append(f"{page.relative_to(ROOT)}: {link}")
    assert broken == []


def test_the_files_of_common_changes_exist() -> None:
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = contributing.split("## Common changes")[1]
    names = re.findall(r"(?<!\+ )`([\w/]+\.(?:py|toml))`", table)
    assert len(names) > 10
    missing = [name for name in names if not {*ROOT.glob(name), *ROOT.glob(f"ytap_assets/{name}")}]
    assert missing == []


def test_make_clean_removes_what_its_help_names_and_nothing_where_there_are_backups(
    tmp_path: Path,
) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    backups, lake = tmp_path / "data" / "backups", tmp_path / "data" / "lake"
    for folder in (backups / "auto-1", lake):
        folder.mkdir(parents=True)
    clean = ["make", "-C", str(tmp_path), "clean"]
    assert subprocess.run(clean, capture_output=True, check=False).returncode != 0
    assert lake.is_dir()
    shutil.rmtree(backups)
    ran = subprocess.run(clean, capture_output=True, check=True, text=True)
    assert not lake.exists()
    [command] = re.findall(r"^rm -rf (.*)$", ran.stdout, re.MULTILINE)
    told = subprocess.run([*clean[:-1], "help"], capture_output=True, check=True, text=True).stdout
    assert [path for path in command.split() if path not in told] == []
