"""The kill test itself, tiny: two kills, nothing lost."""

import json

from benchmarks.crash import main, make_history


def test_killed_harvests_end_like_an_undisturbed_one(capfd):
    assert main(["--kills", "2", "--commits", "8", "--json"]) == 0
    figures = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert figures["kills"] >= 2
    assert (figures["lost"], figures["duplicated"], figures["identical"]) == (0, 0, True)


def test_the_same_seed_makes_the_same_history(tmp_path):
    first, second = (make_history(tmp_path / name, 3, 5) for name in ("a.git", "b.git"))
    assert (first / "refs/heads/main").read_text() == (second / "refs/heads/main").read_text()
