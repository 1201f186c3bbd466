"""A simulator with 500 partitions stays small, also after clients have changed its largest documents."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import requests
from tests.support.simulator import SYSTEMS, SimulatorProcess

LIMIT_MB = 125
_LOGON = (
    '<LogonRequest xmlns="http://www.ibm.com/xmlns/systems/power/firmware/web/mc/2012_10/" schemaVersion="V1_0">'
    "<UserID>padmin</UserID><Password>padmin</Password></LogonRequest>"
)


def log_on(url: str) -> requests.Session:
    client = requests.Session()
    answer = client.put(f"{url}/rest/api/web/Logon", data=_LOGON, timeout=60)
    answer.raise_for_status()
    token = re.search(r"<X-API-Session[^>]*>([^<]+)<", answer.text)
    assert token is not None
    client.headers["X-API-Session"] = token[1]
    return client


def post_back(client: requests.Session, href: str) -> None:
    """Read a VIOS with all its mappings and send it back as it is."""
    read = client.get(href, timeout=60)
    read.raise_for_status()
    assert len(read.content) > 500_000
    client.post(href, data=read.content, headers={"If-Match": read.headers["ETag"]}, timeout=60).raise_for_status()


def test_changing_a_vios_with_500_mappings_does_not_make_it_grow(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path / "sim", system=SYSTEMS / "large.yaml") as simulator:
        client = log_on(simulator.url)
        base = f"{simulator.url}/rest/api/uom"
        client.get(f"{base}/LogicalPartition?group=None", timeout=60).raise_for_status()
        vioses = client.get(f"{base}/VirtualIOServer/quick/All", timeout=60).json()
        hrefs = [f"{base}/VirtualIOServer/{vios['PartitionUUID']}?group=ViosSCSIMapping" for vios in vioses]
        with ThreadPoolExecutor(max_workers=4) as threads:
            list(threads.map(lambda href: post_back(client, href), hrefs * 10))
        used = psutil.Process(simulator.process.pid).memory_info().rss / 2**20
        assert used < LIMIT_MB, f"{used:.0f} MB"
