"""Secrets in what would be typed or shown: known forms of tokens, and values given to names of credentials."""

from pipeline.script.secrets.find import BLOCKS, find_secrets, is_config_file, secret_filter

__all__ = ["BLOCKS", "find_secrets", "is_config_file", "secret_filter"]
