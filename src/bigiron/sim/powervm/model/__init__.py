"""The simulated PowerVM system: plain objects and the rules that hold between them, with no XML and no HTTP."""
