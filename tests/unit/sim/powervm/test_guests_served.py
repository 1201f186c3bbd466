"""Guests and consoles of a whole simulator, driven by PowerVM's own Python client over HTTP."""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncvnc2
import pytest
from pypowervm.adapter import Adapter, Session
from pypowervm.tasks import cna, power, scsi_mapper, storage, vterm
from pypowervm.tasks import power_opts as popts
from pypowervm.utils.lpar_builder import DefaultStandardize, LPARBuilder
from pypowervm.wrappers import base_partition as bp
from pypowervm.wrappers import job, managed_system
from pypowervm.wrappers import logical_partition as pvm_lpar
from pypowervm.wrappers import storage as pvm_storage
from pypowervm.wrappers import virtual_io_server as pvm_vios
from tests.support.guest_world import INSTANCE, META_DATA, write_config_drive

from bigiron.sim.powervm import documents
from bigiron.sim.powervm.management.endpoint import Simulator as Client
from bigiron.sim.powervm.server import Settings, Simulator

SYSTEM = Path(__file__).parents[4] / "examples" / "systems" / "one-host.yaml"


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(documents.read(SYSTEM), tmp_path / "state", Settings()) as simulator:
        yield simulator


@pytest.fixture
def adapter(simulator: Simulator) -> Iterator[Adapter]:
    host, _, port = simulator.url.removeprefix("http://").partition(":")
    session = Session(host, "padmin", "padmin", protocol="http", port=int(port), conn_tries=1)
    yield Adapter(session)
    session._logoff()


@pytest.fixture
def lpar(adapter: Adapter, tmp_path: Path) -> Any:
    """A partition with a disk, a network adapter, the management adapter and a config drive; it is off."""
    host, wish = managed_system.System.get(adapter)[0], {"name": "web1", "memory": 2048, "vcpu": 1}
    bare = LPARBuilder(adapter, wish, DefaultStandardize(host)).build().create(parent=host)
    network = cna.crt_cna(adapter, host.uuid, bare.uuid, 100)
    cna.crt_cna(adapter, host.uuid, bare.uuid, 4094, vswitch="MGMTSWITCH")
    tier = pvm_storage.Tier.get(adapter)[0]
    vios = pvm_vios.VIOS.get(adapter, xag=["ViosStorage", "ViosSCSIMapping"])[0]
    disk = storage.crt_lu(tier, "boot_web1", 1)[1]
    scsi_mapper.add_vscsi_mapping(host.uuid, vios, bare.uuid, disk)
    medium = _config_drive(adapter, vios.uuid, network.mac, tmp_path)
    scsi_mapper.add_vscsi_mapping(host.uuid, vios.uuid, bare.uuid, medium)
    return pvm_lpar.LPAR.get(adapter, uuid=bare.uuid)


def _config_drive(adapter: Adapter, vios_uuid: str, mac: str, folder: Path) -> Any:
    group = next(g for g in pvm_storage.VG.get(adapter, parent_type="VirtualIOServer", parent_uuid=vios_uuid))
    if not group.vmedia_repos:
        group.vmedia_repos.append(pvm_storage.VMediaRepos.bld(adapter, "vopt", "1"))
        group.update()
    colon_mac = ":".join(mac[i : i + 2] for i in range(0, 12, 2)).lower()
    network_data = {
        "links": [{"id": "tap1", "type": "phy", "ethernet_mac_address": colon_mac}],
        "networks": [{"id": "network0", "link": "tap1", "type": "ipv4", "ip_address": "10.20.0.14"}],
    }
    write_config_drive(folder / "iso", {"meta_data.json": META_DATA, "network_data.json": network_data})
    content = (folder / "iso").read_bytes()
    return storage.upload_vopt(adapter, vios_uuid, io.BytesIO(content), "cfg_web1.iso", f_size=len(content))[0]


def until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Poll with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def text_of(simulator: Simulator, lpar: Any) -> str:
    """The partition's console."""
    status, answer = Client(simulator.control_url).ask("GET", f"/consoles/{lpar.uuid}")
    assert status == 200, answer
    return str(answer["text"])


