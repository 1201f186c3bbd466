"""The one error of the lab, so that the command line can show a sentence where a programming error shows a traceback."""


class LabError(Exception):
    """Something the user can act on; the message names the object and the fix."""
