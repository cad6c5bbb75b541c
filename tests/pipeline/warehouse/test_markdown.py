"""Text of anybody's in cards: what is read out of Markdown and YAML is what was put in, and it forms nothing new."""

from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

from pipeline.shards.store import Store
from pipeline.shards.writer import StreamWriter
from pipeline.warehouse.__main__ import main
from pipeline.warehouse.build import build
from pipeline.warehouse.dataset_card import card
from pipeline.warehouse.markdown import Markdown, markdown_table, yaml_list
from schema.config import ReplayConfig
from schema.errors import one_line
from tests.takes import make_takes

TEXTS = (
    "plain", "a|b", "|", "||", "\\", "a\\|b", "\\\\|", "a\\", "`code`", "``", "*bold*", "**", "[link](https://x)",
    "[a]", "![i](x)", "<b>", "<script>alert(1)</script>", "a\nb | c", "\t", "\x1b[31m", "漢字 é", "e\u0301", "a  b",
    "-", "---", ":--", "# head", "> quote", "1. one", "~~gone~~", "&amp;", "&#124;", "&a b;", "_a_ __b__ a_b_c",
    "\u202ertl",
)  # fmt: skip


def cells(text: str) -> list[list[str]]:
    """The text of every cell of the tables in it, as a reader of Markdown has it; nothing in a cell may be markup."""
    found: list[list[str]] = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        if token.type == "tr_open":
            found.append([])
        if token.type == "inline" and token.level == 4:
            kinds = {child.type for child in token.children or []}
            assert kinds <= {"text", "text_special"}, (token.content, kinds)
            found[-1].append("".join(child.content for child in token.children or []))
    return found


@pytest.mark.parametrize("text", TEXTS)
def test_a_cell_shows_the_text_and_stays_one_cell(text: str) -> None:
    [head, row] = cells(markdown_table(["a", "b", "c"], [[text, 1234, None]]))
    assert head == ["a", "b", "c"]
    assert row == [one_line(text).strip(), "1,234", ""]


@pytest.mark.parametrize("text", TEXTS)
def test_no_text_changes_the_number_of_cells_or_rows(text: str) -> None:
    lines = markdown_table(["a", "b"], [[text, text], ["x", "y"]])
    assert lines.count("\n") == 3
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(lines)
    assert [token.type for token in tokens].count("td_open") == 4


def test_markdown_of_our_own_stays_as_it_is() -> None:
    assert markdown_table(["a"], [[Markdown("`b`")]]).splitlines()[-1] == "| `b` |"


def test_yaml_reads_back_every_word() -> None:
    words = [*TEXTS, "mit", "apache-2.0", "0bsd", "no", "null", "1", "1.0", "a: b", "#x", "- y", "'", '"', "", " "]
    assert yaml.safe_load(yaml_list(words)) == words
    assert yaml_list(["mit", "apache-2.0"]) == "- mit\n- apache-2.0"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A warehouse whose streams name licences and sources as nobody should."""
    root = tmp_path / "w"
    for number, (name, licence) in enumerate(
        {"a|b/c|d": "MIT | GPL", "x/`y`": "no\n---\n# owned", "z/[z](u)": "\\|"}.items()
    ):
        with StreamWriter(
            root, name, ReplayConfig(rows=6, cols=24), source=f"https://h/{name}", licence=licence
        ) as writer:
            for take in make_takes(4, repo_id=name, seed=number):
                writer.append(take)
    build(root)
    return root


def test_an_export_of_hostile_names_and_licences_says_what_they_are(hostile: Path, tmp_path: Path) -> None:
    assert main(["export", str(tmp_path / "out"), "--warehouse", str(hostile)]) == 0
    listed = cells((tmp_path / "out/LICENCES.md").read_text())
    assert sorted(row[:2] for row in listed[1:]) == [
        ["a|b/c|d", "MIT | GPL"], ["x/`y`", "no\\n---\\n# owned"], ["z/[z](u)", "\\|"],
    ]  # fmt: skip
    front = (tmp_path / "out/README.md").read_text().split("---\n")[1]
    assert sorted(yaml.safe_load(front)["license"]) == ["\\|", "mit | gpl", "no\n---\n# owned"]


def test_a_card_of_hostile_names_and_licences_says_what_they_are(hostile: Path) -> None:
    text = card(Store(hostile))
    assert ["a|b/c|d", "https://h/a|b/c|d", "MIT | GPL"] in [row[:3] for row in cells(text.split("## Splits")[0])]
    assert sorted(yaml.safe_load(text.split("---\n")[1])["license"]) == ["\\|", "mit | gpl", "no\n---\n# owned"]


def test_an_error_of_the_warehouses_program_is_one_line_like_any_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stats", str(tmp_path / "none\nwhere")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("gitreel: ")
    assert said.count("\n") == 1
    assert "none\\nwhere" in said
