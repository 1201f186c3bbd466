"""The consoles of instances: their log, their screen by VNC, and their terminal as a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nova import exception
from nova.console import type as console_type
from oslo_log import log as logging

from bigiron import errors
from bigiron.model import ConsoleAddress
from bigiron.plugins.nova.compute.service import Service

LOG = logging.getLogger(__name__)

MAX_CONSOLE_BYTES = 100 * 1024
"""What Nova's other drivers give at most."""


class Consoles(Service):
    """Console log, VNC and serial console."""

    def get_console_output(self, context: Any, instance: Any) -> bytes:
        try:
            return self.hypervisor.console_output(instance.uuid, MAX_CONSOLE_BYTES)
        except errors.NotFound as error:
            raise exception.InstanceNotFound(instance_id=instance.uuid) from error
        except errors.PlatformError as error:
            raise exception.ConsoleNotAvailable(error.message) from error

    def get_vnc_console(self, context: Any, instance: Any) -> console_type.ConsoleVNC:
        address = self._address(instance, self.hypervisor.console_vnc)
        return console_type.ConsoleVNC(address.host, address.port, address.path)

    def get_serial_console(self, context: Any, instance: Any) -> console_type.ConsoleSerial:
        address = self._address(instance, self.hypervisor.console_serial)
        return console_type.ConsoleSerial(address.host, address.port, address.path)

    def _address(self, instance: Any, ask: Callable[[str], ConsoleAddress]) -> ConsoleAddress:
        try:
            return ask(instance.uuid)
        except errors.NotFound as error:
            raise exception.InstanceNotFound(instance_id=instance.uuid) from error
        except errors.Conflict as error:
            raise exception.InstanceNotReady(error.message) from error
        except errors.PlatformError as error:
            # Nova tells its users no more than that there is none; why is for the operator.
            LOG.warning("no console: %s", error, instance=instance)
            raise exception.ConsoleTypeUnavailable(error.message) from error
