"""The frame model: its sizes, frame head, backbones, exact gradients, weights."""
