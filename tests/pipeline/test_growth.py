"""How streams grow: whatever the history's shape, nothing is lost, and film is replaced for a stated reason alone."""

import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline import growth
from pipeline.crawl.clone import Stopped
from pipeline.git.order import order
from pipeline.harvester import HarvestConfig, Outcome, finished, harvest_repository
from pipeline.replay import replay
from pipeline.shards.manifest import load
from pipeline.shards.store import Store
from pipeline.shards.writer import StreamWriter
from pipeline.warehouse import build as warehouse
from schema.errors import SourceError
from schema.manifest import MANIFEST, PENDING, Manifest, stream_folder
from tests.repositories import Repository
from tests.shapes import Shapes


@pytest.fixture
def config(tmp_path: Path) -> HarvestConfig:
    return HarvestConfig(warehouse=str(tmp_path / "warehouse"), cache=str(tmp_path / "cache"))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "film")
    made.commit("Root", {"a": b"one\n"})
    made.commit("Second", {"a": b"two\n"})
    return made


def stream(config: HarvestConfig, repo_id: str = "film") -> Manifest:
    found = load(Store(config.warehouse), f"{stream_folder(repo_id)}/{MANIFEST}")
    assert found is not None
    return found


def commits(config: HarvestConfig, repo_id: str = "film") -> list[str]:
    return list(growth.filmed(Store(config.warehouse), stream(config, repo_id)))


def sums(manifest: Manifest) -> list[dict[str, str]]:
    """The stream's content: each shard's files, wherever they lie."""
    return [{kind: ref.sha256 for kind, ref in shard.files.items()} for shard in manifest.shards]


def filmed_at_once(path: Path, config: HarvestConfig, wanted: list[str], place: Path) -> list[dict[str, str]]:
    """The content of a stream that is filmed at once, in the order `wanted`."""
    with StreamWriter(place, "film", config.replay) as writer:
        for take in replay(path, "film", config.replay, commits=wanted):
            writer.append(take)
    return sums(writer.manifest)


def stopping_after(takes: int) -> Callable[[], bool]:
    """A `stop` that is true once so many takes were asked for, more or less."""
    answers = iter([False] * takes * 2)
    return lambda: next(answers, True)


@pytest.mark.parametrize("seed", range(100, 106))
def test_whatever_the_shape_film_is_as_at_once_in_its_order_or_replaced_for_a_reason(
    tmp_path: Path, config: HarvestConfig, seed: int
) -> None:
    shapes, rng = Shapes(tmp_path / "film", seed), random.Random(seed)
    before: list[str] = []
    for step, head in enumerate(shapes.grow(6)):
        wanted, lost = shapes.worked(head), set(before) - shapes.worked(head)
        news = wanted - set(before)
        if before and news and before[0] in lost:
            film = stream(config)
            with pytest.raises(SourceError, match="--name NAME"):
                harvest_repository(str(shapes.path), config)
            assert stream(config) == film
            continue
        if rng.random() < 0.5:  # interrupted, and gone on with
            with suppress(Stopped):  # before anything of it was filmed
                harvest_repository(str(shapes.path), config, stop=stopping_after(rng.randint(0, 3)))
        outcome = harvest_repository(str(shapes.path), config)
        after = commits(config)
        assert outcome.status == "complete"
        if news and lost:
            assert (outcome.replaced, after) == (True, order(shapes.path))
            assert "no longer in HEAD's history" in outcome.reason
        elif news:
            assert (outcome.replaced, outcome.reason, after[: len(before)]) == (False, "", before)
            assert set(after) == wanted
        else:
            assert (outcome.replaced, bool(outcome.reason), after) == (False, bool(lost), before)
        if set(after) == wanted:
            assert sums(stream(config)) == filmed_at_once(shapes.path, config, after, tmp_path / f"once{step}")
        before = after


