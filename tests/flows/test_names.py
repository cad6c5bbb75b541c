"""What a flow run is called."""

import pytest

from flows.names import LONGEST, github_name, local_name
from pipeline.crawl.search import DEFAULT, GitHubQuery


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"search": "lume"}, "github: search=lume"),
        ({"languages": ["python", "c"], "min_stars": 0}, "github: languages=python,c min_stars=0"),
        ({"repositories": ["o/one"]}, "github: o/one"),
        ({"repositories": ["https://github.com/o/one.git", "o/two", "o/three"]}, "github: o/one, o/two and o/three"),
        ({"repositories": ["o/a", "o/b", "o/c", "o/d", "o/e"]}, "github: o/a, o/b and 3 more"),
        ({"organisations": ["pallets"], "users": ["rxi"]}, "github: pallets/* and rxi/*"),
        ({"repositories_file": "/data/list.txt", "search": ""}, "github: list list.txt"),
        ({"query": GitHubQuery.model_validate({"search": "x", "forks": True})}, "github: search=x"),
        ({"query": {"users": ["rxi"]}, "search": "lume"}, "github: search=lume rxi/*"),
        ({}, f"github: {DEFAULT[0]}, {DEFAULT[1]} and {len(DEFAULT) - 2} more"),
        ({"search": "[red]\n\x1b]x"}, "github: search=(red) )x"),
    ],
)
def test_a_github_run_is_called_by_what_it_asks_for(parameters, name):
    assert github_name({"limit": 100, "warehouse": "w"} | parameters) == name


def test_a_local_run_is_called_by_its_repositories(tmp_path, monkeypatch):
    for name in ("click", "flask", "jinja", "werkzeug", "quart"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "click")
    folders = [str(tmp_path / name) for name in ("click", "flask", "jinja", "werkzeug", "quart")]
    assert local_name({"repositories": folders}) == "local: click, flask and 3 more"
    assert local_name({"repositories": folders[:2]}) == "local: click and flask"
    assert local_name({"repositories": None}) == "local: click"
    assert local_name({"repositories": ["https://github.com/pallets/click"]}) == "local: pallets/click"
    assert local_name({"repositories": ["/no/such/folder"]}) == "local: folder"


def test_no_name_holds_credentials_or_is_endless():
    assert "secret" not in local_name({"repositories": ["https://user:secret@github.com/o/name"]})
    assert "secret" not in github_name({"repositories": ["https://user:secret@github.com/o/name"]})
    assert len(github_name({"search": "x" * 256})) == LONGEST
