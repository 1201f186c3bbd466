"""Operators are told that security groups are not enforced."""

from __future__ import annotations

import logging

import pytest
from neutron.conf.agent import securitygroups_rpc
from oslo_config import cfg

from bigiron.plugins.neutron.mech import SeaMechanismDriver
from bigiron.plugins.neutron.mech_sriov import SriovMechanismDriver


@pytest.mark.parametrize(("wanted", "lines"), [(True, 1), (False, 0)])
@pytest.mark.parametrize("driver", [SeaMechanismDriver, SriovMechanismDriver])
def test_the_server_says_so_when_it_starts_and_ports_say_it_too(
    driver: type, wanted: bool, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    securitygroups_rpc.register_securitygroups_opts()
    cfg.CONF.set_override("enable_security_group", wanted, "SECURITYGROUP")
    made = driver()
    with caplog.at_level(logging.WARNING):
        made.initialize()
    cfg.CONF.clear_override("enable_security_group", "SECURITYGROUP")
    assert sum("nothing enforces these" in each.message for each in caplog.records) == lines
    assert made.vif_details["port_filter"] is False
    assert made.connectivity == "l2"
