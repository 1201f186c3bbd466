"""What users do with servers, on any platform: the actions of the servers API, and how each of them ended."""

from __future__ import annotations

from typing import Any

import pytest
from tests.functional import base

NETWORK = base.SeaNeutron.network_1["id"]


class ServerActions(base.NovaCloud):
    """Actions on servers; a platform's tests take this beside the cloud that they run on."""

    def act(self, server: dict[str, Any], action: dict[str, Any], expected: str) -> dict[str, Any]:
        """An action of the servers API, and the status that it ends in."""
        self.api.post_server_action(server["id"], action)
        return self.settle(server, expected)

    def is_idle(self, server: dict[str, Any]) -> bool:
        return self.admin_api.get_server(server["id"])["OS-EXT-STS:task_state"] is None

    def idle(self, server: dict[str, Any]) -> dict[str, Any]:
        """The server once Nova is done with it, whatever came of it."""
        for _ in base.looks():
            current = dict(self.admin_api.get_server(server["id"]))
            if current["OS-EXT-STS:task_state"] is None:
                return current
        raise AssertionError(f"server {server['name']} stays {current['OS-EXT-STS:task_state']}")

    def result_of(self, server: dict[str, Any], action: str) -> str:
        """How the server's last action of that name ended: Success or Error."""
        for _ in base.looks():
            details = self._last(server, action)
            results = [event["result"] for event in details["events"]]
            if results and None not in results:
                return "Success" if set(results) == {"Success"} else "Error"
        raise AssertionError(f"{action} of server {server['name']} does not end: {details}")

    def _last(self, server: dict[str, Any], action: str) -> dict[str, Any]:
        """The details of the server's last action of that name."""
        latest = next(each for each in self.api.get_instance_actions(server["id"]) if each["action"] == action)
        return dict(self.admin_api.get_instance_action_details(server["id"], latest["request_id"]))

    # Resizes

    def resize(self, server: dict[str, Any], flavor_id: str, expected: str = "VERIFY_RESIZE") -> dict[str, Any]:
        self.api.post_server_action(server["id"], {"resize": {"flavorRef": flavor_id}})
        return self.settle(server, expected)

    def confirm(self, server: dict[str, Any], expected: str = "ACTIVE") -> dict[str, Any]:
        self.api.post_server_action(server["id"], {"confirmResize": None})
        return self.settle(server, expected)

    def revert(self, server: dict[str, Any], expected: str = "ACTIVE") -> dict[str, Any]:
        self.api.post_server_action(server["id"], {"revertResize": None})
        return self.settle(server, expected)

    def events(self, server: dict[str, Any], action: str) -> dict[str, str]:
        """The events of the server's last action of that name, with their results."""
        details = self._last(server, action)
        return {event["event"]: event["result"] for event in details["events"]}

    def allocated(self, server: dict[str, Any]) -> dict[str, int]:
        """What placement has the server use, of the only host."""
        (allocation,) = self._get_allocations_by_server_uuid(server["id"]).values()
        return dict(allocation["resources"])

    # Images

    def take(self, server: dict[str, Any], name: str = "snap") -> str:
        """Snapshot a server and wait for the image; returns its id."""
        self.api.post_server_action(server["id"], {"createImage": {"name": name}})
        self.wait_until(lambda: self.is_idle(server), "the snapshot ends")
        (image,) = [each for each in self.glance.images.values() if each["name"] == name]
        return str(image["id"])

    # Network adapters

    def attach(self, server: dict[str, Any]) -> str:
        """Attach a new port of the network; returns its id."""
        made = self.api.attach_interface(server["id"], {"interfaceAttachment": {"net_id": NETWORK}})
        return str(made.body["interfaceAttachment"]["port_id"])

    def attach_fails(self, server: dict[str, Any]) -> None:
        with pytest.raises(base.api_client.OpenStackApiException, match="Failed to attach network adapter device"):
            self.attach(server)

    def detach(self, server: dict[str, Any], port: str) -> str:
        """Detach a port; returns how Nova says that it ended."""
        self.api.detach_interface(server["id"], port)
        return self.result_of(server, "detach_interface")

    def ports(self, server: dict[str, Any]) -> list[str]:
        """The MACs of the server's ports as Nova has them, in Nova's order."""
        info = self.admin_api.get_server(server["id"])["addresses"]
        return [address["OS-EXT-IPS-MAC:mac_addr"] for network in info.values() for address in network]
