"""Nova imports compute drivers from nova.virt only: `compute_driver = bigiron.PowerVMDriver` lands here."""

from bigiron.plugins.nova.powervm import PowerVMDriver as PowerVMDriver
