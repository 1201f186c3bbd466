"""Ceilometer's options as its programs read them, without what they do to a process that is theirs alone."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

from ceilometer import service
from oslo_config import cfg


def prepared(path: Path) -> cfg.ConfigOpts:
    """The options in a file; logging, translation and signals of this process stay as they are."""
    conf = cfg.ConfigOpts()
    with (
        mock.patch.object(service.log, "setup"),
        mock.patch.object(service.oslo_i18n, "enable_lazy"),
        mock.patch.object(service.gmr.TextGuruMeditation, "setup_autorun"),
    ):
        service.prepare_service(["ceilometer-polling", "--config-file", str(path)], conf=conf)
    return conf
