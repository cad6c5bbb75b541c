"""A page of a harvest: what it says is what became of the repositories; and the same as Markdown."""

import pytest

from flows import status
from flows.harvest import configured, main, parser
from flows.status import SHOWN, duration, headline, status_markdown, write_status_page
from pipeline.harvester import Progress
from pipeline.pool.overview import Failure, Overview
from schema.errors import ConfigError, WarehouseError
from tests.browser import Browser
from tests.repositories import Repository

HOSTILE = "<script>window.owned = 1</script>|`x`"
NOW = Overview(
    seconds=3700.0, states={"not begun": 7, "running": 2, "complete": 90, "failed": 1}, steps=74_000_000,
    rate=20_000.0, rate_now=123.4, seconds_left=300.0, failures=(Failure("failed", HOSTILE, 1, HOSTILE),),
    drops={"file binary": 1200}, running=((HOSTILE, Progress(1, 4, 10)), ("b", Progress(0, 0, 0))),
)  # fmt: skip


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "film")
    made.commit("Root", {"a.py": b"one\ntwo\n", "b.bin": b"\0"})
    return made


def test_the_headline_says_how_far_how_fast_and_how_long_still():
    assert headline(NOW) == (
        "91 of 100 repositories, 74,000,000 steps, 20,000 steps/s (123 in the last minute), running for 1 h 1 min, "
        "about 5 min left"
    )
    assert headline(NOW._replace(seconds_left=None)).endswith("time left not known yet")
    assert headline(NOW, last=True).endswith("20,000 steps/s; ended after 1 h 1 min")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min 59 s"),
        (3600, "1 h"),
        (90_061, "1 d 1 h"),
        (86_460, "1 d"),
    ],
)
def test_a_duration_is_in_its_two_largest_units(seconds, words):
    assert duration(seconds) == words


def test_the_page_shows_it_and_nothing_of_a_repositorys_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(status, "REFRESH_SECONDS", 3600.0)  # else it may reload while it is asked
    target = tmp_path / "page.html"
    write_status_page(NOW, "film", target)
    with Browser(tmp_path) as browser:
        tab = browser.open(target)
        text = tab.evaluate("document.body.innerText")
        for words in ("about 5 min left", "complete\t90", f"failed\t{HOSTILE}\t1\t{HOSTILE}", "file binary\t1,200"):
            assert words in text
        assert tab.evaluate("document.querySelector('progress').value") == 0.9125
        assert tab.evaluate("window.owned") is None
        assert tab.evaluate("document.querySelector('meta[http-equiv=refresh]').content") == "3600"
        assert tab.errors() == []
        write_status_page(NOW, "film", target, last=True)
        tab = browser.open(target)
        assert "ended after 1 h 1 min" in tab.evaluate("document.body.innerText")
        assert tab.evaluate("document.querySelectorAll('meta[http-equiv=refresh]').length") == 0


def test_the_markdown_has_the_same_tables():
    text = status_markdown(NOW)
    assert text.startswith("**91 of 100 repositories")
    assert "| complete | 90 |" in text
    assert "| failed | \\<script>window.owned = 1\\</script>\\|\\`x\\` | 1 |" in text


def test_long_tables_are_cut_and_say_so(tmp_path):
    many = NOW._replace(running=tuple((f"r{n}", Progress(1, 2, 3)) for n in range(SHOWN + 7)))
    write_status_page(many, "film", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert f"<td>r{SHOWN - 1}</td>" in text
    assert f"<td>r{SHOWN}</td>" not in text
    assert "and 7 more" in text
    assert "and 7 more" in status_markdown(many)


def test_a_harvest_keeps_its_page_to_the_end_and_one_with_nothing_to_do_writes_it_too(repository, tmp_path, capsys):
    page = tmp_path / "harvest.html"
    bad = tmp_path / "bad"
    bad.mkdir()
    command = ["--warehouse", str(tmp_path / "w"), "--html", str(page), "--runner", "threads", "--repo"]
    assert main([*command, str(repository.path), "--repo", str(bad)]) == 2
    text = page.read_text()
    assert "2 of 2 repositories" in text
    assert "ended after" in text
    assert 'http-equiv="refresh"' not in text
    assert "<td>failed</td>" in text
    assert "<td>file binary</td>" in text
    page.unlink()
    assert main([*command, str(repository.path)]) == 0
    assert "1 of 1 repositories, 0 steps" in page.read_text()
    capsys.readouterr()


def test_a_page_that_cannot_be_written_is_one_line_before_any_work(repository, tmp_path, capsys):
    with pytest.raises(ConfigError, match=r"a page's name ends in \.html, for example harvest\.html"):
        configured(parser().parse_args(["--html", "page.txt"]))
    with pytest.raises(WarehouseError, match=r"page\.html: cannot be written"):
        write_status_page(NOW, "film", tmp_path / "none" / "page.html")
    command = ["--warehouse", str(tmp_path / "w"), "--html", str(tmp_path / "none" / "page.html")]
    assert main([*command, "--repo", str(repository.path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "w" / "shards").exists()
