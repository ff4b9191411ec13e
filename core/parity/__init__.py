"""Comparison of our numbers with recorded vectors of reference implementations: `make parity VECTORS=<folder>`.

A vector file is safetensors; its stem says which comparison reads it, its header says the architecture. To add one, write a function
from a `Vectors` to entries and put it into COMPARISONS in core/parity/compare.py.
"""
