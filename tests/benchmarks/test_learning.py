"""The benchmark of learning: its figures, its divisions of the film, its refusals."""

import json
from pathlib import Path

import pytest

from benchmarks.learning import film_of, made_film, main, mean_figures, train, whole
from pipeline.example import make_example
from schema.errors import ConfigError
from schema.geometry import Geometry
from training.model.config import preset
from training.model.weights import load_weights

SIZE = Geometry(12, 40)


def test_made_repositories_are_measured_beside_counts_and_named_ones_in_a_table_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.learning.NAMED", tmp_path / "named")
    own = make_example(tmp_path / "own", 22, seed=9)
    flags = ["--quick", "--minutes", "0.005", "--models", "keys_only", "--test", str(own), "--json"]
    assert main([*flags, "--save", str(tmp_path / "start")]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    for found in (figures, figures["named"]):
        assert 0 < found["counts_65536"] <= found["counts_1024"] < found["counts_static"] < found["keys_only"]
    assert figures["named"]["counts_static"] != figures["counts_static"]
    assert figures["frames_per_second"] > 0
    assert figures["cpu_minutes"] >= 0.005
    kept, facts = load_weights(tmp_path / "start/keys_only-12x40.safetensors")
    assert (kept.config.head, facts["cpu_minutes"]) == ("none", "0.005")
    card = (tmp_path / "start/README.md").read_text()
    assert f"| keys_only | {figures['keys_only']:.3f} |" in card
    assert "| psf/requests | Apache-2.0 | ad311497fa10 |" in card


def test_training_film_choosing_film_and_test_film_are_different_streams(tmp_path: Path) -> None:
    film = made_film(SIZE, tmp_path)
    (_, test) = film.tests["corpus"]
    streams = [segment.stream for segment in [*film.train, *film.choosing, *test]]
    assert sorted(streams) == [0, 1, 2, 3]
    trained = train(preset("tiny", *SIZE, head="none", guesses=0, memory=0), film, 0.002, "tiny", seed=0)
    assert trained.frames > 0
    assert trained.seconds >= 0.12


def test_a_named_repository_is_filmed_about_as_far_as_it_is_read(tmp_path: Path) -> None:
    own = make_example(tmp_path / "own", 40)
    (every,) = whole(film_of([str(own)], SIZE, tmp_path / "all"))
    (some,) = whole(film_of([str(own)], SIZE, tmp_path / "some", most=0))
    assert 0 < some.stop < every.stop
    with pytest.raises(ConfigError, match=r"no film of a\+b; run: python -m figures.corpus"):
        whole(film_of([str(own)], SIZE, tmp_path / "all"), ["a+b"])


def test_figures_are_means_over_seeds() -> None:
    assert mean_figures([{"lstm": 1.0}, {"lstm": 1.5}]) == {"lstm": 1.25}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--models", "lstm,gpt"], "--models gpt: choose some of frame_only,keys_only,lstm,memory"),
        (["--minutes", "0"], "--minutes above 0"),
        (["--film", "/nowhere"], "/nowhere: no such warehouse"),
        (["--geometry", "24"], "geometry '24': write ROWSxCOLS"),
    ],
)
def test_what_cannot_be_measured_is_one_clear_line(
    flags: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(flags) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
