"""Device code: the kernels' sources, what was compiled of them ahead, and how it is loaded or compiled here."""
