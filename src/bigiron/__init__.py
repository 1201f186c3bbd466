"""bigiron: OpenStack on IBM Power and IBM Z."""
