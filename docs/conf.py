"""Sphinx configuration: `make docs`."""

import logging
import sys
from importlib.metadata import version as package_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
# Neutron's groups are in capitals, and each one was told of as it was shown in small letters.
logging.getLogger("oslo_config.generator").setLevel(logging.ERROR)

project = "bigiron"
author = "The bigiron authors"
release = version = package_version("bigiron")
extensions = ["openstackdocstheme", "oslo_config.sphinxext", "reno.sphinxext", "feature_matrix"]
html_theme = "openstackdocs"
exclude_patterns = ["_build"]
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_use_storyboard = False
highlight_language = "console"
