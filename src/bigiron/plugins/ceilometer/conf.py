"""The options of ceilometer.conf: where the platform's service is, as in nova.conf."""

from __future__ import annotations

from oslo_config import cfg

from bigiron.errors import InvalidSpec
from bigiron.plugins import powervm_rest, zvm_rest
from bigiron.powervm.options import PowerVMOptions
from bigiron.zvm.options import ZvmOptions

_MAX_PARALLEL = 8


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator and the configuration reference."""
    return [(powervm_rest.GROUP, powervm_rest.REST_OPTS), (zvm_rest.GROUP, zvm_rest.REST_OPTS)]


def to_powervm(conf: cfg.ConfigOpts) -> PowerVMOptions:
    """The platform's options from a parsed ceilometer.conf."""
    powervm_rest.register(conf)
    return PowerVMOptions(**powervm_rest.values(conf), hostname=conf.host, max_parallel=_MAX_PARALLEL)


def to_zvm(conf: cfg.ConfigOpts) -> ZvmOptions:
    """The same for z/VM; raises InvalidSpec for what cannot work."""
    zvm_rest.register(conf)
    try:
        return ZvmOptions(**zvm_rest.values(conf), max_parallel=_MAX_PARALLEL)
    except zvm_rest.BadOption as error:
        raise InvalidSpec(f"ceilometer.conf: {error}") from error
