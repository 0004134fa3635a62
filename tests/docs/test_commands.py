"""Every shell block of the documents runs, with stand-ins for gcloud and the like that record their arguments.

Only the real programs know which flags exist; these tests compare the flags with a table instead.
"""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

import main
from analytics_export.config import Settings
from tests.docs.documents import DOCUMENTS, ROOT, Block, blocks, code, inline_code
from tests.support.functions import ScannedFunction

PROGRAM = r"""#!/bin/sh
name=$(basename "$0")
{ printf '%s' "$name"; for word in "$@"; do printf '\037%s' "$word"; done; printf '\036'; } >> "$CALLS"
case "$name $*" in
  "git clone "*) mkdir -p "$3/terraform" && cp "$REPOSITORY_ROOT/terraform/terraform.tfvars.example" "$3/terraform" ;;
  "git remote get-url origin") echo git@git.example.com:data/analytics-export.git ;;
  "git describe "*) echo v1.2.3 ;;
  "terraform output -raw "*) echo "ran $3" ;;
  "gcloud auth print-identity-token") echo TOKEN ;;
  "gcloud functions describe "*) echo https://function.example.com ;;
  *" --data-file=-") cat > "$CALLS.input" ;;
esac
"""
PROGRAMS = ("gcloud", "bq", "terraform", "git", "curl", "ran")

COMMANDS = {
    "gcloud auth application-default login": "",
    "gcloud auth print-identity-token": "",
    "gcloud beta monitoring channels list": "--format --project",
    "gcloud beta services identity create": "--project --service",
    "gcloud config set": "",
    "gcloud functions deploy": "--build-service-account --concurrency --cpu --entry-point --gen2 --max-instances --memory "
    "--no-allow-unauthenticated --region --runtime --runtime-update-policy --service-account --set-env-vars --source "
    "--timeout --trigger-http",
    "gcloud functions describe": "--format --gen2 --project --region",
    "gcloud iam service-accounts create": "",
    "gcloud logging read": "--format --freshness --limit --project",
    "gcloud logging settings": "",
    "gcloud logging sinks describe": "--project",
    "gcloud projects add-iam-policy-binding": "--condition --member --role",
    "gcloud run services add-iam-policy-binding": "--member --region --role",
    "gcloud run services proxy": "--port --region",
    "gcloud scheduler cmek-config": "",
    "gcloud scheduler jobs create http": "--attempt-deadline --headers --http-method --location --max-backoff "
    "--max-doublings --max-retry-attempts --message-body --min-backoff --oidc-service-account-email "
    "--oidc-token-audience --schedule --time-zone --uri",
    "gcloud scheduler jobs list": "--location --project",
    "gcloud scheduler jobs resume": "--location --project",
    "gcloud scheduler jobs run": "--location --project",
    "gcloud secrets add-iam-policy-binding": "--member --role",
    "gcloud secrets create": "--locations --replication-policy",
    "gcloud secrets versions add": "--data-file --project",
    "gcloud secrets versions disable": "--project --secret",
    "gcloud secrets versions enable": "--project --secret",
    "gcloud secrets versions list": "--filter --format --project --sort-by",
    "gcloud services enable": "--project",
    "gcloud storage buckets add-iam-policy-binding": "--member --role",
    "gcloud storage buckets create": "--location --public-access-prevention --uniform-bucket-level-access",
    "gcloud storage restore": "",
    "gcloud storage service-agent": "--project",
    "gcloud tasks cmek-config": "",
    "gcloud tasks list": "--format --location --project --queue",
    "gcloud tasks locations list": "",
    "gcloud tasks queues describe": "--location --project",
    "gcloud tasks queues purge": "--location --project",
    "gcloud tasks queues resume": "--location --project",
    "bq query": "--project_id --use_legacy_sql",
    "bq show": "--encryption_service_account --format --schema",
}
"""The flags that the documents use. Sources: the command tree of Google Cloud SDK 528.0.0, and for the cmek-config of
Cloud Scheduler, which is younger, its reference."""


@dataclass(frozen=True)
class Ran:
    """The commands that a block called, in order, its output and its input."""

    calls: list[list[str]]
    output: str
    input: str

    def of(self, *words: str) -> list[list[str]]:
        """The calls that begin with these words."""
        return [call for call in self.calls if call[: len(words)] == list(words)]