class TestHeadMoves:
    """HEAD goes back, sideways, or over a merge."""

    def test_back_to_an_ancestor_keeps_the_film_to_the_byte(
        self, repository: Repository, config: HarvestConfig
    ) -> None:
        harvest_repository(str(repository.path), config)
        warehouse.build(config.warehouse)
        before = stream(config)
        root, second = commits(config)
        repository.move(root)
        for outcome in (
            harvest_repository(str(repository.path), config),
            *(finished([str(repository.path)], config) or ()),
        ):
            assert (outcome.status, outcome.replaced, outcome.episodes, outcome.new_episodes) == (
                "complete",
                False,
                2,
                0,
            )
            assert (
                outcome.reason
                == "HEAD's history has 1 of the 2 commits filmed before and no other one: the film is kept"
            )
        assert stream(config) == before
        repository.move(second)
        repository.commit("Third", {"a": b"three\n"})
        assert harvest_repository(str(repository.path), config).new_episodes == 1

    def test_back_to_where_there_was_no_licence_the_licence_stays(self, tmp_path: Path, config: HarvestConfig) -> None:
        r = Repository(tmp_path / "film")
        root = r.commit("Root", {"a": b"1\n"})
        r.commit("License it", {"LICENSE": (Path(__file__).parents[2] / "LICENSE").read_bytes()})
        harvest_repository(str(r.path), config)
        before = stream(config)
        r.move(root)
        harvest_repository(str(r.path), config)
        assert (before.licence, stream(config)) == ("MIT", before)

    def test_back_and_on_from_there_replaces_it_and_names_the_lost_commit(
        self, repository: Repository, config: HarvestConfig
    ) -> None:
        harvest_repository(str(repository.path), config)
        root, second = commits(config)
        repository.commit("Another second", {"b": b"1\n"}, parents=[root])
        outcome = harvest_repository(str(repository.path), config)
        assert (outcome.replaced, outcome.episodes) == (True, 2)
        assert f"commit {second[:12]}, filmed before, is no longer in HEAD's history" in outcome.reason

    def test_a_branch_and_back_while_the_replacement_was_under_way_keeps_the_film(
        self, repository: Repository, config: HarvestConfig
    ) -> None:
        harvest_repository(str(repository.path), config)
        before = stream(config)
        root, second = commits(config)
        repository.commit("Branch", {"b": b"1\n"}, parents=[root])
        repository.commit("More", {"b": b"2\n"})
        stopped = harvest_repository(str(repository.path), config, stop=stopping_after(1))
        assert (stopped.status, stopped.replaced) == ("partial", True)
        assert stream(config) == before
        repository.move(second)
        outcome = harvest_repository(str(repository.path), config)
        assert (outcome.status, outcome.replaced, outcome.new_episodes) == ("complete", False, 0)
        assert stream(config) == before
        assert not (Path(config.warehouse) / stream_folder("film") / PENDING).exists()

    @pytest.mark.parametrize("more", [False, True])
    def test_a_foxtrot_merge_loses_nothing_and_replaces_nothing(
        self, repository: Repository, config: HarvestConfig, more: bool
    ) -> None:
        harvest_repository(str(repository.path), config)
        warehouse.build(config.warehouse)
        root, second = commits(config)
        local = repository.commit("Local", {"l": b"1\n"}, parents=[root])
        wanted = [root, second, local]
        repository.commit("Merge", {"a": b"two\n"}, parents=[local, second])
        if more:
            wanted.append(repository.commit("After", {"a": b"three\n"}))
        assert finished([str(repository.path)], config) is None
        outcome = harvest_repository(str(repository.path), config)
        assert (outcome.replaced, outcome.new_episodes, commits(config)) == (False, len(wanted) - 2, wanted)
        again = harvest_repository(str(repository.path), config)
        assert (again.new_episodes, commits(config)) == (0, wanted)

    def test_a_root_merged_in_front_of_the_filmed_one_changes_no_family(
        self, repository: Repository, config: HarvestConfig
    ) -> None:
        harvest_repository(str(repository.path), config)
        root, second = commits(config)
        other = repository.commit("Other root", {"o": b"1\n"}, parents=[])
        repository.commit("Merge", {"a": b"two\n"}, parents=[other, second])
        assert harvest_repository(str(repository.path), config).new_episodes == 1
        assert (commits(config), stream(config).family) == ([root, second, other], root)


