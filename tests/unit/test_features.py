"""The feature table has every key of Nova's support matrix, and what it says of Tempest can be given to Tempest."""

from __future__ import annotations

import re

import pytest
from tempest import config

from bigiron.features import EXCLUSIONS, FEATURES, Support, tempest_flags, tempest_network_flags

# Of doc/source/user/support-matrix.ini in Nova's repository, 2026.2.
NOVAS = frozenset(
    {
        "operation.attach-volume",
        "operation.attach-tagged-volume",
        "operation.detach-volume",
        "operation.extend-volume",
        "operation.attach-interface",
        "operation.attach-tagged-interface",
        "operation.detach-interface",
        "operation.maintenance-mode",
        "operation.evacuate",
        "operation.rebuild",
        "operation.rebuild-volume-backed",
        "operation.get-guest-info",
        "operation.get-host-uptime",
        "operation.get-host-ip",
        "operation.live-migrate",
        "operation.force-live-migration-to-complete",
        "operation.abort-in-progress-live-migration",
        "operation.launch",
        "operation.pause",
        "operation.reboot",
        "operation.rescue",
        "operation.resize",
        "operation.resume",
        "operation.set-admin-password",
        "operation.snapshot",
        "operation.suspend",
        "operation.swap-volume",
        "operation.terminate",
        "operation.trigger-crash-dump",
        "operation.unpause",
        "guest.disk.autoconfig",
        "guest.disk.rate-limit",
        "guest.setup.configdrive",
        "guest.setup.inject.file",
        "guest.setup.inject.networking",
        "console.rdp",
        "console.serial.log",
        "console.serial.interactive",
        "console.spice",
        "console.vnc",
        "storage.block",
        "storage.block.backend.fibrechannel",
        "storage.block.backend.iscsi",
        "storage.block.backend.iscsi.auth.chap",
        "storage.image",
        "operation.uefi-boot",
        "operation.device-tags",
        "operation.quiesce",
        "operation.unquiesce",
        "operation.multiattach-volume",
        "operation.encrypted-volume",
        "operation.trusted-certs",
        "operation.file-backed-memory",
        "operation.report-cpu-traits",
        "operation.port-with-resource-request",
        "operation.boot-encrypted-vm",
        "operation.cache-images",
        "operation.boot-emulated-tpm",
        "operation.boot-stateless-firmware",
    }
)
PLATFORMS = ("powervm", "zvm")
MANDATORY = {"operation.get-guest-info", "operation.launch", "operation.terminate", "storage.image"}


def test_every_feature_of_novas_matrix_is_answered_once() -> None:
    keys = [feature.key for feature in FEATURES]
    assert len(keys) == len(set(keys))
    assert NOVAS - set(keys) == set()
    for platform in PLATFORMS:
        assert {feature.key for feature in FEATURES if feature.support(platform) is Support.YES} >= MANDATORY


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_is_not_or_only_partly_there_is_explained(platform: str) -> None:
    lacking = [each for each in FEATURES if each.support(platform) is not Support.YES]
    assert [each.key for each in lacking if not each.why(platform)] == []


@pytest.mark.parametrize("platform", PLATFORMS)
def test_tempest_knows_every_flag(platform: str) -> None:
    known = {option.name for option in config.ComputeFeaturesGroup}
    assert set(tempest_flags(platform)) - known == set()
    known = {option.name for option in config.NetworkFeaturesGroup}
    assert set(tempest_network_flags(platform)) - known == set()


def test_exclusions_are_expressions_with_a_reason() -> None:
    assert EXCLUSIONS
    for each in EXCLUSIONS:
        re.compile(each.pattern)
        assert each.pattern.startswith((r"tempest\.", r"neutron_tempest_plugin\."))
        assert each.reason and set(each.platforms) <= set(PLATFORMS)
