"""The host: its capacity as the connector reports it, read again when it is asked for and no longer fresh."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from bigiron.errors import InvalidSpec, NotFound
from bigiron.model import HostFacts
from bigiron.zvm.api import Api

_FRESH_S = 30.0
_VCPUS_PER_GUEST = 64


class Host:
    """The LPAR that the connector runs in."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._options = api.connector.options
        self._lock = threading.Lock()
        self._read: Mapping[str, Any] = {}
        self._pool: Mapping[str, Any] = {}
        self._read_at = float("-inf")
        self.version_text = ""

    def read(self) -> Mapping[str, Any]:
        """Ask for everything anew; raises InvalidSpec for a disk pool that is not there."""
        host = self._api.host()
        pool = self._read_pool() if self._options.disk_pool else host
        with self._lock:
            self._read, self._pool, self._read_at = host, pool, time.monotonic()
        return host

    def _read_pool(self) -> Mapping[str, Any]:
        try:
            return self._api.pool(self._options.disk_pool)
        except NotFound as error:
            raise InvalidSpec(
                f"[zvm] disk_pool = {self._options.disk_pool} is no pool of this z/VM. Name one that the directory "
                "manager has, or leave the option out for the Cloud Connector's own."
            ) from error

    def _fresh(self) -> Mapping[str, Any]:
        if time.monotonic() - self._read_at > _FRESH_S:
            return self.read()
        return self._read

    def facts(self, guests: int) -> HostFacts:
        """The host for Nova. Processors and memory are shared between guests, so nothing is dedicated to ours."""
        host = self._fresh()
        pool = self._pool
        return HostFacts(
            hostname=str(host["hypervisor_hostname"]),
            hypervisor="zvm",
            version=int(host["hypervisor_version"]),
            architecture="s390x",
            model=str(host["cpu_info"].get("cec_model", "")),
            memory_mb=int(host["memory_mb"]),
            memory_reserved_mb=0,
            memory_used_mb=int(host["memory_mb_used"]),
            memory_unit_mb=1,
            # What the connector calls used are the configured ones; its total has those on standby, too.
            processors=float(host["vcpus_used"] or host["vcpus"]),
            processors_reserved=0.0,
            processors_used=0.0,
            processors_per_vcpu=1.0,
            max_vcpus_per_guest=min(_VCPUS_PER_GUEST, self._options.max_cpu),
            disk_gb=int(pool["disk_total"]),
            disk_used_gb=int(pool["disk_used"]),
            guests=guests,
            divides_processors=False,
            details={
                "cloud_connector": self.version_text,
                "zcc_userid": str(host["zcc_userid"]),
                "zvm_host": str(host["zvm_host"]),
                "ipl_time": str(host["ipl_time"]),
            },
        )

    def free_disk_gb(self) -> int:
        """Room in the disk pool, asked for now."""
        self.read()
        return int(self._pool["disk_available"])

    def ping(self) -> None:
        """Ask CP for the connector's own userid: fails where the connector does not answer, or cannot ask CP."""
        self._api.power_state(str(self._read["zcc_userid"]))

    def uptime(self) -> str:
        """When z/VM was started."""
        return str(self._fresh()["ipl_time"])
