"""Measurements of an installed vultus on the machine it runs on, made to be repeated and published."""