class TestMissing:
    """A clone that lacked file contents gets them."""

    @pytest.fixture
    def partial(self, repository: Repository, tmp_path: Path) -> Path:
        repository.git("config", "uploadpack.allowFilter", "true")
        place = tmp_path / "partial" / "film"
        clone = ["git", "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{repository.path}", place]
        subprocess.run(clone, check=True)
        return place

    @staticmethod
    def fetch(place: Path, *more: str) -> None:
        subprocess.run(["git", "-C", place, "fetch", "-q", "--refetch", "--no-filter", "origin", *more], check=True)

    def test_a_completed_clone_is_filmed(self, partial: Path, repository: Repository, config: HarvestConfig) -> None:
        first = harvest_repository(str(partial), config)
        assert (first.steps, first.drops) == (0, {"commit missing": 2})
        warehouse.build(config.warehouse)
        again = harvest_repository(str(partial), config)  # nothing has come
        assert (again.replaced, again.new_episodes) == (False, 0)
        self.fetch(partial)
        assert finished([str(partial)], config) is None
        outcome = harvest_repository(str(partial), config)
        assert (outcome.replaced, outcome.new_episodes) == (True, 2)
        assert outcome.reason.startswith("file contents that this clone lacked before have come")
        other = config.model_copy(update={"warehouse": config.warehouse + "2"})
        harvest_repository(str(repository.path), other)
        assert sums(stream(config)) == sums(stream(other))
        assert harvest_repository(str(partial), config).new_episodes == 0

    def test_one_content_more_is_enough_and_the_rest_may_come_later(
        self, partial: Path, repository: Repository, config: HarvestConfig
    ) -> None:
        repository.commit("Third", {"b": b"three\n"})
        subprocess.run(["git", "-C", partial, "fetch", "-q", "origin"], check=True)
        subprocess.run(["git", "-C", partial, "update-ref", "refs/heads/main", "origin/main"], check=True)
        harvest_repository(str(partial), config)
        root = commits(config)[0]
        subprocess.run(["git", "-C", partial, "checkout", "-q", root], check=True)  # brings what it needs
        subprocess.run(["git", "-C", partial, "checkout", "-q", "main", "--no-guess"], check=False)
        outcome = harvest_repository(str(partial), config)
        assert outcome.replaced
        assert outcome.steps > 0

    def test_growth_does_not_hide_that_contents_came(
        self, partial: Path, repository: Repository, config: HarvestConfig
    ) -> None:
        harvest_repository(str(partial), config)
        repository.commit("Third", {"b": b"three\n"})
        self.fetch(partial)
        subprocess.run(["git", "-C", partial, "update-ref", "refs/heads/main", "origin/main"], check=True)
        outcome = harvest_repository(str(partial), config)
        assert (outcome.replaced, outcome.new_episodes, outcome.drops) == (True, 3, {})

    def test_interrupted_while_it_is_filmed_anew_it_goes_on(
        self, partial: Path, repository: Repository, config: HarvestConfig, tmp_path: Path
    ) -> None:
        harvest_repository(str(partial), config)
        self.fetch(partial)
        stopped = harvest_repository(str(partial), config, stop=stopping_after(1))
        assert (stopped.status, stopped.replaced) == ("partial", True)
        outcome = harvest_repository(str(partial), config)
        assert (outcome.status, outcome.replaced) == ("complete", True)
        assert "lacked before" in outcome.reason
        wanted = order(repository.path)
        assert sums(stream(config)) == filmed_at_once(repository.path, config, wanted, tmp_path / "once")

    def test_moved_back_it_is_kept_though_contents_came(self, partial: Path, config: HarvestConfig) -> None:
        harvest_repository(str(partial), config)
        root = commits(config)[0]
        self.fetch(partial)
        (partial / ".git" / "HEAD").write_text(root + "\n")
        outcome = harvest_repository(str(partial), config)
        assert (outcome.replaced, outcome.episodes) == (False, 2)


def both(*outcomes: Outcome) -> Iterator[tuple[str, int, bool]]:
    """What matters of outcomes in a test of names."""
    for outcome in outcomes:
        yield outcome.status, outcome.new_episodes, outcome.replaced


