"""`compute_driver = powervm.driver.PowerVMDriver`, as existing PowerVM clouds have it, lands here."""

from bigiron.plugins.nova.powervm import PowerVMDriver as PowerVMDriver
