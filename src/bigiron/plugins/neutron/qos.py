"""Quality of service in Neutron's server: which rules our ports can have, and what they guarantee."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from neutron.objects.qos import policy as qos_policy
from neutron_lib import constants
from neutron_lib.db import constants as db_constants
from neutron_lib.plugins import utils as plugin_utils
from neutron_lib.services.qos import base
from neutron_lib.services.qos import constants as qos_constants
from oslo_config import cfg
from oslo_log import log as logging

from bigiron.plugins.neutron.kinds import Kind

LOG = logging.getLogger(__name__)

GUARANTEED = "guaranteed_kbps"
"""In the details of a direct port's binding: what its vNIC's capacity is in kilobits per second."""

MINIMUM_BANDWIDTH = {
    qos_constants.RULE_TYPE_MINIMUM_BANDWIDTH: {
        qos_constants.MIN_KBPS: {"type:range": [0, db_constants.DB_INTEGER_MAX_VALUE]},
        qos_constants.DIRECTION: {"type:values": constants.VALID_DIRECTIONS},
    }
}


def rules(context: Any) -> Sequence[Any]:
    """The rules of the policy of a mechanism driver's port, or else of its network's."""
    port = context.current
    policy_id = port.get(qos_constants.QOS_POLICY_ID) or port.get(qos_constants.QOS_NETWORK_POLICY_ID)
    if not policy_id:
        return ()
    policy = qos_policy.QosPolicy.get_object(context.plugin_context.elevated(), id=policy_id)
    return list(policy.rules) if policy is not None else ()


def obstacle(found: Iterable[Any], supported: Mapping[str, Any]) -> str:
    """Why a port with these rules cannot be bound; empty where it can."""
    others = sorted({rule.rule_type for rule in found} - supported.keys())
    if not others:
        return ""
    can = ", ".join(sorted(supported)) or "none"
    return (
        f"its QoS policy has rules of type {', '.join(others)}, which the platform does not carry out for it (it does: "
        f"{can}); take the policy off the port or its network, or the rules out of it"
    )


def minimum_kbps(found: Iterable[Any]) -> int:
    """The most that is guaranteed in either direction; 0 where nothing is."""
    wanted = [rule.min_kbps for rule in found if rule.rule_type == qos_constants.RULE_TYPE_MINIMUM_BANDWIDTH]
    return max(wanted, default=0)


class GuaranteeDriver(base.DriverBase):
    """Tells Neutron's QoS service which rules the ports of a mechanism driver of ours can have."""

    def __init__(self, mechanism_driver: str, kind: Kind) -> None:
        super().__init__(mechanism_driver, [kind.vif_type], [kind.vnic_type], MINIMUM_BANDWIDTH)

    @property
    def is_loaded(self) -> bool:
        """Whether our mechanism driver is configured."""
        try:
            return self.name in cfg.CONF.ml2.mechanism_drivers
        except cfg.NoSuchOptError:
            return False

    def validate_rule_for_port(self, context: Any, rule: Any, port: Any) -> bool:
        """Whether the port can have the rule: a vNIC that is there keeps the capacity that it was made with.

        Where Placement has given the port something, the QoS service has changed that by now, and a refusal would
        leave the two apart.
        """
        binding = plugin_utils.get_port_binding_by_status_and_host(port.bindings, constants.ACTIVE)
        if binding is None or binding.vif_type not in self.vif_types or (binding.profile or {}).get("allocation"):
            return True
        has = int((binding.vif_details or {}).get(GUARANTEED) or 0)
        if minimum_kbps([rule]) <= has:
            return True
        LOG.warning(
            "%s does not take a minimum bandwidth of %d kbit/s for port %s: its vNIC was made for %d; detach it from "
            "its server %s, give it the policy, and attach it again",
            self.name, rule.min_kbps, port["id"], has, port.device_id,
        )  # fmt: skip
        return False
