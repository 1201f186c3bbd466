"""Nova's API, conductor and scheduler in one process; nova-compute is the stock program, elsewhere.

Usage: python -m bigiron.lab.control.nova CONFIG_FOLDER PORT; the cells' databases are named in $BIGIRON_CELL0 and taken
from [database] for cell1. There will be $BIGIRON_COMPUTE_HOSTS compute hosts.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import Any

from bigiron.lab import litedb
from bigiron.lab.control.serving import serve

LOG = logging.getLogger(__name__)
_DISCOVERY_SECONDS = 1.0
# The paste file must be the first one: nova takes the application's path from it.
_CONFIG_FILES = ("api-paste.ini", "nova.conf")


def map_cells(cell0_url: str) -> None:
    """Write the mappings of cell0 and cell1; they hold absolute addresses, so they follow a lab that moved."""
    from nova import context, exception, objects
    from nova.conf import CONF

    admin = context.get_admin_context()
    cell1_uuid = "b1610000-0000-4000-8000-000000000001"
    for uuid, name, database, transport in (
        (objects.CellMapping.CELL0_UUID, "cell0", cell0_url, "none:///"),
        (cell1_uuid, "cell1", CONF.database.connection, CONF.transport_url),
    ):
        try:
            mapping = objects.CellMapping.get_by_uuid(admin, uuid)
            mapping.database_connection, mapping.transport_url = database, transport
            mapping.save()
        except exception.CellMappingNotFound:
            objects.CellMapping(
                admin, uuid=uuid, name=name, database_connection=database, transport_url=transport, disabled=False
            ).create()


def discover_hosts(stopped: threading.Event, hosts: int) -> None:
    """Map so many compute hosts into their cell as they appear, as the scheduler's periodic task does, but at once."""
    from nova import context, objects
    from nova.objects import host_mapping

    while not stopped.wait(_DISCOVERY_SECONDS):
        try:
            admin = context.get_admin_context()
            for mapping in host_mapping.discover_hosts(admin):
                LOG.info("mapped compute host %s", mapping.host)
            if len(objects.HostMappingList.get_all(admin)) >= hosts:
                return
        except Exception:  # A thread loop: the database or the cell may not answer yet.
            LOG.exception("discovering compute hosts failed, will try again")


def start_services() -> list[Any]:
    """Start the conductor and the scheduler in threads of this process."""
    from nova import service
    from nova.conductor import rpcapi as conductor
    from nova.scheduler import rpcapi as scheduler

    services = []
    for binary, topic in (("nova-conductor", conductor.RPC_TOPIC), ("nova-scheduler", scheduler.RPC_TOPIC)):
        started = service.Service.create(binary=binary, topic=topic)
        started.start()
        services.append(started)
    return services


def main() -> None:
    """Start from the command line."""
    folder, port = sys.argv[1], int(sys.argv[2])
    sys.argv = ["nova-control"]
    os.environ["OS_NOVA_CONFIG_DIR"] = folder
    os.environ["OS_NOVA_CONFIG_FILES"] = ";".join(_CONFIG_FILES)
    litedb.install()
    from nova import monkey_patch

    monkey_patch.patch(backend="threading")
    from nova.api.openstack import wsgi_app

    files = [f"{folder}/{name}" for name in _CONFIG_FILES]
    wsgi_app.init_global_data(files, "osapi_compute", "nova-api-os-compute")
    # The application looks into every cell when it is loaded, so they must be mapped before.
    map_cells(os.environ["BIGIRON_CELL0"])
    from nova.wsgi import osapi_compute

    services = start_services()
    stopped = threading.Event()
    hosts = int(os.environ["BIGIRON_COMPUTE_HOSTS"])
    threading.Thread(target=discover_hosts, args=(stopped, hosts), daemon=True, name="discover-hosts").start()
    serve(osapi_compute.application, port, threads=16, on_stop=[stopped.set, *(each.stop for each in services)])


if __name__ == "__main__":
    main()
