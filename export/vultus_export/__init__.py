"""From PyTorch to the edge: ONNX with its spec inside, FP16 and INT8, each proved against its reference."""
