"""All that Nova can put on a config drive, read from the optical medium that the platform serves to the guest."""

from __future__ import annotations

import base64
import contextlib
import http.server
import io
import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pycdlib
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from nova import utils
from tests.functional import base
from tests.functional.powervm import PowerVMCloud

from bigiron.powervm.network import rmc

USER_DATA = b"#cloud-config\npackages: [nginx]\n"
INJECTED = b"welcome\x00\xff"


class VendorService(http.server.BaseHTTPRequestHandler):
    """A service of the operator's that Nova asks for what is particular to an instance."""

    asked: list[dict[str, Any]]

    def do_POST(self) -> None:
        self.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        answer = json.dumps({"join": self.asked[-1]["instance-id"]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_arguments: Any) -> None:
        """Says nothing."""


class Drives(PowerVMCloud):
    """Reads what guests are served."""

    def drive_of(self, server: dict[str, Any]) -> dict[str, bytes]:
        """Every file of the only medium, which is in the guest's drive, by its path."""
        kinds = [target["kind"] for _vios, target in self.targets_of(self.lpar_of(server))]
        assert kinds.count("VirtualOpticalMedia") == 1
        (medium,) = [
            medium
            for vios in self.state()["vioses"]
            for group in vios["groups"]
            for medium in (group["repository"] or {"media": []})["media"]
        ]
        iso = pycdlib.PyCdlib()
        iso.open(str(Path(self.simulator.world.media_dir, medium["content"]["file"])))
        files = {}
        for folder, _folders, names in iso.walk(rr_path="/"):
            for name in names:
                path = f"{folder.rstrip('/')}/{name}"
                out = io.BytesIO()
                iso.get_file_from_iso_fp(out, rr_path=path)
                files[path] = out.getvalue()
        iso.close()
        return files


class ConfigDrive(Drives):
    """With metadata of every kind."""

    @contextlib.contextmanager
    def vendor_service(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        asked: list[dict[str, Any]] = []
        handler = type("Handler", (VendorService,), {"asked": asked})
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as service:
            threading.Thread(target=service.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{service.server_address[1]}/", asked
            service.shutdown()

    def key_pair(self) -> str:
        public = ed25519.Ed25519PrivateKey.generate().public_key()
        text = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
        self.api.post_keypair({"keypair": {"name": "admin", "public_key": text}})
        return text

    def test_everything_that_a_request_and_an_operator_can_give(self) -> None:
        static = self.scratch / "vendor.json"
        static.write_text('{"cloud-init": "#cloud-config"}')
        key = self.key_pair()
        with self.vendor_service() as (url, asked):
            self.flags(
                vendordata_providers=["StaticJSON", "DynamicJSON"],
                vendordata_jsonfile_path=str(static),
                vendordata_dynamic_targets=[f"site@{url}"],
                vendordata_dynamic_failure_fatal=True,
                group="api",
            )
            # The last microversion whose requests can carry files.
            with utils.temporary_mutation(self.api, microversion="2.56"):
                server = self.boot(
                    config_drive=True,
                    metadata={"role": "web"},
                    key_name="admin",
                    adminPass="correct horse",
                    user_data=base64.b64encode(USER_DATA).decode(),
                    personality=[{"path": "/etc/motd", "contents": base64.b64encode(INJECTED).decode()}],
                )
        files = self.drive_of(server)
        latest = {path.removeprefix("/openstack/latest/"): content for path, content in files.items()}
        meta_data = json.loads(latest["meta_data.json"])
        assert meta_data["uuid"] == server["id"]
        assert meta_data["hostname"].startswith("web")
        assert meta_data["meta"] == {"role": "web"}
        assert meta_data["public_keys"] == {"admin": key}
        assert [(each["type"], each["name"], each["data"]) for each in meta_data["keys"]] == [("ssh", "admin", key)]
        assert meta_data["admin_pass"] == "correct horse"
        (injected,) = meta_data["files"]
        assert injected["path"] == "/etc/motd"
        assert files[f"/openstack{injected['content_path']}"] == INJECTED
        assert latest["user_data"] == USER_DATA
        assert json.loads(latest["vendor_data.json"]) == {"cloud-init": "#cloud-config"}
        assert json.loads(latest["vendor_data2.json"]) == {
            "static": {"cloud-init": "#cloud-config"},
            "site": {"join": server["id"]},
        }
        assert [each["instance-id"] for each in asked] == [server["id"]] * len(asked)
        assert asked[0]["metadata"] == {"role": "web"}
        # Older readers look for the version that they know.
        versions = {path.split("/")[2] for path in files if path.startswith("/openstack/2")}
        assert {"2012-08-10", "2013-10-17", "2018-08-27"} <= versions
        assert json.loads(files["/ec2/latest/meta-data.json"])["instance-id"]
        self.delete(server)

    def test_the_network_is_what_neutron_gave(self) -> None:
        network = base.SeaNeutron.network_1["id"]
        server = self.boot(config_drive=True, networks=[{"uuid": network}, {"uuid": network}])
        data = json.loads(self.drive_of(server)["/openstack/latest/network_data.json"])
        ports = list(self.neutron._ports.values())
        links = {link["ethernet_mac_address"]: link for link in data["links"]}
        assert list(links) == [*(port["mac_address"] for port in ports), rmc.mac(server["id"])]
        assert {link["type"] for link in data["links"]} == {"phy"}
        subnet = base.SeaNeutron.subnet_1
        for port in ports:
            link = links[port["mac_address"]]
            assert link["vif_id"] == port["id"]
            (layer3,) = [each for each in data["networks"] if each["link"] == link["id"]]
            assert layer3["type"] == "ipv4"
            assert layer3["ip_address"] == port["fixed_ips"][0]["ip_address"]
            assert layer3["netmask"] == "255.255.255.0"
            assert [route["gateway"] for route in layer3["routes"]] == [subnet["gateway_ip"]]
        self.delete(server)

    def test_both_families_and_the_mtu_are_what_neutron_gave(self) -> None:
        subnet = base.SeaNeutron.subnet_ipv6_1
        port = self.neutron.create_port({"port": {"network_id": base.SeaNeutron.network_1["id"]}})["port"]
        address = {"ip_address": "fd37:44e8:ad06::10", "subnet_id": subnet["id"]}
        self.neutron._ports[port["id"]]["fixed_ips"].append(address)
        server = self.boot(config_drive=True, networks=[{"port": port["id"]}])
        data = json.loads(self.drive_of(server)["/openstack/latest/network_data.json"])
        (link,) = (one for one in data["links"] if one["vif_id"] == port["id"])
        assert link["mtu"] == base.SeaNeutron.network_1["mtu"] == 1450
        found = {each["type"]: each for each in data["networks"] if each["link"] == link["id"]}
        assert set(found) == {"ipv4", "ipv6_slaac"}, "the subnet gives addresses by slaac"
        assert found["ipv6_slaac"]["ip_address"] == address["ip_address"]
        assert found["ipv6_slaac"]["netmask"] == "ffff:ffff:ffff:ffff::"
        assert [route["gateway"] for route in found["ipv6_slaac"]["routes"]] == [subnet["gateway_ip"]]
        self.delete(server)

    def test_a_guest_learns_how_each_ipv6_subnet_gives_addresses(self) -> None:
        port = self.neutron.create_port({"port": {"network_id": base.SeaNeutron.network_1["id"]}})["port"]
        bound = self.neutron._ports[port["id"]]
        bound["fixed_ips"] = []
        wanted = {}
        modes = {"ipv6_dhcpv6-stateful": "dhcpv6-stateful", "ipv6_dhcpv6-stateless": "dhcpv6-stateless", "ipv6": None}
        for number, (kind, mode) in enumerate(modes.items(), 1):
            subnet = {
                **base.SeaNeutron.subnet_ipv6_1, "id": str(uuid.uuid4()), "cidr": f"fd00:{number}::/80",
                "gateway_ip": f"fd00:{number}::1", "ipv6_address_mode": mode, "ipv6_ra_mode": mode,
                "enable_dhcp": mode is not None, "dns_nameservers": [f"fd00:{number}::53"],
                "host_routes": [{"destination": "fd00:aa::/64", "nexthop": f"fd00:{number}::9"}],
            }  # fmt: skip
            self.neutron._subnets[subnet["id"]] = subnet
            bound["fixed_ips"].append({"ip_address": f"fd00:{number}::10", "subnet_id": subnet["id"]})
            wanted[kind] = number
        server = self.boot(config_drive=True, networks=[{"port": port["id"]}])
        data = json.loads(self.drive_of(server)["/openstack/latest/network_data.json"])
        (link,) = (one for one in data["links"] if one["vif_id"] == port["id"])
        found = {each["type"]: each for each in data["networks"] if each["link"] == link["id"]}
        assert set(found) == set(wanted)
        for kind, number in wanted.items():
            assert found[kind]["ip_address"] == f"fd00:{number}::10"
            assert found[kind]["netmask"] == "ffff:ffff:ffff:ffff:ffff::"
            routes = [(route["network"], route["gateway"]) for route in found[kind]["routes"]]
            assert routes == [("::", f"fd00:{number}::1"), ("fd00:aa::", f"fd00:{number}::9")]
            assert found[kind]["services"] == [{"type": "dns", "address": f"fd00:{number}::53"}]
        self.delete(server)

    def test_a_vendor_service_that_fails_fails_the_build_where_it_is_to(self) -> None:
        with self.vendor_service() as (url, _asked):
            pass
        self.flags(
            vendordata_providers=["DynamicJSON"],
            vendordata_dynamic_targets=[f"site@{url}"],
            vendordata_dynamic_failure_fatal=True,
            group="api",
        )
        server = self.boot(config_drive=True, expected="ERROR")
        self.check_nothing_left()
        self.delete(server)