class TestNames:
    """One name, several repositories."""

    @pytest.fixture
    def stranger(self, tmp_path: Path) -> Repository:
        made = Repository(tmp_path / "elsewhere" / "film")
        made.commit("Another root", {"o": b"1\n"})
        return made

    def test_another_history_is_refused_and_both_are_named(
        self, repository: Repository, stranger: Repository, config: HarvestConfig
    ) -> None:
        harvest_repository(str(repository.path), config)
        before = stream(config)
        with pytest.raises(SourceError) as refused:
            harvest_repository(str(stranger.path), config)
        text = str(refused.value)
        assert text.isprintable()
        roots = (before.family or "", stranger.head or "")
        assert all(
            part in text for part in (str(stranger.path), "'film'", *(root[:12] for root in roots), "--name NAME")
        )
        assert stream(config) == before
        assert harvest_repository(str(repository.path), config).new_episodes == 0

    def test_under_a_name_of_its_own_both_are_kept(
        self, repository: Repository, stranger: Repository, config: HarvestConfig
    ) -> None:
        named = config.model_copy(update={"names": {str(stranger.path): "other/film"}})
        harvest_repository(str(repository.path), named)
        assert harvest_repository(str(stranger.path), named).repo_id == "other/film"
        assert (len(commits(config)), commits(config, "other/film")) == (2, [stranger.head])
        stranger.commit("More", {"o": b"2\n"})
        assert list(both(harvest_repository(str(stranger.path), named))) == [("complete", 1, False)]

    def test_a_new_root_is_refused_until_it_is_asked_for(self, repository: Repository, config: HarvestConfig) -> None:
        harvest_repository(str(repository.path), config)
        root = repository.commit("New root", {"a": b"1\n"}, parents=[])
        with pytest.raises(SourceError, match="--replace film"):
            harvest_repository(str(repository.path), config)
        asked = config.model_copy(update={"replace": ("film",)})
        outcome = harvest_repository(str(repository.path), asked)
        assert (outcome.replaced, outcome.reason.startswith("it takes the place of another history's film")) == (
            True,
            True,
        )
        assert (commits(config), stream(config).family) == ([root], root)
        assert list(both(harvest_repository(str(repository.path), asked))) == [("complete", 0, False)]

    def test_a_moved_clone_goes_on(self, repository: Repository, config: HarvestConfig, tmp_path: Path) -> None:
        harvest_repository(str(repository.path), config)
        repository.commit("Third", {"a": b"three\n"})
        (tmp_path / "moved").mkdir()
        shutil.move(repository.path, tmp_path / "moved" / "film")
        assert list(both(harvest_repository(str(tmp_path / "moved" / "film"), config))) == [("complete", 1, False)]

    def test_a_fork_of_the_same_root_replaces_it_only_with_a_word(
        self, repository: Repository, config: HarvestConfig, tmp_path: Path
    ) -> None:
        harvest_repository(str(repository.path), config)
        fork = Repository(tmp_path / "fork" / "film")
        root = fork.commit("Root", {"a": b"one\n"})
        assert root == commits(config)[0]
        assert list(both(harvest_repository(str(fork.path), config))) == [("complete", 0, False)]  # nothing of its own
        fork.commit("Parted", {"f": b"1\n"})
        outcome = harvest_repository(str(fork.path), config)
        assert (outcome.replaced, "no longer in HEAD's history" in outcome.reason) == (True, True)

    def test_a_shared_library_merged_into_both_does_not_make_them_one(
        self, config: HarvestConfig, tmp_path: Path
    ) -> None:
        made = []
        for name in ("one", "two"):
            r = Repository(tmp_path / name / "film")
            library = r.commit("Library", {"lib": b"1\n"}, parents=[])
            own = r.commit(f"Root of {name}", {"a": b"1\n"}, parents=[])
            r.commit("Merge", {"lib": b"1\n"}, parents=[own, library])
            made.append(r)
        harvest_repository(str(made[0].path), config)
        with pytest.raises(SourceError, match="--name"):
            harvest_repository(str(made[1].path), config)

    def test_an_empty_repository_that_is_filled_later(self, tmp_path: Path, config: HarvestConfig) -> None:
        r = Repository(tmp_path / "film")
        with pytest.raises(SourceError, match="no commits"):
            harvest_repository(str(r.path), config)
        r.commit("Root", {"a": b"1\n"})
        assert list(both(harvest_repository(str(r.path), config))) == [("complete", 1, False)]

    @pytest.mark.parametrize(("one", "two"), [("🚀", "..."), ("a b", "a-b"), ("x.git", "x"), ("ß?", "ß!")])
    def test_names_that_become_one(self, tmp_path: Path, config: HarvestConfig, one: str, two: str) -> None:
        first, second = Repository(tmp_path / "1" / one), Repository(tmp_path / "2" / two)
        first.commit("First", {"a": b"1\n"})
        second.commit("Second", {"b": b"1\n"})
        repo_id = harvest_repository(str(first.path), config).repo_id
        with pytest.raises(SourceError, match="--name NAME"):
            harvest_repository(str(second.path), config)
        assert commits(config, repo_id) == [first.head]

    def test_another_settings_refusal_does_not_come_before_another_historys(
        self, repository: Repository, stranger: Repository, config: HarvestConfig
    ) -> None:
        harvest_repository(str(repository.path), config)
        other = config.model_copy(update={"replay": config.replay.model_copy(update={"rows": 48})})
        with pytest.raises(SourceError, match="--name NAME"):
            harvest_repository(str(stranger.path), other)

    def test_a_strangers_look_does_not_end_a_replacement_under_way(
        self, repository: Repository, stranger: Repository, config: HarvestConfig
    ) -> None:
        harvest_repository(str(repository.path), config)
        root, _ = commits(config)
        repository.commit("Another second", {"b": b"1\n"}, parents=[root])
        repository.commit("Third", {"b": b"2\n"})
        harvest_repository(str(repository.path), config, stop=stopping_after(1))
        pending = (Path(config.warehouse) / stream_folder("film") / PENDING).read_bytes()
        with pytest.raises(SourceError, match="--name NAME"):
            harvest_repository(str(stranger.path), config)
        assert (Path(config.warehouse) / stream_folder("film") / PENDING).read_bytes() == pending
