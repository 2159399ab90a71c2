"""Published models that are fetched by their owners' packages, checked and exported here, never shipped."""
