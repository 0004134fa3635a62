"""Every value of the plans is checked by the provider's own rules, so that a wrong one fails here, not at an apply."""

import json
from typing import Any

import pytest

from tests.terraform.provider_rules import RULES, faults, replacing
from tests.terraform.terraform_cli import planned

RUNS = ("defaults", "no_queue", "one_instance", "everything", "existing_bucket", "own_keys")


@pytest.mark.parametrize("run", RUNS)
def test_the_provider_would_accept_every_value(run: str) -> None:
    found = {address: faults(kind, values) for address, (kind, values) in planned(run).items()}
    assert {address: each for address, each in found.items() if each} == {}


def test_the_rules_are_about_types_that_the_module_uses() -> None:
    used = {kind for kind, _ in planned("everything").values()} | {"google_secret_manager_secret_version"}
    assert set(RULES) <= used


def test_the_rules_find_wrong_values_in_a_real_plan() -> None:
    """Values of enumerations, in blocks and outside."""
    policies = [values for kind, values in planned("defaults").values() if kind == "google_monitoring_alert_policy"]
    assert policies
    for policy in policies:
        assert faults("google_monitoring_alert_policy", {**policy, "severity": "NOTICE"})
        assert faults("google_monitoring_alert_policy", {**policy, "combiner": "ANY"})
    (queue,) = [values for kind, values in planned("defaults").values() if kind == "google_cloud_tasks_queue"]
    assert faults("google_cloud_tasks_queue", _with(queue, ["http_target", "uri_override", "scheme"], "https"))


@pytest.mark.parametrize(
    ("kind", "values", "fault"),
    [
        ("google_artifact_registry_repository", {"cleanup_policies": [{"action": "PURGE"}]}, "is none of"),
        ("google_cloud_scheduler_job", {"http_target": [{}], "pubsub_target": [{}]}, "exactly one of"),
        ("google_cloud_scheduler_job", {}, "exactly one of"),
        ("google_cloud_scheduler_job", {"http_target": [{}], "retry_config": [{"retry_count": 0}]}, "at least one of"),
        ("google_storage_bucket_object", {"source": "a", "content": "b"}, "exactly one of"),
        ("google_secret_manager_secret_version", {}, "exactly one of"),
        (
            "google_secret_manager_secret",
            {"replication": [{"auto": [{"x": 1}], "user_managed": [{"x": 1}]}]},
            "exactly",
        ),
        ("google_cloudfunctions2_function", {"service_config": [{"ingress_settings": "ALLOW_SOME"}]}, "is none of"),
        (
            "google_cloudfunctions2_function",
            {"service_config": [{"vpc_connector": "a", "direct_vpc_network_interface": [{"network": "b"}]}]},
            "not together",
        ),
        (
            "google_secret_manager_secret",
            {"replication": [{"auto": [{"x": 1}]}], "rotation": [{"x": 1}]},
            "all or none",
        ),
    ],
)
def test_a_fault_is_found(kind: str, values: dict[str, Any], fault: str) -> None:
    found = faults(kind, values)
    assert [each for each in found if fault in each], found


def test_correct_values_have_no_fault() -> None:
    assert faults("google_cloud_scheduler_job", {"http_target": [{"uri": "https://x"}], "retry_config": []}) == []
    assert faults("google_secret_manager_secret_version", {"secret_data_wo_version": "1"}) == []
    assert faults("google_monitoring_alert_policy", {"combiner": "OR", "severity": "ab12cd34"}) == [], (
        "from mock_provider"
    )


def test_values_that_cannot_change_are_also_found_in_blocks() -> None:
    secret = {
        "secret_id": "key",
        "labels": {"a": "b"},
        "replication": [
            {"user_managed": [{"replicas": [{"location": "europe-west3", "customer_managed_encryption": []}]}]}
        ],
    }
    assert replacing("google_secret_manager_secret", secret) == {
        "secret_id": "key",
        "replication": [{"user_managed": [{"replicas": [{"location": "europe-west3"}]}]}],
    }


def _with(block: dict[str, Any], path: list[str], value: object) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(block))
    target = copy
    for name in path[:-1]:
        target = target[name][0]
    target[path[-1]] = value
    return copy
