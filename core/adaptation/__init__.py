"""What edits are for: a labelled set carried into another domain, its labels audited, a classifier trained on it, and the curves."""
