"""What can go wrong on a platform, in one small tree.

A platform raises these and nothing else on purpose; a plug-in translates them once, at its edge, into its OpenStack
service's exceptions. Every message names the object and, where there is one, the fix.
"""


class PlatformError(Exception):
    """A platform refused or failed; `retryable` says whether the same call may succeed later unchanged."""

    retryable = False

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class NotFound(PlatformError):
    """The guest, disk, network or device named does not exist on the platform."""


class Conflict(PlatformError):
    """Something of that name or address exists already, or the object's state forbids the operation."""


class Foreign(Conflict):
    """An object in the way carries no mark of ours: it is left alone, and an operator must decide."""


class Busy(PlatformError):
    """The platform is busy with the object; a retry may help."""

    retryable = True


class Unavailable(PlatformError):
    """The platform does not answer, or what serves the object is down."""

    retryable = True


class Timeout(PlatformError):
    """The platform did not finish in time; the operation may still be running there."""


class AuthError(PlatformError):
    """The platform rejected the credentials, or its certificate cannot be trusted."""


class Unsupported(PlatformError):
    """This platform, firmware or configuration cannot do that."""


class InvalidSpec(PlatformError):
    """The request itself is wrong: a value out of range, an unknown key, a combination that cannot work."""


class NoCapacity(PlatformError):
    """The host or a storage pool has too little room; the message says what was asked and what is free."""
