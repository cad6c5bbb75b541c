"""Film redrawn from its keys and contents alone, without the clone."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.film.arrow import piece_of
from pipeline.film.frames import Changes, Film
from pipeline.replay import replay
from pipeline.shards.reader import StreamReader
from pipeline.shards.store import Store
from pipeline.shards.writer import StreamWriter
from pipeline.warehouse.redraw import compare, different, main, open_stream, redrawn, refilm
from schema.config import ReplayConfig
from schema.errors import CorruptError, SourceError, WarehouseError
from schema.geometry import Geometry
from schema.manifest import Manifest
from tests.repositories import Repository

REPO = "owner/name"


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Edits, wide characters, long lines and a dropped file."""
    repository = Repository(tmp_path_factory.mktemp("history") / "r")
    lines = [b"line %d \xe6\xbc\xa2 %s" % (n, b"x" * (9 * n)) for n in range(14)]
    for number in range(7):
        repository.commit(f"Commit {number}", {"a.txt": b"\n".join(lines[: 2 * number + 1]) + b"\n"})
        lines[number] = lines[number].replace(b"line", b"row")
    return repository.path


def film(git_dir: Path, warehouse: Path, geometry: Geometry) -> Manifest:
    config = ReplayConfig(rows=geometry.rows, cols=geometry.cols)
    with StreamWriter(warehouse, REPO, config, licence="MIT") as writer:
        for take in replay(git_dir, REPO, config):
            writer.append(take)
    return writer.manifest


