"""How the simulated z/VM refuses: SMAPI with a return and a reason code, CP with a numbered message."""

from __future__ import annotations

DESCRIPTIONS = {
    (4, 4): "Request does not exist",
    (4, 28): "Return buffer is empty",
    (4, 3000): "VMRELOCATE TEST error",
    (4, 3008): "System is not a member of an SSI cluster",
    (8, 4): "Directory entry to be deleted not found",
    (8, 8): "Device does not exist",
    (8, 3000): "VMRELOCATE MOVE error",
    (8, 3003): "Invalid parameter operand",
    (8, 3004): "Required Parameter is missing",
    (200, 4): "Image not found",
    (200, 8): "Image already active",
    (200, 12): "Image not active",
    (200, 16): "Image being deactivated",
    (204, 4): "Image device already exists",
    (204, 8): "Image device does not exist",
    (204, 12): "Image device is busy",
    (204, 16): "Image device is not available",
    (204, 20): "Image device already connected",
    (204, 28): "Image device already defined as type other than network adapter",
    (204, 48): "Virtual network adapter is already disconnected",
    (208, 4): "Image disk already in use",
    (208, 36): "Image disk does not exist",
    (212, 8): "Image not authorized to connect",
    (212, 32): "Image device not connected to LAN",
    (212, 36): "Virtual switch already exists",
    (212, 40): "Virtual switch does not exist",
    (396, 2846): "Operation is not allowed for a VLAN UNAWARE virtual switch",
    (396, 2797): "Conflicting devices for the virtual network adapter",
    (400, 0): "Image or profile definition error",
    (400, 4): "Image or profile definition not found",
    (400, 8): "Image or profile name already defined",
    (400, 12): "Image or profile definition is locked",
    (400, 24): "Image or profile definition is not locked",
    (404, 4): "Image device already defined",
    (404, 8): "Image device not defined",
    (404, 12): "Image device is locked",
    (408, 4): "Image disk already defined",
    (408, 8): "Image disk not defined",
    (408, 24): "Not enough free disk available",
    (436, 4): "Profile included not found",
    (596, 3541): "The DASD group is not defined to the directory manager",
    (596, 6831): "The minidisk of the userid is in use",
}
"""By return and reason code, as IBM's Systems Management Application Programming lists them."""


class SmapiError(Exception):
    """A refusal of SMAPI; `description` defaults to what the codes mean."""

    def __init__(self, rc: int, rs: int, description: str = "") -> None:
        self.rc, self.rs = rc, rs
        self.description = description or DESCRIPTIONS.get((rc, rs), "Unknown reason")
        super().__init__(f"{rc}/{rs} {self.description}")


class SmapiDown(Exception):
    """SMAPI does not answer: what smcli prints when its connection breaks or waits in vain."""

    def __init__(self, code: int = -110, errno: int = 110, text: str = "Connection timed out") -> None:
        self.code, self.errno, self.text = code, errno, text
        super().__init__(text)


class BadCall(Exception):
    """smcli does not understand its arguments."""


class CpError(Exception):
    """CP's refusal of a command: the message with its number, such as HCPCQU045E."""

    def __init__(self, number: int, message: str) -> None:
        self.number, self.message = number, message
        super().__init__(message)


class ToolError(Exception):
    """A program of the server's Linux that fails: its exit status and what it prints."""

    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text
        super().__init__(text)
