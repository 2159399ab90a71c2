"""What the benchmark scripts share: metrics, intervals, and measuring picture sets through the runtime."""
