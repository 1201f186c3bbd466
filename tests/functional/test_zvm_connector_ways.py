"""The other ways to run the Cloud Connector: its commands as programs in its PATH, and over TLS."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
import trustme
from tests.functional import zvm_base
from tests.support import zvm

from bigiron.sim.zvm.connector.presence import PROGRAMS
from bigiron.sim.zvm.server import Settings, Simulator

pytestmark = pytest.mark.full


@pytest.mark.timeout(600)
def test_a_guest_lives_with_programs_in_the_path(tmp_path: Path) -> None:
    # Each command is a process of its own here, so that simulated time must not run far ahead of them.
    with Simulator(zvm.system_document(), tmp_path, Settings(clock_scale=5.0, answer=PROGRAMS)) as simulator:
        api = zvm.Api(simulator)
        api.import_image(zvm_base.IMAGE, zvm.image(zvm_base.CYLINDERS, zvm_base.CONTENT))
        before = zvm.picture(simulator)
        zvm_base.create(api, "FORKS", {"size": "100", "format": "ext4"})
        zvm_base.deploy(api, "FORKS", uuid="1", hostname="forked")
        api.act("FORKS", "start", timeout=120)
        assert "forked login:" in api.act("FORKS", "get_console_output")
        api.act("FORKS", "stop")
        api.call("DELETE", "/guests/FORKS")
        api.call("DELETE", f"/images/{zvm_base.IMAGE}")
        assert zvm.findings(simulator) == [] and zvm.picture(simulator) == before


def test_the_rest_api_is_served_with_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key, trusted = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    for number, pem in enumerate(issued.cert_chain_pems):
        pem.write_to_path(str(certificate), append=number > 0)
    issued.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(trusted))
    with Simulator(zvm.system_document(), tmp_path / "state", Settings(tls=(certificate, key))) as simulator:
        assert simulator.url.startswith("https://")
        verified = {"verify": str(trusted), "timeout": 30}
        given = requests.post(f"{simulator.url}/token", headers={"X-Admin-Token": simulator.token}, **verified)
        token = {"X-Auth-Token": given.headers["X-Auth-Token"]}
        answer = requests.get(simulator.url, headers=token, **verified)
        assert answer.json()["output"]["version"] == "1.6.3"
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(simulator.url, timeout=30)


def test_a_state_goes_on_with_its_guests(tmp_path: Path) -> None:
    settings = Settings(clock_scale=zvm.CLOCK_SCALE)
    with Simulator(zvm.system_document(), tmp_path, settings) as simulator:
        api = zvm.Api(simulator)
        api.import_image(zvm_base.IMAGE, zvm.image(zvm_base.CYLINDERS, zvm_base.CONTENT))
        zvm_base.running(api, "LASTS")
        before = zvm.picture(simulator)
    with Simulator(zvm.system_document(), tmp_path, settings) as simulator:
        api = zvm.Api(simulator)
        assert zvm.picture(simulator) == before
        assert api.call("GET", "/guests") == ["LASTS"] and api.call("GET", "/guests/LASTS/power_state") == "on"
        assert api.call("GET", "/guests/LASTS/info")["os_distro"] == "rhel9.4"
        api.call("DELETE", "/guests/LASTS")
        assert zvm.findings(simulator) == []
