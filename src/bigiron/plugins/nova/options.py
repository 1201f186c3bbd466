"""What is wrong with an option of nova.conf."""

from __future__ import annotations


class OptionError(ValueError):
    """An option that cannot be used; the message names it and says what to write instead."""
