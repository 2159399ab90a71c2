"""Raw network outputs to FACE records: one module a kind of head or detector."""
