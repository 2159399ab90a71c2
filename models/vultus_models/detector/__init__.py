"""vultus-det: the face detector, its labels, mosaics, targets, losses and evaluation."""
