"""Nova imports compute drivers from nova.virt only: `compute_driver = bigiron.PowerVMDriver` lands here, or ZVMDriver.

Each is imported when it is asked for: what one platform needs is not installed for the other.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "PowerVMDriver":
        from bigiron.plugins.nova.powervm import PowerVMDriver

        return PowerVMDriver
    if name == "ZVMDriver":
        from bigiron.plugins.nova.zvm import ZVMDriver

        return ZVMDriver
    raise AttributeError(name)
