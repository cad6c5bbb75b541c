"""Transformer and Mamba-2 accuracy on FRJT against the number of layers."""
