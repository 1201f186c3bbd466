"""Security groups: what every driver of ours has to say about them."""

from __future__ import annotations

from oslo_config import cfg
from oslo_log import log as logging

LOG = logging.getLogger(__name__)


def warn(mechanism_driver: str, what: str) -> None:
    """Say once, where Neutron's server starts with security groups, that nothing enforces them on these ports."""
    try:
        wanted = cfg.CONF.SECURITYGROUP.enable_security_group
    except (cfg.NoSuchGroupError, cfg.NoSuchOptError):
        return
    if wanted:
        LOG.warning(
            "%s binds ports to %s, which filter no traffic: Neutron keeps security groups for them, and nothing "
            "enforces these (port_filter is false in the ports' binding)",
            mechanism_driver, what,
        )  # fmt: skip
