"""Nova's in-tree z/VM driver at work: a process of its own, told what to do line by line.

Its client, zvmconnector, is one package with the Cloud Connector's server and lies in that one's environment.
"""

from __future__ import annotations

import json
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock


def _find_client() -> None:
    """Behind everything else, so that nothing of Nova's is taken from there."""
    environment = Path(sys.prefix) / "zvm-connector"
    sys.path.extend(str(found) for found in environment.glob("lib/python*/site-packages"))


def main() -> None:
    """Answer `ready`, `spawned` and `destroyed`."""
    request = json.loads(sys.stdin.readline())
    _find_client()
    import nova.conf
    from nova import context, objects
    from nova.compute import provider_tree
    from nova.virt import fake
    from nova.virt.zvm import driver, utils

    conf = nova.conf.CONF
    conf([], project="nova", default_config_files=[])
    conf.set_override("instance_name_template", "OS%06x")
    conf.set_override("my_ip", "127.0.0.1")
    conf.set_override("vif_plugging_timeout", 0)
    conf.set_override("instances_path", request["folder"])
    conf.set_override("cloud_connector_url", request["url"], "zvm")
    objects.register_all()
    admin = context.get_admin_context()
    image = objects.ImageMeta.from_dict({"id": request["image"], "properties": {"os_distro": "rhel9.4"}})
    instances = [_instance(objects, number) for number in range(request["guests"])]

    def make(instance: Any) -> None:
        """What Nova's manager has a driver do for a spawn: the host at the claim, the guest, and its state."""
        node = compute.get_available_nodes()[0]
        tree = provider_tree.ProviderTree()
        tree.new_root(node, str(uuid.uuid4()))
        compute.update_provider_tree(tree, node)
        compute.spawn(admin, instance, image, [], "", {}, _network(instance.id))
        compute.get_info(instance)

    def config_drive(_context: Any, instance: Any, *_: Any) -> str:
        folder = Path(request["folder"], instance.uuid)
        folder.mkdir(parents=True)
        made = folder / "cfgdrive.iso"
        made.write_bytes(Path(request["iso"]).read_bytes())
        return str(made)

    # Config drives are made by Nova's own code on both sides, and from its database.
    with mock.patch.object(utils, "generate_configdrive", config_drive), ThreadPoolExecutor(request["width"]) as pool:
        compute = driver.ZVMDriver(fake.FakeVirtAPI())
        print("ready", flush=True)
        sys.stdin.readline()
        list(pool.map(make, instances))
        print("spawned", flush=True)
        sys.stdin.readline()
        list(pool.map(lambda one: compute.destroy(admin, one), instances))
        print("destroyed", flush=True)


def _instance(objects: Any, number: int) -> Any:
    return objects.Instance(id=number + 1, uuid=str(uuid.uuid4()), vcpus=1, memory_mb=1024, root_gb=1)


def _network(number: int) -> list[dict[str, Any]]:
    subnet = {
        "ips": [{"address": f"10.0.0.{number + 5}"}],
        "gateway": {"address": "10.0.0.1"},
        "cidr": "10.0.0.0/24",
    }
    mac = f"02:00:00:00:01:{number:02x}"
    return [{"id": str(uuid.uuid4()), "address": mac, "active": True, "network": {"subnets": [subnet]}}]


if __name__ == "__main__":
    main()
