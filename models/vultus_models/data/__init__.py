"""Reading of the labelled picture sets that the recipes train on."""
