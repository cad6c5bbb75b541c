"""Action tokens: a longest-match view of the keys. Shards hold bytes; frames are kept where a token starts.

    tokenizer = Tokenizer.fit(keys, size=1024)
    ids, starts = tokenizer.encode(b"import os")

Ids 0-255 are the bytes themselves. Longer tokens are runs of printable keys that byte-pair encoding found frequent, and
runs of one arrow key, which nano's film is full of; other control keys are never merged, so that every change of mode
keeps a frame of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schema.errors import ConfigError
from training.files import write_atomically

# ^B ^F ^N ^P move nano's cursor; vim's film has no two of one of them side by side
_RUNS = re.compile(rb"[^\x00-\x20\x7f]+ ?|\x02+|\x06+|\x0e+|\x10+|[\x00-\x20\x7f]")
LONGEST = 24  # keys of the longest token


class Tokenizer:
    """Greedy longest match over `tokens`; the first 256 are the single bytes. Raises ConfigError."""

    def __init__(self, tokens: Sequence[bytes]) -> None:
        if list(tokens[:256]) != [bytes([b]) for b in range(256)] or len(set(tokens)) != len(tokens):
            raise ConfigError("tokenizer: the first 256 tokens must be the bytes, and all must differ")
        self.tokens = tuple(tokens)
        self._trie: dict[int, Any] = {}
        for number, token in enumerate(tokens):
            node = self._trie
            for byte in token:
                node = node.setdefault(byte, {})
            node[-1] = number

    def __len__(self) -> int:
        return len(self.tokens)

    @classmethod
    def fit(cls, keys: Iterable[bytes], size: int) -> Tokenizer:
        """Byte-pair encoding of the printable runs and the arrow runs of `keys`, up to `size` tokens."""
        if size < 256:
            raise ConfigError(f"--tokens {size}: at least 256, one for every byte; 0 for plain bytes")
        from tokenizers import Tokenizer as Bpe
        from tokenizers import models, pre_tokenizers, trainers

        bpe = Bpe(models.BPE())
        bpe.pre_tokenizer = pre_tokenizers.Split("\n", "removed")
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            initial_alphabet=[chr(b) for b in range(256)],
            max_token_length=LONGEST,
            show_progress=False,
        )
        runs = (b"\n".join(_RUNS.findall(part)).decode("latin-1") for part in keys)
        bpe.train_from_iterator(runs, trainer)
        merged = sorted((number, token) for token, number in bpe.get_vocab().items() if len(token) > 1)
        longer = [token.encode("latin-1") for _, token in merged][: size - 256]
        return cls([bytes([b]) for b in range(256)] + longer)

    def encode(self, keys: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Token ids, and the position in `keys` where each starts."""
        ids, starts = [], []
        place, end, root = 0, len(keys), self._trie
        while place < end:
            starts.append(place)
            node, here = root, place
            while here < end and (below := node.get(keys[here])) is not None:
                node = below
                here += 1
                if -1 in node:
                    number, place = node[-1], here
            ids.append(number)
        return np.array(ids, np.int64), np.array(starts, np.int64)

    def decode(self, ids: Iterable[int]) -> bytes:
        """The keys of some tokens."""
        return b"".join(self.tokens[number] for number in ids)

    def save(self, path: Path) -> None:
        """One JSON string (latin-1) a line."""
        lines = "\n".join(json.dumps(token.decode("latin-1")) for token in self.tokens)
        write_atomically(path, f"{lines}\n".encode())

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Inverse of `save`. Raises ConfigError."""
        try:
            return cls([json.loads(line).encode("latin-1") for line in path.read_text().splitlines()])
        except (OSError, ValueError, AttributeError) as error:
            raise ConfigError(f"{path}: not a tokenizer file ({error}); fit one with --tokens N") from error
