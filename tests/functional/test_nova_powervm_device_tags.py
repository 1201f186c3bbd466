"""Tags of network adapters, as a guest reads them in its config drive, and tags that are refused."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

import pytest
from nova import context, objects, utils
from tests.functional import base, world
from tests.functional.test_nova_powervm_configdrive import Drives

NETWORK = base.SeaNeutron.network_1["id"]


class DeviceTags(Drives):
    """With a microversion whose requests can carry tags."""

    def tags(self, server: dict[str, Any]) -> dict[str, list[str]]:
        """The tags by MAC address that Nova's metadata has of a server's devices."""
        instance = objects.Instance.get_by_uuid(
            context.get_admin_context(), server["id"], expected_attrs=["device_metadata"]
        )
        devices = instance.device_metadata.devices if instance.device_metadata else []
        return {device.mac: device.tags for device in devices}

    def macs(self, server: dict[str, Any]) -> list[str]:
        """The MACs of the server's ports, in the order of the request."""
        return [one["mac_addr"] for one in self.api.get_port_interfaces(server["id"])]

    def attach(self, server: dict[str, Any], tag: str) -> str:
        made = self.api.attach_interface(server["id"], {"interfaceAttachment": {"net_id": NETWORK, "tag": tag}})
        return str(made.body["interfaceAttachment"]["port_id"])

    def test_a_guest_finds_its_tagged_adapters_by_their_mac(self) -> None:
        networks = [{"uuid": NETWORK, "tag": "front"}, {"uuid": NETWORK}, {"uuid": NETWORK, "tag": "backup"}]
        with utils.temporary_mutation(self.api, microversion="2.42"):
            server = self.boot(config_drive=True, networks=networks)
        wanted = {mac: [tag] for mac, tag in self.tags_by_network(server).items()}
        assert sorted(wanted.values()) == [["backup"], ["front"]]
        assert self.tags(server) == wanted
        devices = json.loads(self.drive_of(server)["/openstack/latest/meta_data.json"])["devices"]
        assert {device["mac"]: device["tags"] for device in devices} == wanted
        assert {device["type"] for device in devices} == {"nic"}
        self.delete(server)

    def tags_by_network(self, server: dict[str, Any]) -> dict[str, str]:
        """The tag of each tagged port's MAC, as the request had them."""
        vifs = objects.VirtualInterfaceList.get_by_instance_uuid(context.get_admin_context(), server["id"])
        assert {vif.address for vif in vifs} == set(self.macs(server))
        return {vif.address: vif.tag for vif in vifs if vif.tag}

    def test_a_tag_comes_and_goes_with_its_adapter(self) -> None:
        server = self.boot()
        assert self.tags(server) == {}
        self._stop_server(server)
        (first,) = self.macs(server)
        with utils.temporary_mutation(self.api, microversion="2.49"):
            port = self.attach(server, "backup")
        (added,) = set(self.macs(server)) - {first}
        assert self.tags(server) == {added: ["backup"]}
        self.api.detach_interface(server["id"], port)
        self.wait_until(lambda: self.tags(server) == {}, "the tag goes with the adapter")
        assert self.macs(server) == [first]
        self.delete(server)

    def test_an_adapter_whose_tag_cannot_be_saved_is_detached_again(self) -> None:
        server = self.boot()
        self._stop_server(server)
        before = self.state()
        with (
            utils.temporary_mutation(self.api, microversion="2.49"),
            mock.patch("bigiron.plugins.nova.device_tags.save", side_effect=TimeoutError),
            pytest.raises(base.api_client.OpenStackApiException, match="Failed to attach network adapter device"),
        ):
            self.attach(server, "backup")
        assert world.differences(before, self.state()) == []
        assert len(self.macs(server)) == 1
        self.delete(server)

    def test_a_tagged_disk_is_refused_before_anything_is_made(self) -> None:
        disk = {
            "boot_index": 0,
            "uuid": self.image_id,
            "source_type": "image",
            "destination_type": "local",
            "tag": "system",
        }
        self.simulator.journal.clear()
        with utils.temporary_mutation(self.api, microversion="2.42"):
            message = self.boot_fails(block_device_mapping_v2=[disk])
        assert "the disk with the tag system cannot be tagged" in message
        assert not [kind for kind in self.kinds() if kind[0] != "GET"]
