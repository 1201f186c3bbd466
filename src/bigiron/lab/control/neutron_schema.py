"""Create Neutron's schema in a SQLite file from its models, with the rows and the version that its migrations leave.

Usage: python -m bigiron.lab.control.neutron_schema FILE
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bigiron.lab.database import file_url


def default_rules(revisions: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the security group rule templates that a migration inserts; a schema made from models lacks them."""
    for revision in revisions:
        rules = getattr(revision.module, "default_template_rules", None)
        if rules:
            return list(rules)
    raise SystemExit("neutron: no migration has default_template_rules; the lab needs an update for this release")


def main() -> None:
    """Start from the command line."""
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from neutron.db.migration import cli
    from neutron.db.migration.models import head
    from neutron.db.models.securitygroup_default_rules import SecurityGroupDefaultRule
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session

    config = Config(str(Path(cli.__file__).parent / "alembic.ini"))
    config.set_main_option("script_location", "neutron.db.migration:alembic_migrations")
    cli._set_version_locations(config)
    script = ScriptDirectory.from_config(config)
    engine = create_engine(file_url(Path(sys.argv[1])))
    head.get_metadata().create_all(engine)
    with Session(engine) as session, session.begin():
        session.add_all(SecurityGroupDefaultRule(**rule) for rule in default_rules(script.walk_revisions()))
        MigrationContext.configure(session.connection()).stamp(script, "heads")


if __name__ == "__main__":
    main()
