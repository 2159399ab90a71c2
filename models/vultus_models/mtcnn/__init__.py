"""MTCNN (Zhang et al. 2016): a cascade of three small networks, each looking closer at what the last one left."""
