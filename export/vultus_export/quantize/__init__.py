"""Precision baked into the ONNX: FP16 types, explicit INT8 Q/DQ, and the search for what may be lowered."""
