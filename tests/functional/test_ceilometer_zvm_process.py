"""The polling agent of z/VM in a process of its own, against the real Cloud Connector: what Prometheus sees."""

from __future__ import annotations

from pathlib import Path

from tests.functional.telemetry_process import agent
from tests.functional.telemetry_zvm import couple
from tests.support import zvm_host
from tests.support.simulator import ControlClient
from tests.support.telemetry_conf import TinyCloud, instance_uuid

CYLINDER = 737280
"""Bytes of a cylinder that Linux has formatted."""


def test_prometheus_sees_a_guest_at_work_and_one_that_is_switched_off(tmp_path: Path) -> None:
    with (
        zvm_host.serve(tmp_path, connector_options={"monitor": {"cache_interval": 1}}) as world,
        world.started() as platform,
        TinyCloud(["web", "db"]) as cloud,
    ):
        specs = {}
        for name, nics in (("web", (world.nic(),)), ("db", ())):
            specs[name] = world.spec(uuid=instance_uuid(name), name=f"instance-{name}", nics=nics)
            world.spawn(platform, specs[name])
            world.wait_until_up(specs[name])
        web = world.userid(specs["web"])
        couple(platform, web)
        ControlClient(world.simulator.control_url).ask("POST", "/load", {"userid": web, "profile": "steady"})
        with agent(tmp_path, "zvm", world.options, cloud) as exporter:
            cpu = exporter.wait("ceilometer_cpu", "web")
            received = exporter.wait("ceilometer_network_incoming_bytes", "web")
            exporter.wait("ceilometer_cpu", "web", above=cpu)
            exporter.wait("ceilometer_network_incoming_bytes", "web", above=received)
            too_large = exporter.wait("ceilometer_disk_device_capacity", "web") - 2**30
            assert 0 <= too_large < CYLINDER, "1 GiB in whole cylinders"
            assert exporter.wait("ceilometer_power_state", "db") == 1
            platform.power_off(specs["db"].uuid)
            assert exporter.wait("ceilometer_power_state", "db", above=1) == 5
            assert exporter.values("ceilometer_cpu", "db") == []
        for spec in specs.values():
            platform.destroy(spec.uuid)
        world.check_clean()
