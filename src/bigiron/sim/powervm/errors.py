"""What the simulated REST API answers when it refuses: each error carries its HTTP status and reason code."""


class RestError(Exception):
    """A refusal, rendered on the wire as an Atom entry holding an HttpErrorResponse."""

    status = 500
    reason = "Unknown internal error."

    def __init__(self, message: str, reason: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.reason
        self.status = status or self.status


class BadRequest(RestError):
    status = 400
    reason = "Invalid request."


class Unauthorized(RestError):
    status = 401
    reason = "Authentication failed."


class NotFound(RestError):
    status = 404
    reason = "Element or URI not found."


class MethodNotAllowed(RestError):
    status = 405
    reason = "Method not allowed."


class Conflict(RestError):
    status = 409
    reason = "Conflict."


class PreconditionFailed(RestError):
    """The If-Match etag is stale: the client must read again and redo its change."""

    status = 412
    reason = "Precondition failed."


class Busy(RestError):
    """The VIOS is busy: clients wait and try again."""

    status = 503
    reason = "Service unavailable."


class JobFailed(Exception):
    """A job that ends COMPLETED_WITH_ERROR with this message."""
