"""Snapshots: the root disk of an instance becomes an image of Glance. Shelving is a snapshot and a destroy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nova import exception
from nova.compute import task_states
from oslo_log import log as logging

from bigiron.plugins.nova import translate
from bigiron.plugins.nova.compute.service import Service

LOG = logging.getLogger(__name__)


class Snapshots(Service):
    """The snapshot of an instance."""

    def snapshot(self, context: Any, instance: Any, image_id: str, update_task_state: Callable[..., None]) -> None:
        """Upload the root disk as a raw image. Nova made the image before, and deletes it when this raises."""

        def failed(reason: str) -> Exception:
            # Nova runs this in a pool and shows the failure to nobody but its debug log.
            LOG.error("snapshot %s failed: %s", image_id, reason, instance=instance)
            return exception.NovaException(f"Snapshot failed: {reason}")

        made = self._image_api.get(context, image_id)
        update_task_state(task_state=task_states.IMAGE_PENDING_UPLOAD)
        with (
            translate.nova_errors(instance, failed),
            self.hypervisor.root_disk(instance.uuid) as disk,
        ):
            update_task_state(task_state=task_states.IMAGE_UPLOADING, expected_state=task_states.IMAGE_PENDING_UPLOAD)
            self._image_api.update(context, image_id, _metadata(instance, made["name"]), disk.stream, purge_props=False)


def _metadata(instance: Any, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "status": "active",
        "disk_format": "raw",
        "container_format": "bare",
        "properties": {
            "image_location": "snapshot",
            "image_state": "available",
            "owner_id": instance.project_id,
        },
    }
