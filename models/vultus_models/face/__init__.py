"""The multi-task face network: landmarks, pose and attributes from one aligned crop."""