def test_a_guest_boots_with_its_config_drive_gets_rmc_and_shuts_down(
    simulator: Simulator, adapter: Adapter, lpar: Any
) -> None:
    power.power_on(lpar, None)
    until(lambda: text_of(simulator, lpar).endswith("web1 login: "), "the guest is up")
    text = text_of(simulator, lpar)
    assert f"instance-id: {INSTANCE}" in text
    assert "eth0: up" in text
    until(lambda: lpar.refresh().rmc_state == bp.RMCState.ACTIVE, "RMC is active")
    power.PowerOp.stop(lpar.refresh(), opts=popts.PowerOffOpts().os_immediate())
    assert lpar.refresh().state == bp.LPARState.NOT_ACTIVATED
    assert lpar.rmc_state != bp.RMCState.ACTIVE
    assert "request of the platform (RMC) to shut down web1" in text_of(simulator, lpar)
    power.power_on(lpar, None)
    until(lambda: text_of(simulator, lpar).count("web1 login:") == 2, "the guest is up again")
    power.PowerOp.stop(lpar.refresh(), opts=popts.PowerOffOpts().vsp_hard())
    assert text_of(simulator, lpar).count("to shut down web1") == 1, "a power cut asks nobody"


def test_the_clients_vterm_calls_work_with_the_tree(
    simulator: Simulator, adapter: Adapter, lpar: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{simulator.management_root / 'usr/bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(adapter.session, "use_file_auth", True)
    port = vterm.open_localhost_vnc_vterm(adapter, lpar.uuid)
    assert vterm.open_localhost_vnc_vterm(adapter, lpar.uuid) == port
    power.power_on(lpar, None)

    async def login() -> None:
        async with asyncio.timeout(60), asyncvnc2.connect("127.0.0.1", port) as client:
            while "web1 login:" not in text_of(simulator, lpar):
                await asyncio.sleep(0.1)
            client.keyboard.write("root")
            client.keyboard.press("Return")
            while "login: root\nPassword:" not in text_of(simulator, lpar):
                await asyncio.sleep(0.1)
            picture = await client.screenshot()
            assert (picture[:, :, :3] == 192).all(axis=2).any(), "text in white"

    asyncio.run(login())
    vterm.close_vterm(adapter, lpar.uuid)
    assert Client(simulator.control_url).ask("GET", "/vterms") == (200, [])


def test_a_vterm_opened_out_of_band_is_taken_over_by_force(
    simulator: Simulator, adapter: Adapter, lpar: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{simulator.management_root / 'usr/bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(adapter.session, "use_file_auth", True)
    Client(simulator.control_url).ask("POST", "/vterms", {"id": lpar.id, "vnc": False})
    assert vterm.open_localhost_vnc_vterm(adapter, lpar.uuid) is None
    port = vterm.open_localhost_vnc_vterm(adapter, lpar.uuid, force=True)
    assert isinstance(port, int)


def test_a_remote_client_closes_a_vterm_by_a_job(simulator: Simulator, adapter: Adapter, lpar: Any) -> None:
    Client(simulator.control_url).ask("POST", "/vterms", {"id": lpar.id, "vnc": True})
    template = adapter.read(pvm_lpar.LPAR.schema_type, lpar.uuid, suffix_type="do", suffix_parm="CloseVterm")
    job.Job.wrap(template.entry).run_job(lpar.uuid)
    assert Client(simulator.control_url).ask("GET", "/vterms") == (200, [])


def test_running_guests_have_a_console_after_a_restart_of_the_simulator(tmp_path: Path) -> None:
    for _ in range(2):
        with Simulator(documents.read(SYSTEM), tmp_path / "state", Settings()) as simulator:
            status, answer = Client(simulator.control_url).ask("GET", "/consoles/novalink")
            assert status == 200
            assert answer["text"].endswith("login: ")
            assert (simulator.management_root / "proc/ppc64/lparcfg").is_file()
