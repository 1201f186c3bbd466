"""System documents: the YAML files that say what a simulated system consists of, and their validation."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where PyYAML was built with it: ten times as fast on a document with hundreds of partitions."""


class DocumentError(ValueError):
    """A system document that cannot be used; the message says where and why."""


@dataclass(frozen=True)
class DocumentSchema:
    """The documents of one platform; its package has their JSON schema in `model/document-schema.yaml`."""

    package: str

    def read(self, path: Path) -> dict[str, Any]:
        """The validated document in a file."""
        try:
            document = yaml.load(path.read_text(), _LOADER)  # both are safe loaders
        except OSError as error:
            raise DocumentError(f"{path}: {error.strerror}") from error
        except yaml.YAMLError as error:
            raise DocumentError(f"{path} is not YAML: {error}") from error
        return self.validate(document, str(path))

    def validate(self, document: Any, source: str = "system document") -> dict[str, Any]:
        """The document itself when it obeys the schema; raises DocumentError with every fault otherwise."""
        faults = sorted(self.validator.iter_errors(document), key=lambda e: list(map(str, e.path)))
        if faults:
            lines = [f"  {'.'.join(str(step) for step in f.absolute_path) or '(top)'}: {f.message}" for f in faults]
            raise DocumentError(f"{source} has {len(faults)} fault(s):\n" + "\n".join(lines))
        return dict(document)

    @functools.cached_property
    def validator(self) -> jsonschema.Draft202012Validator:
        """Made when it is first needed."""
        schema = resources.files(self.package).joinpath("model/document-schema.yaml").read_text()
        return jsonschema.Draft202012Validator(yaml.safe_load(schema))
