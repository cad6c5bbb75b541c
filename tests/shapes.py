"""Histories of every shape, grown step by step: branches, merges the usual way round and the other (foxtrots),
octopuses, criss-crosses, several roots, HEAD moved back, moved to another branch, its last commit rewritten."""

import random
from collections.abc import Iterator
from pathlib import Path

from tests.repositories import Repository


class Shapes(Repository):
    """A bare repository in which `grow` makes a few commits and merges at random, and lets HEAD stand somewhere."""

    def __init__(self, path: Path, seed: int, *, strange: float = 0.25) -> None:
        """`strange`: how often HEAD goes anywhere but to a commit that has its old one among its ancestors."""
        super().__init__(path)
        self.random = random.Random(seed)
        self.strange = strange
        self.tips: list[str] = []
        self.parents: dict[str, list[str]] = {}
        self.made("Root", {"a": b"root\n"}, [])

    def made(self, subject: str, changes: dict[str, bytes], parents: list[str]) -> str:
        """Commit; the new commit is a tip, its parents are none any more."""
        sha = self.commit(f"{subject} {len(self.parents)}", changes, parents=parents)
        self.parents[sha] = parents
        self.tips = [tip for tip in self.tips if tip not in parents] + [sha]
        return sha

    def grow(self, steps: int) -> Iterator[str]:
        """HEAD after each step, which is one to four new commits or merges and, perhaps, a leap."""
        assert self.head is not None
        head = self.head
        for _ in range(steps):
            for _ in range(self.random.randint(1, 4)):
                self._one(head)
            roll = self.random.random()
            heirs = [tip for tip in self.tips if head in self.ancestors(tip)]
            if roll < self.strange:
                head = self.random.choice([*self.parents, self._rewritten(head)])
            elif heirs:
                head = self.random.choice(heirs)
            else:
                head = self._merge([head, self.random.choice(self.tips)])
            self.move(head)
            yield head

    def _one(self, head: str) -> None:
        roll = self.random.random()
        commits = list(self.parents)
        if roll < 0.35:
            self._work(self.random.choice([head, *self.tips]))
        elif roll < 0.5:
            self._work(self.random.choice(commits))  # a branch off an old commit
        elif roll < 0.55:
            self.made("Another root", {self._file(): b"other\n"}, [])
        elif roll < 0.65:
            self.made("Nothing", {}, [self.random.choice(self.tips)])
        else:
            count = self.random.choice((2, 2, 2, 3, 4))
            self._merge(self.random.sample(commits, min(count, len(commits))))

    def _work(self, parent: str) -> str:
        return self.made("Work", {self._file(): f"{len(self.parents)}\n".encode()}, [parent])

    def _merge(self, parents: list[str]) -> str:
        """In any order: a foxtrot as often as not."""
        self.random.shuffle(parents)
        files = {path.decode(): b"merged %d\n" % len(self.parents) for sha in parents for path in self.trees[sha]}
        return self.made("Merge", dict(list(files.items())[-2:]), list(dict.fromkeys(parents)))

    def _rewritten(self, commit: str) -> str:
        return self.made("Rewritten", {self._file(): b"again\n"}, self.parents[commit])

    def _file(self) -> str:
        return self.random.choice(("a", "b", "d/c", "d/e/f"))

    def ancestors(self, commit: str) -> set[str]:
        """Itself too."""
        found: set[str] = set()
        stack = [commit]
        while stack:
            if (one := stack.pop()) not in found:
                found.add(one)
                stack += self.parents[one]
        return found

    def worked(self, head: str) -> set[str]:
        """The commits that a film of `head` must hold: all but the merges."""
        return {commit for commit in self.ancestors(head) if len(self.parents[commit]) < 2}
