"""The management adapter's MAC and address."""

from __future__ import annotations

import ipaddress

from bigiron.powervm.network import rmc

UUID = "8d9f2b1c-7a40-4c3e-9a51-0f6f6b1f2a77"


def test_the_mac_is_the_same_each_time_and_locally_administered_unicast() -> None:
    assert rmc.mac(UUID) == rmc.mac(UUID.upper())
    assert rmc.mac(UUID) != rmc.mac(UUID.replace("8", "9", 1))
    assert int(rmc.mac(UUID)[:2], 16) & 0x03 == 0x02


def test_the_link_local_address_is_the_macs_eui_64() -> None:
    # The example of RFC 4291, appendix A, with digits for its letters.
    assert rmc.link_local("34:56:78:9A:BC:DE") == "fe80::3656:78ff:fe9a:bcde"
    assert ipaddress.ip_address(rmc.link_local(rmc.mac(UUID))).is_link_local
