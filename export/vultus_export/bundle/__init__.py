"""Bundles: everything that a device needs of its models, in one reproducible and signed file."""