@pytest.fixture(scope="module")
def filmed(history: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    warehouse = tmp_path_factory.mktemp("w") / "warehouse"
    film(history, warehouse, Geometry(8, 40))
    return warehouse


def reader(warehouse: Path) -> StreamReader:
    store = Store(warehouse)
    return StreamReader(store, open_stream(store, REPO))


def test_stored_frames_are_drawn_again(filmed: Path) -> None:
    results = list(compare(reader(filmed)))
    assert len(results) == 7
    assert sum(wrong for _, wrong in results) == 0


def test_a_commit_with_files_that_are_not_drawn_is_drawn_again(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "r")
    for number in range(3):
        repository.commit(f"Commit {number}", dict.fromkeys(["plain", "odd\x7f" + "y" * 40], b"%d\n" % number))
    assert film(repository.path, tmp_path / "w", Geometry(8, 40)).steps > 0
    results = list(compare(reader(tmp_path / "w")))
    assert [len(episode.opened) for episode, _ in results] == [1, 1, 1]
    assert sum(wrong for _, wrong in results) == 0


def test_one_episode_is_drawn_from_the_screen_before_it(filmed: Path) -> None:
    ((episode, wrong),) = compare(reader(filmed), [4])
    assert (episode.episode, wrong) == (4, 0)


def test_a_changed_cell_style_cursor_or_phase_is_found(filmed: Path) -> None:
    stream = reader(filmed)
    episode = next(iter(stream.episodes()))
    piece = piece_of(stream.steps(0, episode.steps), 8)
    take = next(iter(redrawn(stream, Geometry(8, 40))))
    assert take.film is not None
    assert not different(piece, take.film, take.table).any()
    for column in range(5):
        changed = [c.copy() for c in (take.film.frames, *take.film[1:])]
        flat = changed[column].reshape(len(changed[column]), -1)
        if column == 0:
            flat[3, 2] = take.table.intern("another row")
        else:
            flat[3, 0] += 1
        wrong = different(piece, Film(Changes.of(changed[0]), *changed[1:]), take.table)
        assert np.flatnonzero(wrong).tolist() == [3]
    styled = take.film.frames.copy()
    styled[5, 1] = take.table.intern(take.table.texts[styled[5, 1]], ((0, 1, 3),))
    wrong = different(piece, take.film._replace(changes=Changes.of(styled)), take.table)
    assert np.flatnonzero(wrong).tolist() == [5]


def test_filmed_at_another_size_it_is_what_a_harvest_gives(history: Path, filmed: Path, tmp_path: Path) -> None:
    arguments = [REPO, "--warehouse", str(filmed), "--geometry", "12x60", "--into", str(tmp_path / "big")]
    assert main(arguments) == 0
    direct = film(history, tmp_path / "direct", Geometry(12, 60))
    redrawn_files = {(r.path, r.sha256) for r in open_stream(Store(tmp_path / "big"), REPO).files()}
    assert redrawn_files == {(r.path, r.sha256) for r in direct.files()}


def test_film_of_another_size_is_named_with_what_helps(filmed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = open_stream(Store(filmed), REPO)
    assert main([REPO, "--warehouse", str(filmed), "--geometry", "12x60", "--into", str(filmed)]) == 2
    size = before.config.geometry
    assert capsys.readouterr().err == (
        f"gitreel: {filmed}/shards/owner+name: holds film of {size}, or with other settings; film 12x60 into another "
        "folder: --into FOLDER\n"
    )
    assert open_stream(Store(filmed), REPO) == before


def test_a_folder_of_other_things_takes_no_film(
    filmed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main([REPO, "--warehouse", str(filmed), "--geometry", "12x60", "--into", str(tmp_path)]) == 2
    assert "holds other things and no film" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_program_counts_what_differs(filmed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([REPO, "--warehouse", str(filmed)]) == 0
    assert "0 differ" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none/such"], "not in warehouse"),
        ([REPO, "--geometry", "12x60"], "--into"),
        ([REPO, "--geometry", "12", "--into", "x"], "ROWSxCOLS"),
        ([REPO, "--geometry", "12x60", "--into", "x", "--episode", "1"], "leave --episode out"),
    ],
)
def test_mistakes_are_one_line(
    filmed: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main([*arguments, "--warehouse", str(filmed)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_content_that_is_not_stored_is_named(filmed: Path) -> None:
    with pytest.raises(CorruptError, match="content 0000"):
        reader(filmed).content("0" * 40)
    with pytest.raises(SourceError):
        open_stream(Store(filmed), "none/such")


def test_filmed_again_elsewhere_it_grows_is_replaced_and_never_mixed(tmp_path: Path) -> None:
    """`refilm` goes on behind what it filmed before: only if that is still how the stream begins."""
    small, large, there = Geometry(8, 40), Geometry(12, 60), Store(tmp_path / "large")

    def again(repository: Repository, place: str) -> tuple[int, int, list[str]]:
        film(repository.path, tmp_path / place, small)
        made = refilm(reader(tmp_path / place), large, there)
        once = film(repository.path, tmp_path / f"once {place}", large)
        assert [s.files["steps"].sha256 for s in made.shards] == [s.files["steps"].sha256 for s in once.shards]
        return made.generation, made.episodes, [commit for commit, _ in StreamReader(there, made).commits()]

    r = Repository(tmp_path / "r")
    root, second = r.commit("Root", {"a": b"1\n"}), r.commit("Second", {"a": b"2\n"})
    assert again(r, "first") == (0, 2, [root, second])
    third = r.commit("Third", {"a": b"3\n"})
    assert again(r, "second") == (0, 3, [root, second, third])
    other = r.commit("Other second", {"b": b"2\n"}, parents=[root])
    assert again(r, "third") == (1, 2, [root, other])
    stranger = Repository(tmp_path / "stranger")
    stranger.commit("Another root", {"o": b"1\n"})
    with pytest.raises(WarehouseError, match="--into FOLDER"):
        again(stranger, "fourth")


@pytest.mark.parametrize("episode", ["-1", "7", "99999999999999999999"])
def test_an_episode_that_is_not_there_is_one_line(
    filmed: Path, episode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([REPO, "--warehouse", str(filmed), "--episode", episode]) == 2
    assert capsys.readouterr().err == f"gitreel: --episode {episode}: {REPO} has episodes 0 to 6\n"
