"""How a command line ends where something is wrong."""

import pytest

from schema.errors import ConfigError, GitreelError, clear_errors


@pytest.mark.parametrize("error", [ConfigError("--x 1: too many; write --x 2"), GitreelError("lost")])
def test_an_error_of_ours_is_one_line_and_exit_code_2(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    @clear_errors
    def main() -> int:
        raise error

    assert main() == 2
    assert capsys.readouterr() == ("", f"gitreel: {error}\n")


def test_an_interruption_is_one_line_and_exit_code_130(capsys: pytest.CaptureFixture[str]) -> None:
    @clear_errors
    def main() -> int:
        raise KeyboardInterrupt

    assert main() == 130
    assert capsys.readouterr() == ("", "gitreel: interrupted; run the same command again\n")


def test_any_other_end_is_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    @clear_errors
    def main(code: int, *, broken: bool = False) -> int:
        """What it does."""
        if broken:
            raise KeyError(code)
        return code

    assert (main(0), main(3), main.__name__, main.__doc__) == (0, 3, "main", "What it does.")
    with pytest.raises(KeyError):
        main(1, broken=True)
    assert capsys.readouterr().err == ""


def test_a_name_with_control_characters_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    @clear_errors
    def main() -> int:
        raise GitreelError("repository a\n\x1b[31mb: gone")

    assert main() == 2
    assert capsys.readouterr().err == "gitreel: repository a\\n\\x1b[31mb: gone\n"
