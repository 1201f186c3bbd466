"""Forbids eventlet before anything else is imported: Nova's services run on native threads, and so does all of ours."""

import os

# Nova's own test package decides by this, at its first import.
os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "1"

import nova.monkey_patch

nova.monkey_patch.patch(backend="threading")
