"""Metrics of faces against labels, and the reading of labelled sets; benchmarks and gates share them.

Nothing here imports torch or onnx, so measuring needs neither.
"""
