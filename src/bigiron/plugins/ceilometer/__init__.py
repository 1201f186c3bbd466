"""The Ceilometer plug-in: a polling namespace of its own, `powervm`, for the stock polling agent."""
