"""System documents of z/VM."""

from __future__ import annotations

from bigiron.sim.kernel.documents import DocumentError, DocumentSchema

SCHEMA = DocumentSchema(__package__)
read, validate = SCHEMA.read, SCHEMA.validate

__all__ = ["SCHEMA", "DocumentError", "read", "validate"]
