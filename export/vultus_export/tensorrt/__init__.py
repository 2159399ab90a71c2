"""TensorRT engines from ONNX models, for TensorRT from 10.0 on and TensorRT-RTX, with proof of their precision."""
