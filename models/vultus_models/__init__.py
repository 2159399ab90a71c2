"""PyTorch models of vultus: trunks, heads, losses, systems and their training recipes."""
