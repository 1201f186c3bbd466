"""The plug-ins of OpenStack's services: thin translations between their objects and bigiron's values."""
