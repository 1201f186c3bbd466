"""A poll by Ceilometer's own agent: servers from Nova over HTTP, figures handed in, samples as they go to the bus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ceilometer.polling import manager as polling
from tests.support.telemetry_conf import Captured, TinyCloud, instance_uuid, prepared, write_files

from bigiron.model import GuestUsage, PowerState
from bigiron.plugins.ceilometer.powervm import PowerVMPollster
from bigiron.powervm.options import PowerVMOptions


class Figures:
    """Stands for the platform."""

    def __init__(self) -> None:
        self.asked: list[set[str]] = []

    def usages(self, cache: dict[str, Any], instances: list[str], _manager: Any) -> dict[str, GuestUsage]:
        if "figures" not in cache:
            self.asked.append(set(instances))
        return cache.setdefault("figures", {uuid: GuestUsage(uuid, PowerState.RUNNING, 4, 1024) for uuid in instances})


@pytest.fixture
def cloud() -> Iterator[TinyCloud]:
    with TinyCloud(["web", "db"]) as found:
        yield found


@pytest.fixture
def agent(tmp_path: Path, cloud: TinyCloud) -> polling.AgentManager:
    options = PowerVMOptions(rest_host="192.0.2.1", rest_port=12443)
    made = polling.AgentManager(0, prepared(write_files(tmp_path, options, cloud)), ["powervm"])
    made.polling_manager = polling.PollingManager(made.conf)
    made.notifier = Captured()
    return made


def test_servers_of_this_host_are_polled(agent: polling.AgentManager, cloud: TinyCloud) -> None:
    figures = Figures()
    for one in agent.extensions:
        if isinstance(one.obj, PowerVMPollster):
            one.obj.source = figures
    (task,) = agent.setup_polling_tasks().values()
    for _ in range(2):
        task.poll_and_notify()
    assert figures.asked == [{instance_uuid("web"), instance_uuid("db")}] * 2
    lists = [one for one in cloud.requests if "/servers/detail" in one]
    assert len(lists) == 2 and "host=power1" in lists[0] and "all_tenants=True" in lists[0]
    assert "changes-since" not in lists[0] and "changes-since" in lists[1]
    found = {
        (one["counter_name"], one["resource_id"], one["counter_volume"], one["counter_unit"], one["counter_type"])
        for one in agent.notifier.samples
    }
    web = instance_uuid("web")
    assert {
        ("vcpus", web, 4, "vcpu", "gauge"), ("memory", web, 1024, "MiB", "gauge"), ("power.state", web, 1, "", "gauge"),
        ("disk.root.size", web, 10, "GiB", "gauge"),
    } <= found  # fmt: skip
    told = next(one for one in agent.notifier.samples if one["resource_id"] == web)
    assert told["resource_metadata"]["display_name"] == "web"
    assert (told["project_id"], told["user_id"]) == ("project1", "user1")