def run(block: Block, folder: Path) -> Ran:
    programs = folder / "programs"
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).write_text(PROGRAM)
        (programs / name).chmod(0o755)
    calls = folder / "calls"
    calls.touch()
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=folder,
        input="the key\n" * 2,
        env={
            "PATH": f"{programs}:/usr/bin:/bin",
            "CALLS": str(calls),
            "EDITOR": "true",
            "REPOSITORY_ROOT": str(ROOT),
            "URI": "https://function.example.com",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    given = Path(f"{calls}.input")
    return Ran(
        calls=[call.split("\x1f") for call in calls.read_text().split("\x1e")[:-1]],
        output=done.stdout,
        input=given.read_text() if given.exists() else "",
    )


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_a_shell_block_runs_without_error(block: Block, tmp_path: Path) -> None:
    ran = run(block, tmp_path)
    for call in ran.of("terraform"):
        assert call[1] in {"init", "apply", "output"}


def test_every_flag_is_known() -> None:
    """The flags of every command in blocks, tables, lists and runbooks; the table has no others."""
    used: dict[str, set[str]] = {}
    for document in DOCUMENTS:
        for piece in code(document):
            for command in re.split(r"(?<![\w./-])(?=(?:gcloud|bq) )", piece):
                if not command.startswith(("gcloud ", "bq ")) or command.startswith("gcloud ... "):
                    continue
                known = [name for name in COMMANDS if f"{command} ".replace(")", " ").startswith(f"{name} ")]
                assert known, f"{document}: {command}"
                flags = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9_-]+", command))
                used.setdefault(max(known, key=len), set()).update(flags)
    assert used == {name: set(flags.split()) for name, flags in COMMANDS.items()}


class TestWithoutTerraform:
    """The commands of docs/deploy.md make what Terraform makes, by the same names."""

    @pytest.fixture
    def ran(self, tmp_path: Path) -> Ran:
        (block,) = [block for block in blocks("sh") if "gcloud functions deploy" in block.text]
        return run(block, tmp_path)

    def test_every_service_and_role_is_one_of_terraforms(self, ran: Ran) -> None:
        terraform = "".join(path.read_text() for path in (ROOT / "terraform").glob("*.tf"))
        services = ran.of("gcloud", "services", "enable")[0][3:]
        roles = {word.removeprefix("--role=") for call in ran.calls for word in call if word.startswith("--role=")}
        assert len(services) >= 6
        assert len(roles) >= 6
        assert [name for name in {*services, *roles} if f'"{name}"' not in terraform] == []

    def test_the_key_is_read_from_standard_input(self, ran: Ran) -> None:
        assert ran.input == "the key"
        assert "the key" not in str(ran.calls)

    def test_the_function_would_start_with_the_deployed_settings(self, ran: Ran) -> None:
        (deployed,) = ran.of("gcloud", "functions", "deploy")
        flags = dict(word.removeprefix("--").partition("=")[::2] for word in deployed if word.startswith("--"))
        assert hasattr(main, flags["entry-point"])
        assert f'"{flags["runtime"]}"' in (ROOT / "terraform/function.tf").read_text()
        environment = dict(pair.split("=") for pair in flags["set-env-vars"].split(","))
        assert environment.pop("LOG_EXECUTION_ID") == "true", "the platform's own"
        assert Settings.from_env(environment).bucket == "my-project-analytics-export"
        assert set(environment) <= set(re.findall(r"[A-Z_]{5,}", (ROOT / "analytics_export/config.py").read_text()))

    def test_the_scheduler_job_sends_a_body_that_the_function_accepts(
        self, ran: Ran, function: ScannedFunction
    ) -> None:
        (job,) = ran.of("gcloud", "scheduler", "jobs", "create")
        flags = dict(word.removeprefix("--").partition("=")[::2] for word in job if word.startswith("--"))
        assert flags["uri"] == flags["oidc-token-audience"] == "https://function.example.com"
        assert function.post({**json.loads(flags["message-body"]), "dry_run": True}).status == 200


def test_every_address_in_a_curl_command_answers(tmp_path: Path, function: ScannedFunction) -> None:
    """Nothing has been exported yet, so the sensor's request gets 503."""
    requested = []
    for number, block in enumerate(blocks("sh")):
        (tmp_path / str(number)).mkdir()
        requested += run(block, tmp_path / str(number)).of("curl")
    answers = []
    for call in requested:
        assert call[call.index("-H") + 1] == "Authorization: Bearer TOKEN"
        path, _, query = call[-1].removeprefix("https://function.example.com").partition("?")
        fields = dict(pair.split("=") for pair in query.split("&")) if query else {}
        answer = function.get(path, query=fields)
        answers.append((path, answer.status, answer.json().get("type")))
    assert ("/", 503, "periods-missing") in answers
    assert {path for path, *_ in answers} == {"/", "/check"}


def test_the_address_of_the_runbooks_is_derived_from_git(tmp_path: Path) -> None:
    (block,) = [block for block in blocks("sh") if "git remote get-url" in block.text]
    found = run(block, tmp_path).output
    assert found == "https://git.example.com/data/analytics-export/blob/v1.2.3/docs/runbooks\n"


def test_the_commands_for_key_and_check_are_run_as_terraform_prints_them(tmp_path: Path) -> None:
    """`ran NAME` is what the stand-in for terraform prints as the command of an output."""
    (block,) = [block for block in blocks("sh") if "git clone" in block.text]
    assert run(block, tmp_path).of("ran") == [["ran", "add_key_command"], ["ran", "check_command"]]
    assert (tmp_path / "analytics-export/terraform/terraform.tfvars").is_file()


def test_commands_in_running_text_are_well_formed() -> None:
    """Their quotes and substitutions are closed."""
    for document in DOCUMENTS:
        for piece in inline_code(document):
            if piece.startswith(("eval ", "gcloud ", "bq ", "make ", "terraform ")) and "..." not in piece:
                subprocess.run(["bash", "-n", "-c", piece], check=True)
