"""System documents of z/VM: the YAML files that say what a simulated system consists of, and their validation."""

from __future__ import annotations

import functools
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import yaml


class DocumentError(ValueError):
    """A system document that cannot be used; the message names the key and says why."""


def read(path: Path) -> dict[str, Any]:
    """The validated document in a file."""
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise DocumentError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise DocumentError(f"{path} is not YAML: {error}") from error
    return validate(document, str(path))


def validate(document: Any, source: str = "system document") -> dict[str, Any]:
    """The document itself when it obeys the schema; raises DocumentError with every fault otherwise."""
    faults = sorted(_validator().iter_errors(document), key=lambda e: list(map(str, e.path)))
    if faults:
        lines = [f"  {'.'.join(str(step) for step in f.absolute_path) or '(top)'}: {f.message}" for f in faults]
        raise DocumentError(f"{source} has {len(faults)} fault(s):\n" + "\n".join(lines))
    return dict(document)


@functools.cache
def _validator() -> jsonschema.Draft202012Validator:
    schema = resources.files(__package__).joinpath("model/document-schema.yaml").read_text()
    return jsonschema.Draft202012Validator(yaml.safe_load(schema))
