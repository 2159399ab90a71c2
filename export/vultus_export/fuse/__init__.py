"""Both networks and all that lies between them in one ONNX file: a uint8 frame in, FACE fields out."""
