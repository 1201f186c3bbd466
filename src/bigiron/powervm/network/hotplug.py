"""Gives an adapter to a guest that exists, or takes one from it, whether the guest runs or not."""

from __future__ import annotations

import logging

from bigiron.errors import Conflict, PlatformError
from bigiron.model import NicSpec
from bigiron.powervm.connection import Connection
from bigiron.powervm.dlpar import need_changeable_io
from bigiron.powervm.network import steps
from bigiron.powervm.network.children import NicMaker
from bigiron.powervm.partition import Lpar

LOG = logging.getLogger(__name__)


def attach(connection: Connection, adapters: NicMaker, lpar: Lpar, nic: NicSpec) -> None:
    """Create the port's adapter and announce it to the network agent; a failure leaves the guest as it was.

    Raises Conflict, before anything is changed, where a running guest cannot take an adapter now.
    """
    adapters.check(nic)
    need_changeable_io(connection.adapter, lpar, f"Port {nic.id} cannot be attached")
    href = _create(adapters, lpar, nic)
    try:
        adapters.announce(href, nic, "plug")
    except PlatformError:
        _undo(adapters, lpar, nic)
        raise


def detach(connection: Connection, adapters: NicMaker, lpar: Lpar, nic: NicSpec) -> None:
    """Delete the port's adapter and announce that; one that is gone already is no error.

    Raises Conflict, before anything is changed, where a running guest cannot give an adapter back now.
    """
    try:
        need_changeable_io(connection.adapter, lpar, f"Port {nic.id} cannot be detached")
    except Conflict:
        if adapters.has(lpar.uuid, nic.mac):
            raise
        return
    steps.unplug(adapters, lpar.uuid, nic)


def plug(connection: Connection, adapters: NicMaker, lpar: Lpar, nic: NicSpec) -> None:
    """Create the adapter if it is not there, and announce it either way."""
    adapters.check(nic)
    if not adapters.renew(lpar.uuid, nic):
        attach(connection, adapters, lpar, nic)


def _create(adapters: NicMaker, lpar: Lpar, nic: NicSpec) -> str:
    """The href of the new adapter, or of the one that an attempt before this one left when its answer was lost."""
    try:
        return adapters.create(lpar.uuid, nic)
    except PlatformError as error:
        try:
            href = adapters.find(lpar.uuid, nic)
        except PlatformError as trouble:
            LOG.warning("Whether port %s has its adapter cannot be told: %s", nic.id, trouble)
            if not isinstance(error, Conflict):
                _undo(adapters, lpar, nic)
            raise error from None
        if href is None:
            raise
        LOG.info("The adapter of port %s is there all the same: %s", nic.id, error)
        return href


def _undo(adapters: NicMaker, lpar: Lpar, nic: NicSpec) -> None:
    try:
        steps.unplug(adapters, lpar.uuid, nic)
    except PlatformError as error:
        # The first error is what the caller must see.
        LOG.error("Adapter %s of LPAR %s is left without a port, remove it by hand: %s", nic.mac, lpar.name, error)
