"""What only a GPU can show: kernels, pipeline, graphs, memory checks, timings and endurance, one part each."""
