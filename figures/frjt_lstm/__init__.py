"""LSTM accuracy on FRJT against the largest depth."""
