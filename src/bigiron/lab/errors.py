"""The one error of the lab: the command line shows it as a sentence, and any other error as a traceback."""


class LabError(Exception):
    """Something the user can act on; the message names the object and the fix."""
