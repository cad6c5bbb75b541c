"""The longest chain of dependent operations against sequence length, and what it costs."""
