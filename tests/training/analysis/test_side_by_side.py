"""Rollouts beside what was typed: the same key on, both films whole, the model's as a rollout has it."""

from pathlib import Path
from typing import Any

import pytest

from schema.pages.screens import row_data
from schema.screen import Screen
from tests.browser import Browser
from tests.training.recorded import REPO, recorded_model
from tests.training.runs import settings
from tests.training.warehouse import write_warehouse
from training.analysis.page import write_run_page
from training.analysis.rollout import load_episode, rollout
from training.analysis.side_by_side import LEAD, side_by_side
from training.data.splits import Segment
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.loop.run import fit

WINDOW = 16


@pytest.fixture(scope="module")
def whole(history_reader: FilmReader) -> Segment:
    return Segment(0, 0, history_reader.lengths[0])


def screens_of(film: dict[str, Any]) -> list[tuple[list[Any], int, int]]:
    """Every screen of a side: its rows as they are drawn, and the cursor."""
    changes, rows, found = iter(film["screens"]["changes"]), list[int](), []
    cursors = film["screens"]["cursors"]
    for at in range(len(cursors) // 2):
        for _ in range(next(changes)):
            place, number = next(changes), next(changes)
            rows += [-1] * (place + 1 - len(rows))
            rows[place] = number
        found.append(([film["screens"]["rows"][number] for number in rows], cursors[2 * at], cursors[2 * at + 1]))
    return found


def drawn(screen: Screen) -> tuple[list[Any], int, int]:
    return [row_data(*row) for row in zip(screen.texts, screen.runs, strict=True)], *screen[2:]


@pytest.mark.parametrize("backbone", ["lstm", "learner", "transformer"])
def test_the_models_keys_are_those_of_a_rollout_from_the_middle_on(
    history_reader: FilmReader, whole: Segment, backbone: str
) -> None:
    model = recorded_model(backbone)
    pairs = list(side_by_side({backbone: model}, history_reader, [whole], WINDOW))
    assert len(pairs) == 3
    for pair in pairs:
        subject = pair["title"].rpartition(": ")[2]
        ordinal = ["Start", "Say more", "Many", "Say less", "Drop it"].index(subject)
        episode = load_episode(history_reader, REPO, ordinal)
        given = len(episode.keys) // 2
        report, env = rollout(model, history_reader, episode, warm=WINDOW, given=given)
        assert pair["given"] == min(given, LEAD)
        assert pair["own"]["keys"][pair["given"] :] == report["played"]
        own, recorded = screens_of(pair["own"]), screens_of(pair["recorded"])
        assert own[-1] == drawn(env.screen)
        assert recorded[-1] == drawn(episode.final)
        assert len(recorded) == len(pair["recorded"]["keys"]) + 1 == len(episode.keys) - given + pair["given"] + 1
        assert own[: pair["given"] + 1] == recorded[: pair["given"] + 1]
        assert f"{given:,} keys given" in pair["words"]
        assert report["reason"] in pair["words"]


def test_baselines_do_not_act_and_every_other_model_does(history_reader: FilmReader, whole: Segment) -> None:
    model = recorded_model()
    names = ("lstm", "frame_only", "two/lstm", "two/keys_only")
    titles = [pair["title"] for pair in side_by_side(dict.fromkeys(names, model), history_reader, [whole], WINDOW)]
    assert len(titles) == len(set(titles)) == 6
    assert {title.split(",")[0] for title in titles} == {"lstm", "two/lstm"}


def test_commits_that_do_not_lie_in_the_held_out_steps_are_not_shown(history_reader: FilmReader) -> None:
    episode = load_episode(history_reader, REPO, 1)
    first, steps = episode.first_step, len(episode.keys)
    model = {"lstm": recorded_model()}
    [pair] = side_by_side(model, history_reader, [Segment(0, first, first + steps)], WINDOW)
    assert pair["title"].endswith(f"{episode.commit[:12]}: Say more")
    for start, stop in ((first + 1, first + steps), (first, first + steps - 1), (first, first + 3)):
        assert list(side_by_side(model, history_reader, [Segment(0, start, stop)], WINDOW)) == []
    assert list(side_by_side(model, history_reader, [], WINDOW)) == []


def test_film_that_does_not_say_where_its_commits_are_has_no_rollouts(tmp_path: Path) -> None:
    history_reader = FilmReader(Warehouse(write_warehouse(tmp_path, {"a/one": 300})))
    assert list(side_by_side({"lstm": recorded_model()}, history_reader, [Segment(0, 0, 300)], WINDOW)) == []


def test_the_page_shows_both_sides_and_goes_to_any_key(history_root: Path, tmp_path: Path) -> None:
    fit(settings(history_root, tmp_path / "run", baseline=False))
    write_run_page([tmp_path / "run"], tmp_path / "page.html", split="train", windows=2)
    with Browser(tmp_path) as browser:
        tab = browser.open(tmp_path / "page.html")
        pairs = tab.evaluate("pageData('pair-data')")
        assert tab.evaluate("document.querySelectorAll('.pair').length") == len(pairs) >= 1
        given, screens = pairs[0]["given"], screens_of(pairs[0]["own"])
        tab.evaluate(f"document.querySelectorAll('.pair .side')[1].querySelectorAll('button')[{given}].click()")
        shown = tab.evaluate(
            "[...document.querySelectorAll('.pair .screen')[1].children].map(row => row.textContent.trimEnd())"
        )
        texts = [row if isinstance(row, str) else "".join(row[0]) for row in screens[given + 1][0]]
        assert shown == [text.rstrip() for text in texts]
        marks = tab.evaluate(
            "[...document.querySelectorAll('.pair .side')[1].querySelectorAll('button')].map(b => b.className)"
        )
        same = [a == b for a, b in zip(pairs[0]["own"]["keys"], pairs[0]["recorded"]["keys"], strict=False)]
        path = same.index(False) if False in same else len(same)
        assert marks == ["given"] * given + ["on"] * (path - given) + ["off"] * (len(marks) - path)
        assert tab.errors() == []
