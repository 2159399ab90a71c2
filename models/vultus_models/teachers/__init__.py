"""Published networks that label pictures for training; their weights are never part of this project."""
