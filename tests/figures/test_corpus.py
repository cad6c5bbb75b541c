"""The pinned corpus: what its file promises, finding mirrors, and filming no further than the pin."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from figures import corpus
from figures.streams import film_missing
from pipeline.crawl.licence import PERMISSIVE
from schema.errors import ConfigError
from schema.geometry import Geometry
from tests.repositories import make_repository
from training.data.warehouse import Warehouse


def sha(repository: Path, name: str) -> str:
    answer = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", name], capture_output=True, text=True, check=True
    )
    return answer.stdout.strip()


def pinned(name: str, commit: str, steps: int = 0) -> corpus.Repository:
    return corpus.Repository(
        name=name, url=f"https://localhost/{name}", commit=commit, licence="MIT", language="text", split="train",
        steps=steps,
    )  # fmt: skip


def test_the_corpus_is_twelve_permissive_repositories_of_several_languages() -> None:
    film = corpus.read_corpus()
    assert len({repository.name for repository in film.repository}) == 12
    assert len({repository.language for repository in film.repository}) >= 5
    assert {repository.licence for repository in film.repository} <= set(PERMISSIVE)
    assert len(film.of("train")) == 7
    assert len(film.of("test")) == 4
    assert len(film.of("validation")) == 1


def test_the_digest_follows_the_pins() -> None:
    film = corpus.read_corpus()
    first, *rest = film.repository
    moved = film.model_copy(update={"repository": (first.model_copy(update={"commit": "0" * 40}), *rest)})
    assert film.digest == corpus.read_corpus().digest != moved.digest


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "corpus.toml"
    path.write_text("[geometry]\nrows = 12\ncols = 40\ndepth = 3\n")
    with pytest.raises(ConfigError, match="depth"):
        corpus.read_corpus(path)


def test_the_film_ends_at_the_pin(tmp_path: Path) -> None:
    mirror = make_repository(tmp_path / "mirrors" / "me+work", {"a.txt": b"one\n"}, {"a.txt": b"two\n"}, {"b": b"3\n"})
    made = corpus.Corpus(
        geometry=corpus.Screen(rows=12, cols=40), repository=(pinned("me/work", sha(mirror, "HEAD~1")),)
    )
    wrong = corpus.film_all(made, Geometry(12, 40), tmp_path / "mirrors", tmp_path / "runs" / "film")
    assert len(wrong) == 1
    assert "corpus.toml says 0" in wrong[0]
    (stream,) = Warehouse(tmp_path / "runs" / "film").streams
    assert stream.repo_id == "me+work"
    again = made.model_copy(update={"repository": (pinned("me/work", sha(mirror, "HEAD~1"), stream.steps),)})
    assert corpus.film_all(again, Geometry(12, 40), tmp_path / "mirrors", tmp_path / "runs" / "film") == []


def test_the_longer_histories_go_on_from_the_pins_of_those_to_learn_from_alone(tmp_path: Path) -> None:
    contents = [{"a.txt": b"one\n"}, {"a.txt": b"two\n"}, {"b": b"3\n"}]
    mirror = make_repository(tmp_path / "mirrors" / "me+work", *contents)
    repository = pinned("me/work", sha(mirror, "HEAD~2")).model_copy(update={"further": sha(mirror, "HEAD~1")})
    made = corpus.Corpus(geometry=corpus.Screen(rows=12, cols=40), repository=(repository,))
    longer = corpus.further(made)
    assert corpus.film_all(longer, Geometry(12, 40), tmp_path / "mirrors", tmp_path / "runs" / "film") == []
    assert Warehouse(tmp_path / "runs" / "film").episodes == 2
    real = corpus.read_corpus()
    assert all((one.further is not None) == (one.split == "train") for one in real.repository)
    assert corpus.further(real).of("test") == real.of("test")


@pytest.mark.parametrize("place", ["me+work", "me+work/repo", "me/work", "work", "work.git"])
def test_a_mirror_is_found_where_it_is(tmp_path: Path, place: str) -> None:
    folder = tmp_path / place
    folder.mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    assert corpus.find_mirror(pinned("me/work", "0" * 40), tmp_path) == folder


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no clone of me/work"):
        corpus.find_mirror(pinned("me/work", "0" * 40), tmp_path)
    mirror = make_repository(tmp_path / "mirror", {"a": b"1\n"})
    with pytest.raises(ConfigError, match="is not in"):
        corpus.pin(mirror, pinned("me/work", "0" * 40), tmp_path / "pins")


def test_film_of_another_length_is_not_the_corpus(tmp_path: Path) -> None:
    mirror = make_repository(tmp_path / "mirrors" / "me+work", {"a.txt": b"one\n"}, {"a.txt": b"two\n"})
    repository = pinned("me/work", sha(mirror, "HEAD"))

    def film(steps: int | None) -> int:
        told = repository.model_copy(update={"steps": steps})
        made = corpus.Corpus(geometry=corpus.Screen(rows=12, cols=40), repository=(told,))
        film_missing(made, Geometry(12, 40), tmp_path / "runs" / "film", tmp_path / "mirrors")
        (stream,) = Warehouse(tmp_path / "runs" / "film").streams
        return stream.steps

    steps = film(None)
    assert film(steps) == steps
    with pytest.raises(ConfigError, match=rf"me/work has {steps} steps of film, the corpus says {steps + 1};"):
        film(steps + 1)


def test_the_longer_histories_are_of_known_length() -> None:
    longer = corpus.further(corpus.read_corpus())
    assert sum(repository.steps or 0 for repository in longer.of("train")) == 11_093_930
