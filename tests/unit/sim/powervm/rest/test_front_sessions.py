"""Logging on by password and by session file, and what becomes of tokens."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import requests
import trustme
from pypowervm import adapter, exceptions
from pypowervm.wrappers import logical_partition
from tests.unit.sim.powervm.tiny_world import TinySimulator

from bigiron.sim.powervm.session import Flavour

WEB = "http://www.ibm.com/xmlns/systems/power/firmware/web/mc/2012_10/"


def connect(sim: TinySimulator, **how: str) -> adapter.Session:
    return adapter.Session(host="127.0.0.1", protocol="http", port=sim.rest.port, **how)


def test_a_session_file_is_private_and_goes_with_its_session(tmp_path: Path) -> None:
    with TinySimulator(tmp_path) as sim:
        session = connect(sim)
        [file] = (tmp_path / "s").iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700
        assert session.mc_type == "PVM" and session.traits.local_api
        session._logoff()
        assert list((tmp_path / "s").iterdir()) == []


def test_a_password_opens_an_hmc_session(tmp_path: Path) -> None:
    with TinySimulator(tmp_path, flavour=Flavour.HMC) as sim:
        session = connect(sim, username="padmin", password="pad<min>")
        assert session.mc_type == "HMC" and session.traits.vnet_aware
        session._logoff()
        with pytest.raises(exceptions.HttpError) as refused:
            connect(sim)
        assert refused.value.response.status == 400


@pytest.mark.parametrize("user, password", [("padmin", "wrong"), ("nobody", "pad<min>"), ("nobody", "")])
def test_a_wrong_password_is_unauthorized(tmp_path: Path, user: str, password: str) -> None:
    with TinySimulator(tmp_path) as sim, pytest.raises(exceptions.HttpUnauth):
        connect(sim, username=user, password=password)


def test_requests_without_a_valid_token_are_unauthorized(tmp_path: Path) -> None:
    with TinySimulator(tmp_path) as sim:
        for headers in ({}, {"X-API-Session": "guess"}):
            answer = requests.get(f"{sim.url}/rest/api/uom/LogicalPartition", headers=headers, timeout=10)
            assert answer.status_code == 401
        assert {entry.session for entry in sim.journal.entries()} == {0}


def test_an_expired_session_is_renewed_by_the_client(tmp_path: Path) -> None:
    with TinySimulator(tmp_path) as sim:
        sim.add("web")
        session = connect(sim)
        client = adapter.Adapter(session)
        assert sim.sessions.expire_all() == 1
        assert [lpar.name for lpar in logical_partition.LPAR.get(client)] == ["web"]
        sim.clock.advance(3601)
        assert [lpar.name for lpar in logical_partition.LPAR.get(client)] == ["web"]
        statuses = [entry.status for entry in sim.journal.entries()]
        assert statuses == [200, 401, 200, 200, 401, 200, 200]
        session._logoff()


def test_sessions_are_apart(tmp_path: Path) -> None:
    with TinySimulator(tmp_path) as sim:
        first, second = connect(sim), connect(sim, username="padmin", password="pad<min>")
        first._logoff()
        assert logical_partition.LPAR.get(adapter.Adapter(second)) == []
        assert {entry.session for entry in sim.journal.entries()} == {0, 1, 2}
        second._logoff()


def test_a_malformed_logon_is_refused(tmp_path: Path) -> None:
    with TinySimulator(tmp_path) as sim:
        for body in ("", "<LogonRequest/>", f"<LogonRequest xmlns='{WEB}'><UserID>u</UserID></LogonRequest>"):
            assert requests.put(f"{sim.url}/rest/api/web/Logon", data=body, timeout=10).status_code == 400


def test_tls_is_served_and_verified(tmp_path: Path) -> None:
    authority = trustme.CA()
    paths = {name: tmp_path / f"{name}.pem" for name in ("cert", "key", "ca")}
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(paths["key"]))
    authority.cert_pem.write_to_path(str(paths["ca"]))
    for index, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(str(paths["cert"]), append=index > 0)
    with TinySimulator(tmp_path, tls=(paths["cert"], paths["key"])) as sim:
        assert sim.url.startswith("https://")
        answer = requests.get(f"{sim.url}/rest/api/uom/LogicalPartition", verify=str(paths["ca"]), timeout=10)
        assert answer.status_code == 401
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(f"{sim.url}/rest/api/uom/LogicalPartition", timeout=10)
