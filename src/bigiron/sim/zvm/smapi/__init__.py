"""SMAPI as smcli shows it: functions by name, their arguments, output and codes (reference: IBM SC24-6327)."""
