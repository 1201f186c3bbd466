"""The consoles of instances: their log, and their screen by VNC."""

from __future__ import annotations

from typing import Any

from nova import exception
from nova.console import type as console_type
from oslo_log import log as logging

from bigiron import errors
from bigiron.plugins.nova.compute.service import Service

LOG = logging.getLogger(__name__)

MAX_CONSOLE_BYTES = 100 * 1024
"""What Nova's other drivers give at most."""


class Consoles(Service):
    """Console log and VNC."""

    def get_console_output(self, context: Any, instance: Any) -> bytes:
        try:
            return self.hypervisor.console_output(instance.uuid, MAX_CONSOLE_BYTES)
        except errors.NotFound as error:
            raise exception.InstanceNotFound(instance_id=instance.uuid) from error
        except errors.PlatformError as error:
            raise exception.ConsoleNotAvailable(error.message) from error

    def get_vnc_console(self, context: Any, instance: Any) -> console_type.ConsoleVNC:
        try:
            address = self.hypervisor.console_vnc(instance.uuid)
        except errors.NotFound as error:
            raise exception.InstanceNotFound(instance_id=instance.uuid) from error
        except errors.Conflict as error:
            raise exception.InstanceNotReady(error.message) from error
        except errors.PlatformError as error:
            # Nova tells its users no more than that there is none; why is for the operator.
            LOG.warning("no VNC console: %s", error, instance=instance)
            raise exception.ConsoleTypeUnavailable(error.message) from error
        return console_type.ConsoleVNC(address.host, address.port, address.path)
