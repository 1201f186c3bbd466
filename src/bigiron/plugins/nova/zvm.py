"""The z/VM compute driver: `compute_driver = bigiron.ZVMDriver`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nova.conf
from nova.objects import fields

from bigiron import errors, features
from bigiron.hypervisor import Hypervisor
from bigiron.model import GuestSpec, ImageSource
from bigiron.plugins.nova import zvm_conf, zvm_images
from bigiron.plugins.nova.capabilities import FOUND, NEVER
from bigiron.plugins.nova.driver import BigironDriver
from bigiron.plugins.nova.localdisks import DiskRules
from bigiron.zvm.platform import Zvm

CONF = nova.conf.CONF
zvm_conf.register(CONF)

_FORMATS = ("ext2", "ext3", "ext4", "xfs")


class ZVMDriver(BigironDriver):
    """Runs instances as virtual machines of a z/VM host, through its Cloud Connector."""

    capabilities = {**dict.fromkeys((*NEVER, *FOUND), False), **features.capabilities("zvm")}
    platform = "zvm"
    hypervisor_type = fields.HVType.ZVM
    machines = (fields.Architecture.S390X,)
    flavor_namespace = "zvm:"
    image_properties = zvm_images.PROPERTIES
    disk_rules = DiskRules(bus="dasd", bus_words="channel-attached disks (dasd)", formats=_FORMATS)
    converts_images = False
    # An image is refused unless it begins with z/VM's own header. That is text, and Nova's rules take an image that
    # begins with text and goes on with a compressed disk for a broken VMDK.
    inspects_images = False
    dedicates_processors = False

    _node = ""

    def make_hypervisor(self) -> Hypervisor:
        return Zvm(zvm_conf.to_options(CONF))

    def image_folder(self) -> Path:
        return Path(CONF.zvm.image_tmp_path)

    def start_timeout_s(self) -> float:
        return float(CONF.zvm.connect_timeout)

    def node_name(self) -> str:
        """The system's own name, as Nova's in-tree driver has it: a node keeps its record when the driver changes."""
        if not self._node:
            self._node = self.hypervisor.facts().hostname
        return self._node

    def config_drive_network(self, spec: GuestSpec, network_info: Sequence[Any]) -> Sequence[Any]:
        """Nothing: the image's activation engine configures the network before cloud-init looks at this drive."""
        return ()

    def image_source(self, context: Any, image_meta: Any, trusted_certs: Any = None) -> ImageSource | None:
        disk_format = image_meta.disk_format if image_meta.obj_attr_is_set("disk_format") else None
        if image_meta.obj_attr_is_set("id") and image_meta.id and disk_format != "raw":
            raise errors.InvalidSpec(
                f"image {image_meta.id} has the disk format {disk_format}: upload what the Cloud Connector's "
                "creatediskimage writes, with --disk-format raw"
            )
        return super().image_source(context, image_meta, trusted_certs)
