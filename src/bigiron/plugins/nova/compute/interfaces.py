"""The network adapters of instances."""

from __future__ import annotations

import contextlib
from typing import Any

from nova import exception
from nova.compute import vm_states
from oslo_log import log as logging

from bigiron import errors
from bigiron.model import NicSpec
from bigiron.plugins.nova import device_tags, translate
from bigiron.plugins.nova.compute.service import Service

LOG = logging.getLogger(__name__)

_PLUG_PAUSES_S = (0.5, 2.0)


class Interfaces(Service):
    """Attach and detach, plug and unplug."""

    def attach_interface(self, context: Any, instance: Any, image_meta: Any, vif: Any) -> None:
        """Add an adapter; the manager gives the port back where this raises a Nova exception.

        Returns without waiting for the port to be wired, as Nova's own drivers do: the API waits for the answer of
        this call for rpc_response_timeout only, and the port's status tells users when it is up.
        """
        nic = translate.nic_spec(vif)
        with translate.nova_errors(instance, exception.InterfaceAttachFailed):
            self.hypervisor.attach(instance.uuid, nic)
        try:
            device_tags.save(context, instance)
        except Exception as error:
            LOG.exception("port %s is detached again: its tag could not be saved", nic.id, instance=instance)
            with translate.nova_errors(instance, exception.InterfaceAttachFailed):
                self.hypervisor.detach(instance.uuid, nic)
            raise exception.InterfaceAttachFailed(instance_uuid=instance.uuid) from error

    def detach_interface(self, context: Any, instance: Any, vif: Any) -> None:
        """Remove an adapter; the manager keeps the port where this raises a Nova exception."""
        with translate.nova_errors(instance, exception.InterfaceDetachFailed):
            self.hypervisor.detach(instance.uuid, translate.nic_spec(vif))

    def plug_vifs(self, instance: Any, network_info: Any) -> None:
        """Plug what is not plugged; adapters belong to their partition, and a start of the host loses only what puts
        them on Open vSwitch."""
        if instance.uuid in self.left_alone:
            return
        try:
            with translate.nova_errors(instance, exception.VirtualInterfacePlugException):
                self._plug_all(instance.uuid, list(network_info or ()))
        except exception.InstanceNotFound as error:
            # Nova would end the service over it, and with it every other server of the host.
            LOG.warning("has no guest on this host", instance=instance)
            if instance.vm_state != vm_states.SHELVED:
                raise exception.VirtualInterfacePlugException(f"instance {instance.uuid} has no guest") from error

    def _plug_all(self, uuid: str, vifs: list[Any]) -> None:
        nics = [translate.nic_spec(vif) for vif in vifs]
        if nics and self.looking_after and self.hypervisor.was_plugged(uuid, nics):
            return
        for nic in nics:
            self._plug(uuid, nic)

    def _plug(self, uuid: str, nic: NicSpec) -> None:
        """Plug a port, trying again: Nova sets a running server to ERROR when this fails as the service starts."""
        for pause in _PLUG_PAUSES_S:
            try:
                self.hypervisor.plug(uuid, nic)
                return
            except (errors.NotFound, errors.Conflict, errors.Unsupported, errors.InvalidSpec):
                raise
            except errors.PlatformError as error:
                LOG.warning("port %s of instance %s is not plugged yet, trying again: %s", nic.id, uuid, error)
            self._stopping.wait(pause)
        self.hypervisor.plug(uuid, nic)

    def unplug_vifs(self, instance: Any, network_info: Any) -> None:
        def failed(reason: str) -> Exception:
            return exception.VirtualInterfaceUnplugException(reason=reason)

        for vif in network_info or ():
            # Nova also unplugs after a build that was undone, when neither adapter nor guest is there any more.
            with contextlib.suppress(exception.InstanceNotFound), translate.nova_errors(instance, failed):
                self.hypervisor.unplug(instance.uuid, translate.nic_spec(vif))
