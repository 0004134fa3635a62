"""Every alert has a page, and contains it: the whole page, or its first lines and a link."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.terraform_cli import ROOT, outputs, resources

RUNBOOKS = ROOT / "docs/runbooks"
SECTIONS = ["How sure", "Usual causes", "When to ask Usercentrics", "How to see that it is over"]
CONTENT_BYTES = 8 * 1024
SUBJECT_CHARACTERS = 255
"""Google Cloud, AlertPolicy.Documentation: content and subject."""
PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path.name != "README.md")


def policies(run: str) -> dict[str, dict[str, Any]]:
    return resources(run, "google_monitoring_alert_policy")


def page_of(policy: str) -> Path:
    return RUNBOOKS / f"{policy.split('/', maxsplit=1)[0]}.md"


def documentation_of(policy: dict[str, Any]) -> tuple[str, str, list[str]]:
    """Return the subject, the content and the addresses of the links."""
    (documentation,) = policy["documentation"]
    return documentation["subject"], documentation["content"], [link["url"] for link in documentation["links"]]


def commands(text: str) -> list[str]:
    """The commands of a page: its indented lines, and code in its tables that calls a program."""
    indented = re.findall(r"^    (\S.*)$", text, re.MULTILINE)
    return indented + re.findall(r"`((?:gcloud|bq|terraform) [^`]+)`", text)


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert {page_of(name) for name in policies("everything")} == set(PAGES)


def test_the_list_of_pages_names_each_page_with_its_severity() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \|", (RUNBOOKS / "README.md").read_text(), re.MULTILINE)
    severities = {page_of(name).stem: policy["severity"] for name, policy in policies("everything").items()}
    assert {(name, page, severity) for name, page, severity in rows} == {
        (name, name, severity) for name, severity in severities.items()
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_a_meaning_a_first_command_and_every_section(page: Path) -> None:
    text = page.read_text()
    title, first_lines = text.split("\n## ")[0].split("\n", 1)
    assert title.startswith("# ")
    assert re.search(r"^First command, [^\n]*:\n\n    (gcloud|bq) ", first_lines, re.MULTILINE)
    assert len(commands(first_lines)) >= 2, "and a command that repairs"
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS


@pytest.mark.parametrize("run", ["defaults", "everything", "one_instance"])
def test_an_alert_has_the_title_of_its_page_and_every_name_filled_in(run: str) -> None:
    for name, policy in policies(run).items():
        subject, content, _ = documentation_of(policy)
        title = page_of(name).read_text().split("\n")[0].removeprefix("# ")
        key = name.removeprefix("missing/")
        assert subject == policy["display_name"] == f"analytics-export: {title.replace('${key}', key)}"
        assert len(subject) <= SUBJECT_CHARACTERS
        assert len(content.encode()) <= CONTENT_BYTES
        assert "${" not in content
        assert not content.startswith("#")


def test_without_an_address_an_alert_contains_the_whole_page() -> None:
    for name, policy in policies("defaults").items():
        _, content, links = documentation_of(policy)
        assert links == []
        assert [section for section in SECTIONS if f"\n## {section}\n" not in content] == []
        assert len(content.splitlines()) == len(page_of(name).read_text().splitlines()) - 2, "without the title"


def test_with_an_address_an_alert_contains_the_first_lines_and_a_link() -> None:
    for name, policy in policies("everything").items():
        _, content, links = documentation_of(policy)
        assert links == [f"https://example.com/docs/runbooks/{page_of(name).name}"]
        first_lines = page_of(name).read_text().split("\n## ")[0]
        assert len(content.splitlines()) == len(first_lines.splitlines()) - 2
        assert "First command" in content
        assert "\n## " not in content


@pytest.mark.parametrize("run", ["defaults", "one_instance"])
def test_every_command_can_be_parsed_and_names_existing_resources(run: str) -> None:
    """Jobs and queues that exist, and the queue's location."""
    jobs = {job["name"] for job in resources(run, "google_cloud_scheduler_job").values()}
    queues = {queue["name"]: queue["location"] for queue in resources(run, "google_cloud_tasks_queue").values()}
    checked = 0
    for policy in policies(run).values():
        for command in commands(documentation_of(policy)[1]):
            words = shlex.split(command)
            if words[:3] == ["gcloud", "scheduler", "jobs"] and len(words) > 4 and not words[4].startswith("-"):
                assert words[4] in jobs | {"JOB"}
                checked += 1
            if words[:3] == ["gcloud", "tasks", "queues"]:
                assert words[words.index("--location") + 1] == queues[words[4]]
                checked += 1
            if words[0] == "gcloud" and words[1] != "services":
                assert "my-project" in words
    assert checked > 10


def test_an_export_without_a_catch_up_names_the_job_itself() -> None:
    without, with_one = (
        documentation_of(policies("everything")[f"missing/granular/{frequency}"])[1]
        for frequency in ("monthly", "daily")
    )
    assert "jobs run analytics-export-granular-monthly --project" in without
    assert "jobs run analytics-export-granular-daily-catch-up --project" in with_one


def test_the_alerts_have_the_output_that_adds_a_key() -> None:
    for alert in ("key_missing", "key_refused"):
        assert outputs("defaults")["add_key_command"] in documentation_of(policies("defaults")[alert])[1]


def test_the_readme_of_the_runbooks_sets_exactly_the_names_that_the_pages_use() -> None:
    """So a command can also be copied from a page."""
    (block,) = re.findall(r"```sh\n(.*?)```", (RUNBOOKS / "README.md").read_text(), re.DOTALL)
    settable = set(re.findall(r"(\w+)=", block))
    used = {name for page in PAGES for name in re.findall(r"\$\{(\w+)\}", page.read_text())}
    assert settable == used


def test_the_command_for_a_replaced_key_disables_every_version_but_the_newest(tmp_path: Path) -> None:
    """Run with a `gcloud` that lists three versions, the newest first, as the command requests."""
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(
        f'#!/bin/sh\nif [ "$3" = list ]; then printf "7\\n6\\n2\\n"; else echo "$@" >> {tmp_path}/disabled; fi\n'
    )
    gcloud.chmod(0o755)
    (command,) = [line for line in commands(page_of("key_refused").read_text()) if "xargs" in line]
    assert '--sort-by "~createTime"' in command
    subprocess.run(
        ["bash", "-c", command],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "secret": "s", "project": "p"},
        check=True,
    )
    disabled = (tmp_path / "disabled").read_text().splitlines()
    assert disabled == [f"secrets versions disable --secret s --project p {number}" for number in (6, 2)]
