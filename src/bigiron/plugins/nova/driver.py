"""The compute driver that all platforms share: Nova's calls translated into a Hypervisor's verbs and steps."""

from __future__ import annotations

from bigiron.plugins.nova.compute.consoles import Consoles
from bigiron.plugins.nova.compute.diagnostics import Diagnostics
from bigiron.plugins.nova.compute.host import Host
from bigiron.plugins.nova.compute.images import Images
from bigiron.plugins.nova.compute.instances import Instances
from bigiron.plugins.nova.compute.interfaces import Interfaces
from bigiron.plugins.nova.compute.power import Power
from bigiron.plugins.nova.compute.rebuild import Rebuild
from bigiron.plugins.nova.compute.recovery import Recovery
from bigiron.plugins.nova.compute.rescue import Rescue
from bigiron.plugins.nova.compute.resize import Resize
from bigiron.plugins.nova.compute.snapshots import Snapshots


class BigironDriver(
    Host, Instances, Rebuild, Power, Resize, Interfaces, Recovery, Rescue, Snapshots, Consoles, Images, Diagnostics
):
    """A ComputeDriver over one Hypervisor; a subclass names the platform and makes it in `make_hypervisor`."""
