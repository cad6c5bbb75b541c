"""Action tokens: longest match, frames where a token starts."""

from pathlib import Path

import numpy as np
import pytest

from schema.errors import ConfigError
from training.data.splits import Segment
from training.data.tokenizer import Tokenizer
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader


def test_tokens_keep_the_frames_where_they_start(root: Path) -> None:
    plain = FilmReader(Warehouse(root))
    keys = plain.actions(Segment(0, 0, 1000)).astype(np.uint8).tobytes()
    tokenizer = Tokenizer.fit([keys], 280)
    tokens = FilmReader(Warehouse(root), tokenizer=tokenizer)
    assert tokens.lengths[0] < 1000
    everything = tokens.window(0, 0, tokens.lengths[0])
    assert tokenizer.decode(everything.action_T) == keys
    starts = np.cumsum([0, *(len(tokenizer.tokens[a]) for a in everything.action_T[:-1])])
    for token in (0, 7, 100):
        np.testing.assert_array_equal(everything.cells_TRC[token], plain.window(0, int(starts[token]), 1).cells_TRC[0])


def test_longest_match_is_greedy_and_keeps_control_keys_single() -> None:
    tokenizer = Tokenizer([*(bytes([b]) for b in range(256)), b"re", b"return", b"urn"])
    ids, starts = tokenizer.encode(b"return re\x1b")
    assert [tokenizer.tokens[i] for i in ids] == [b"return", b" ", b"re", b"\x1b"]
    assert starts.tolist() == [0, 6, 7, 9]
    fitted = Tokenizer.fit([b"import os\r" * 50], 300)
    assert all(len(t) == 1 or min(t) >= 0x20 for t in fitted.tokens)
    assert any(len(t) > 2 for t in fitted.tokens)


def test_runs_of_one_arrow_key_become_tokens_and_no_other_control_keys() -> None:
    film = b"\x0e\x0e\x0e\x0e\x06\x06\x05\x05x\x04\x04\x04\x04\x02\x02\x10\x10\x10" * 50
    fitted = Tokenizer.fit([film], 300)
    longer = {token for token in fitted.tokens if len(token) > 1}
    assert {b"\x0e\x0e\x0e\x0e", b"\x06\x06", b"\x02\x02", b"\x10\x10\x10"} <= longer
    assert all(len(set(token)) == 1 and token[0] in b"\x02\x06\x0e\x10" for token in longer)
    assert fitted.decode(fitted.encode(film)[0]) == film


def test_a_tokenizer_file_is_read_back(tmp_path: Path) -> None:
    tokenizer = Tokenizer([*(bytes([b]) for b in range(256)), b"caf\xc3\xa9"])
    tokenizer.save(tmp_path / "t.jsonl")
    assert Tokenizer.load(tmp_path / "t.jsonl").tokens == tokenizer.tokens
    (tmp_path / "t.jsonl").write_text("{")
    with pytest.raises(ConfigError, match="not a tokenizer file"):
        Tokenizer.load(tmp_path / "t.jsonl")
