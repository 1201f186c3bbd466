"""`bigiron adopt`, as an operator runs it on a host whose partitions an older driver made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import powervm_host, steps
from tests.support.images import BytesImage
from tests.support.powervm_host import Host

from bigiron import naming
from bigiron.model import GuestSpec


@pytest.fixture
def spec() -> GuestSpec:
    return powervm_host.guest_spec(BytesImage(b"image" * 100), config_drive=False)


def adopt(host: Host, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    options = host.options
    config = folder / "nova.conf"
    config.write_text(
        f"[DEFAULT]\nstate_path = {folder / 'nova'}\n[powervm]\nrest_host = {options.rest_host}\n"
        f"rest_port = {options.rest_port}\nrest_protocol = http\nrest_username = {options.rest_username}\n"
        f"rest_password = {options.rest_password}\nrest_connect_timeout = 10\ndisk_driver = ssp\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", "from bigiron.cli import main; main()", "adopt"]
    return subprocess.run(
        [*command, "--config-file", str(config), *arguments], capture_output=True, text=True, timeout=120
    )


def make_unmarked(host: Host, folder: Path, spec: GuestSpec) -> None:
    """A partition as an older driver left it: the uuid and the name are the instance's, and there is no mark."""
    with host.platform() as platform:
        steps.run(steps.around(platform.spawn_steps(spec), spec, folder))
    host.lpar(naming.lpar_uuid(spec.uuid)).description = None


def test_a_partition_that_nova_names_gets_our_mark(tmp_path: Path, spec: GuestSpec) -> None:
    with powervm_host.serve(tmp_path) as host:
        make_unmarked(host, tmp_path, spec)
        with host.platform() as platform:
            assert platform.guests() == []
        done = adopt(host, tmp_path, "--instance", f"{spec.uuid}={spec.name}")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [f"{spec.uuid}: adopted"]
        assert host.lpar(naming.lpar_uuid(spec.uuid)).description == naming.mark(spec.uuid)
        with host.platform() as platform:
            assert [guest.uuid for guest in platform.guests()] == [spec.uuid]
        again = adopt(host, tmp_path, "--instance", f"{spec.uuid}={spec.name}")
        assert (again.returncode, again.stdout) == (0, ""), again.stderr
        with host.platform() as platform:
            platform.destroy(spec.uuid)


def test_a_partition_of_another_name_is_left_alone(tmp_path: Path, spec: GuestSpec) -> None:
    with powervm_host.serve(tmp_path) as host:
        make_unmarked(host, tmp_path, spec)
        done = adopt(host, tmp_path, "--instance", f"{spec.uuid}=somebody-elses")
        assert done.returncode == 1
        assert done.stdout == ""
        assert spec.name in done.stderr
        assert f"not adopted, for the reasons given above: {spec.uuid}" in done.stderr
        assert host.lpar(naming.lpar_uuid(spec.uuid)).description is None


def test_wrong_credentials_are_said_in_one_line(tmp_path: Path, spec: GuestSpec) -> None:
    with powervm_host.serve(tmp_path) as host:
        host.simulator.world.state.users["padmin"] = "changed"
        done = adopt(host, tmp_path, "--instance", f"{spec.uuid}={spec.name}")
        assert done.returncode == 1
        assert "rest_password" in done.stderr
        assert "Traceback" not in done.stderr
