"""Small repositories, filmed several at a time."""

import pytest

from tests.repositories import Repository


@pytest.fixture
def repositories(tmp_path):
    """Paths of three, of four commits each."""
    made = []
    for number in range(3):
        repository = Repository(tmp_path / f"film{number}")
        for line in range(4):
            repository.commit(f"Commit {line}", {"a.py": b"%d\n" % number + b"line\n" * line})
        made.append(str(repository.path))
    return made
