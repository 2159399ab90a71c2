"""The device path: driver, kernels, device frames and the fused pipeline that never leaves the GPU."""
