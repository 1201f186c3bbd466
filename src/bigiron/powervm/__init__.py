"""PowerVM: the platform that talks to a managed system through the PowerVM REST API (NovaLink or HMC)."""
