"""Bundles: models with specs, cards, licences and checksums in one signed file that a device verifies."""
