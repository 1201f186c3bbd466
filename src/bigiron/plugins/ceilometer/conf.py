"""The options of ceilometer.conf: where the REST service is, as in nova.conf."""

from __future__ import annotations

from oslo_config import cfg

from bigiron.plugins import powervm_rest
from bigiron.powervm.options import PowerVMOptions

_MAX_PARALLEL = 8


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator and the configuration reference."""
    return [(powervm_rest.GROUP, powervm_rest.REST_OPTS)]


def to_options(conf: cfg.ConfigOpts) -> PowerVMOptions:
    """The platform's options from a parsed ceilometer.conf."""
    powervm_rest.register(conf)
    return PowerVMOptions(**powervm_rest.values(conf), hostname=conf.host, max_parallel=_MAX_PARALLEL)
