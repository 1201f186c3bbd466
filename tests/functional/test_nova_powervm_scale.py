"""A host with 500 servers: what a start, a power sync and an audit ask of the platform does not grow with them."""

from __future__ import annotations

import uuid
from typing import Any
from unittest import mock

import pytest
from nova import context as nova_context
from nova import objects
from nova.compute import power_state, vm_states
from nova.network import model as network_model
from tests.functional import base
from tests.functional.powervm import PowerVMCloud

from bigiron import naming
from bigiron.plugins.nova.driver import BigironDriver

SERVERS = 500
VIOSES = 2
UUIDS = [str(uuid.uuid5(uuid.NAMESPACE_DNS, f"resident {number}")) for number in range(SERVERS)]


@pytest.mark.full
class ManyServers(PowerVMCloud):
    """Servers that are there already, as after an upgrade: their partitions on the platform, their records in Nova."""

    options = {"disk_driver": "ssp", "console_recorder": False}

    def edit_system(self, document: dict[str, Any]) -> dict[str, Any]:
        document["system"] |= {"memory_mb": 4 * 2**20, "processors": 400, "max_partitions": 1000}
        document["clusters"][0]["tiers"][0]["capacity_gb"] = 100_000
        nics = [{"switch": "ETHERNET0", "vlan": base.VLAN}, {"switch": "MGMTSWITCH", "vlan": 4094}]
        document["partitions"] += [
            {
                "name": f"resident{number}",
                "uuid": naming.lpar_uuid(uuid).lower(),
                "description": naming.mark(uuid),
                "memory_mb": 512,
                "proc_units": 0.1,
                "vcpus": 1,
                "nics": nics,
                "disks": [{"cluster": document["clusters"][0]["name"], "size_gb": 2}],
            }
            for number, uuid in enumerate(UUIDS)
        ]
        return document

    def start_service_under_test(self) -> None:
        """The first start makes the node's record; the one that counts finds the servers."""
        # A new service refuses a host that has guests, as an old one's database would be the wrong one.
        with mock.patch.object(BigironDriver, "list_instance_uuids", lambda _driver: []):
            self.start_compute().stop()
        self.context = nova_context.get_admin_context()
        (node,) = objects.ComputeNodeList.get_all_by_host(self.context, base.HOST)
        self.node_id = node.id
        flavor = objects.Flavor(
            id=1, flavorid="1", name="resident", memory_mb=512, vcpus=1, root_gb=2, ephemeral_gb=0, swap=0,
            rxtx_factor=1.0, vcpu_weight=0, disabled=False, is_public=True, extra_specs={},
        )  # fmt: skip
        for number, each in enumerate(UUIDS):
            self.record(number, each, flavor)
        self.simulator.journal.clear()
        self.start_compute()

    def record(self, number: int, each: str, flavor: Any) -> None:
        """A running server with one port that is up, as Nova keeps it."""
        network = network_model.Network(id=base.SeaNeutron.network_1["id"], subnets=[], meta={"mtu": 1500})
        vif = network_model.VIF(
            id=str(uuid.uuid5(uuid.NAMESPACE_DNS, f"port {number}")),
            address=f"fa:16:3e:01:{number // 256:02x}:{number % 256:02x}",
            network=network,
            type="pvm_sea",
            details={"vlan": str(base.VLAN)},
            active=True,
        )
        objects.Instance(
            self.context,
            uuid=each,
            user_id="fake",
            project_id="fake",
            host=base.HOST,
            node=base.HOST,
            compute_id=self.node_id,
            vm_state=vm_states.ACTIVE,
            power_state=power_state.RUNNING,
            task_state=None,
            image_ref=self.image_id,
            display_name=f"resident{number}",
            hostname=f"resident{number}",
            memory_mb=512,
            vcpus=1,
            root_gb=2,
            ephemeral_gb=0,
            flavor=flavor,
            system_metadata={},
            info_cache=objects.InstanceInfoCache(
                self.context, instance_uuid=each, network_info=network_model.NetworkInfo([vif])
            ),
        ).create()

    @pytest.mark.timeout(1200)
    def test_the_platform_is_asked_as_for_one(self) -> None:
        shown = "\n".join(f"{count} {kind}" for kind, count in sorted(self.kinds().items()))
        assert self.kinds().total() < 15 + 2 * VIOSES, shown
        assert set(self.driver.list_instance_uuids()) == set(UUIDS)
        self.simulator.journal.clear()
        self.compute.manager._sync_power_states(self.context)
        assert any(not self.compute.manager._syncs_in_progress for _ in base.looks(600)), "the power sync does not end"
        assert self.kinds().total() <= 2, self.kinds()
        self.simulator.journal.clear()
        self.grow_old()
        self.compute.manager.update_available_resource(self.context)
        assert self.kinds().total() <= 2, self.kinds()
        assert self.inventory()["VCPU"]["total"] == 4000
        states = {instance.power_state for instance in objects.InstanceList.get_by_host(self.context, base.HOST)}
        assert states == {power_state.RUNNING}
