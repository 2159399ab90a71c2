"""Face analysis for the edge: from a frame to FACE records in one fused pipeline."""

from __future__ import annotations

__version__ = "0.1.0"
