"""A REST service whose certificate this machine does not know: trusted only when an operator says so.

Without Nova's fixtures: their interception of HTTP replaces urllib3's TLS connections.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nova.conf
import nova.tests.fixtures as nova_fixtures
import pytest
import trustme
from nova import exception
from oslo_config import fixture as config_fixture
from tests.support.powervm_host import DOCUMENT

from bigiron.plugins.nova.powervm import PowerVMDriver
from bigiron.sim.powervm import documents
from bigiron.sim.powervm.server import Settings, Simulator

HOST = "power1"


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def simulator(tmp_path: Path, authority: trustme.CA) -> Iterator[Simulator]:
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(tmp_path / "cert.pem"), append=True)
    settings = Settings(tls=(tmp_path / "cert.pem", tmp_path / "key.pem"))
    with Simulator(documents.validate(copy.deepcopy(DOCUMENT)), tmp_path / "sim", settings) as simulator:
        yield simulator


@pytest.fixture
def options(tmp_path: Path, simulator: Simulator) -> Iterator[Any]:
    """nova.conf for the simulator, and a database: Nova 33's driver looks for its servers there when it starts."""
    with config_fixture.Config(nova.conf.CONF) as conf:
        conf.config(group="database", connection=f"sqlite:///{tmp_path}/nova.sqlite", sqlite_synchronous=False)
        conf.config(host=HOST, state_path=str(tmp_path / "nova"))
        conf.config(
            group="powervm",
            rest_host="127.0.0.1",
            rest_port=int(simulator.url.rsplit(":", 1)[1]),
            rest_protocol="https",
            rest_username="padmin",
            rest_password="padmin",
            rest_connect_timeout=10,
            disk_driver="ssp",
        )
        with nova_fixtures.Database():
            yield conf


def test_an_unknown_certificate_ends_the_start_with_the_option_to_set(options: Any) -> None:
    driver = PowerVMDriver(None)
    with pytest.raises(exception.InvalidConfiguration, match="rest_cacert"):
        driver.init_host(HOST)
    driver.cleanup_host(HOST)


def test_the_authority_that_an_operator_names_is_trusted(options: Any, authority: trustme.CA, tmp_path: Path) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    options.config(group="powervm", rest_cacert=str(tmp_path / "ca.pem"))
    driver = PowerVMDriver(None)
    driver.init_host(HOST)
    try:
        assert driver.list_instance_uuids() == []
    finally:
        driver.cleanup_host(HOST)
