"""What a person sees."""

import io

import pytest
from rich.console import Console

from flows.console import bars, closing_table, drops_text, reasons, verdict
from pipeline.harvester import Outcome, Progress
from pipeline.pool.status import StatusFolder

FILMED = Outcome(
    repo_id="a/b", status="complete", episodes=3, steps=1000, bytes=7000, new_episodes=3, new_steps=1000,
    drops={"file binary": 2, "commit bot": 9}, seconds=2.0,
)  # fmt: skip
FAILED = Outcome(repo_id="c", status="failed", reason="repository 'c': no such folder")


def drawn(renderable):
    console = Console(file=io.StringIO(), width=120)
    console.print(renderable)
    return console.file.getvalue()


def test_the_table_holds_bytes_a_frame_and_steps_a_second():
    text = drawn(closing_table([FILMED], 2.0))
    assert "7.00" in text
    assert "500" in text


def test_several_repositories_have_a_sum():
    assert "2 repositories" in drawn(closing_table([FILMED, FAILED], 2.0))


def test_names_of_usual_length_have_room_on_a_narrow_screen():
    long = FILMED.model_copy(
        update={"repo_id": "kelseyhightower/envconfig", "steps": 12_345_678, "new_steps": 9_876_543}
    )
    console = Console(file=io.StringIO(), width=80)
    console.print(closing_table([long], 1.0))
    assert "kelseyhightower/envconfig" in console.file.getvalue()
    assert "status" not in console.file.getvalue()


def test_one_that_is_not_complete_brings_the_status():
    text = drawn(closing_table([FILMED, FILMED.model_copy(update={"status": "refused"})], 2.0))
    assert "1 complete, 1 refused" in text


def test_reasons_are_counted():
    assert drops_text({"file binary": 2, "commit bot": 9}) == "commit bot 9, file binary 2"
    assert reasons([FILMED, FAILED])[1].endswith("no such folder")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"new_episodes": 0, "new_steps": 0}, "Nothing to do"),
        ({}, "3 new episodes"),
        ({"replaced": True}, "Film replaced: a/b."),
        ({"status": "partial"}, "run the same command again"),
    ],
)
def test_the_verdict(change, words):
    assert words in verdict([FILMED.model_copy(update=change)])


def test_why_film_is_replaced_or_kept_is_a_line_of_its_own():
    changed = FILMED.model_copy(update={"reason": "commit 0123456789ab is no longer in HEAD's history"})
    assert reasons([changed]) == [
        "a/b: commit 0123456789ab is no longer in HEAD's history",
        "dropped of a/b: commit bot 9, file binary 2",
    ]


def test_a_replacement_under_way_has_replaced_nothing():
    assert "replaced" not in verdict([FILMED.model_copy(update={"replaced": True, "status": "partial"})])


def test_a_name_with_markup_is_shown_as_it_is():
    assert "[red]x" in drawn(closing_table([FILMED.model_copy(update={"repo_id": "[red]x"})], 1.0))


def test_bars_follow_the_status_folder(tmp_path):
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    status = StatusFolder(str(tmp_path))
    with bars(console, ["a/b"], status):
        status.report(0, Progress(5, 5, 100))
    assert "5/5" in console.file.getvalue()


def test_a_status_folder_that_cannot_be_reached_does_not_disturb(tmp_path):
    status = StatusFolder(str(tmp_path / "none"))
    status.report(0, Progress(1, 2, 3))
    status.stop()
    assert status.read(0) is None
    assert not status.stopped
