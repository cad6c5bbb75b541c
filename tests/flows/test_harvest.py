"""The command: flags, bad input, a run without any server, and its end at any moment."""

import argparse
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from flows.harvest import configured, grouping, main, named_repositories, parser
from flows.runner import configured_runner, task_runner
from flows.serve import check
from pipeline.harvester import check_sources
from schema.errors import ConfigError, WarehouseError
from tests.flows.harvesting import Endless
from tests.repositories import Repository


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "film")
    made.commit("Root", {"a.py": b"one\ntwo\n"})
    return made


def flags(*arguments):
    return parser().parse_args(arguments)


def test_flags_become_a_config():
    config = configured(flags("--geometry", "48x160", "--set", "max_file_bytes=99", "--licence", "GPL-3.0"))
    assert (config.replay.rows, config.replay.cols, config.replay.max_file_bytes) == (48, 160, 99)
    assert "GPL-3.0" in config.licences
    assert "MIT" in config.licences


def test_the_editor_and_its_motion_are_flags():
    assert configured(flags()).replay.editor == "vim"
    config = configured(flags("--editor", "nano", "--motion", "arrows"))
    assert (config.replay.editor, config.replay.motion) == ("nano", "arrows")
    assert configured(flags("--set", "editor=nano")).replay.editor == "nano"
    with pytest.raises(ConfigError, match="motion=arrows: vim is not moved by arrow keys alone; add editor=nano"):
        configured(flags("--motion", "arrows"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--geometry", "24x80", "--set", "rows=30"), "--geometry 24x80 and --set rows=30"),
        (("--set", "cols=100", "--geometry", "24x80"), "--geometry 24x80 and --set cols=100"),
        (("--editor", "vim", "--set", "editor=nano"), "--editor vim and --set editor=nano"),
        (("--editor", "nano", "--motion", "jumps", "--set", "motion=arrows"), "--motion jumps and --set motion=arrows"),
        (("--set", "author_key_hash=0"), "GITREEL_AUTHOR_KEY and --set author_key_hash=0"),
        (("--set", "rows=30", "--set", "rows = 40"), "--set rows = 40 and --set rows=30"),
    ],
)
def test_a_setting_that_is_given_two_values_is_refused(arguments, words, monkeypatch):
    monkeypatch.setenv("GITREEL_AUTHOR_KEY", "key")
    with pytest.raises(ConfigError) as refused:
        configured(flags(*arguments))
    assert str(refused.value) == f"{words} disagree; give only one of them"


def test_a_setting_may_be_given_one_value_twice():
    film = configured(flags("--geometry", "30x100", "--set", "rows=30", "--set", "rows=30")).replay
    assert (film.rows, film.cols) == (30, 100)
    film = configured(flags("--set", "rows=30", "--editor", "nano", "--set", "editor=nano")).replay
    assert (film.rows, film.cols, film.editor) == (30, 80, "nano")


def test_tasks_are_grouped_by_one_number():
    with pytest.raises(ConfigError, match="--group repositories=2 and --group repositories=1 disagree; give only one"):
        grouping(flags("--group", "repositories=1", "--group", "repositories=2"))


def test_an_address_that_nothing_would_ask_is_refused():
    assert configured(flags("--runner", "dask", "--dask-address", "tcp://x:1"))
    with pytest.raises(ConfigError, match="only --runner dask asks it"):
        configured(flags("--dask-address", "tcp://x:1"))


def test_a_repository_has_one_name(capsys):
    assert flags("--repo", "a/app", "--name", "a", "--name", "a").name == {"a/app": "a"}
    with pytest.raises(SystemExit):
        flags("--repo", "a/app", "--name", "a", "--name", "b")
    assert "--name b: --repo a/app has a name already: a" in capsys.readouterr().err


def test_names_belong_to_the_repository_before_them():
    given = (
        "--repo",
        "a/app",
        "--repo",
        "b/app",
        "--name",
        "b/app",
        "--repo",
        "c/app",
        "--name",
        "c",
        "--replace",
        "app",
    )
    config = configured(flags(*given))
    assert config.names == {"b/app": "b/app", "c/app": "c"}
    assert config.replace == ("app",)
    assert configured(flags("--repo", "a")).names == {}


def test_a_name_without_a_repository_is_one_line(capsys):
    with pytest.raises(SystemExit) as ended:
        flags("--name", "x", "--repo", "a")
    assert ended.value.code == 2
    assert "--repo PATH_OR_URL --name x" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [("--geometry", "9"), ("--set", "rows"), ("--set", "rowz=3"), ("--set", "rows=1"), ("--timeout", "-1")],
)
def test_settings_that_do_not_hold(arguments):
    with pytest.raises(ConfigError):
        configured(flags(*arguments))


@pytest.mark.parametrize("place", ["/proc/foo/report.json", "{folder}", "{folder}/none/report.json", "/dev/null/x"])
def test_a_report_that_could_not_be_written_is_refused_before_the_harvest(repository, tmp_path, capsys, place):
    report = place.format(folder=tmp_path)
    arguments = ["--repo", str(repository.path), "--warehouse", str(tmp_path / "w"), "--report", report]
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"--report {report}: ")
    assert not (tmp_path / "w").exists()


def test_a_report_that_finds_no_space_is_one_line_behind_what_was_filmed(repository, tmp_path, capsys):
    arguments = ["--repo", str(repository.path), "--warehouse", str(tmp_path / "w"), "--report", "/dev/full"]
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert "1 new episodes" in said.out
    assert said.err == (
        "--report /dev/full: cannot be written (No space left on device); all film is stored: run the same command "
        "again with another file\n"
    )


def test_a_setting_that_there_is_not_is_called_unknown():
    with pytest.raises(ConfigError, match=r"^replay.rowz: unknown setting; see: python -m flows.harvest --help"):
        configured(flags("--set", "rowz=3"))
    with pytest.raises(ConfigError, match=r"^nope: unknown setting; see: python -m flows.harvest --help"):
        grouping(flags("--group", "nope=1"))


def test_a_folder_of_other_things_is_left_as_it_is(repository, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mine.txt").write_text("mine")
    assert main(["--repo", str(repository.path), "--warehouse", str(tmp_path / "other")]) == 2
    assert capsys.readouterr().err.startswith(f"warehouse {tmp_path}/other: holds other things and no film, ")
    with pytest.raises(WarehouseError, match="holds other things"):
        check(argparse.Namespace(limit=1, api_url="", warehouse=str(tmp_path / "other")))
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["mine.txt"]


def test_repositories_from_flags_and_file_each_once(tmp_path):
    (tmp_path / "list").write_text("b  # two\n\na\n")
    assert named_repositories(flags("--repo", "a", "--repos-from", str(tmp_path / "list"))) == ["a", "b"]


@pytest.mark.parametrize("name", ["c#/proj", "a b", "ä", "#1", "it's"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_a_listed_folder_is_that_one(tmp_path, name, start):
    for folder in (name, name.partition("#")[0], name.partition(" ")[0]):
        (tmp_path / "all" / folder).mkdir(parents=True, exist_ok=True)
    path = str(tmp_path / "all" / name)
    (tmp_path / "list").write_bytes(start + b"# ours\r\n" + os.fsencode(path) + b"  # another\r\n")
    assert named_repositories(flags("--repos-from", str(tmp_path / "list"))) == [path]
    (source,) = check_sources([path], configured(flags())).values()
    assert source.path == Path(path)


def test_a_name_that_no_json_holds_is_one_line_whose_command_helps(tmp_path, capsys, monkeypatch):
    (tmp_path / "ol\udce9").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list").write_bytes(b"ol\xe9\n")
    for named in (["--repo", "ol\udce9"], ["--repos-from", "list"]):
        assert main([*named, "--warehouse", "w"]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
    subprocess.run(["bash", "-c", told.rpartition(": ")[2].replace("NAME", "old")], check=True)
    (source,) = check_sources(["old"], configured(flags())).values()
    assert source.repo_id == "old"


@pytest.mark.parametrize("content", [b"", b"# nothing\n\n", "/data/r\n".encode("utf-16")])
def test_a_list_without_a_name_is_one_line(tmp_path, capsys, content):
    (tmp_path / "list").write_bytes(content)
    assert main(["--repos-from", str(tmp_path / "list"), "--warehouse", str(tmp_path / "w")]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith(f"--repos-from {tmp_path / 'list'}: ")


@pytest.mark.parametrize("named", [[], ["--repo", "/no/such/folder"], ["--repo", "ext::sh"], ["--geometry", "x"]])
def test_bad_input_is_one_line_and_exit_code_2(named, capsys, tmp_path):
    assert main([*named, "--warehouse", str(tmp_path / "w")]) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    assert not told.out
    assert not (tmp_path / "w").exists()


def test_without_git_it_is_one_line(repository, tmp_path):
    environment = os.environ | {"PATH": str(tmp_path)}
    command = [sys.executable, "-m", "flows.harvest", "--repo", "film", "--warehouse", "w"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("git: no such program")


def test_runners_by_name(monkeypatch):
    assert type(task_runner("threads", 2)).__name__ == "ThreadPoolTaskRunner"
    monkeypatch.setenv("GITREEL_RUNNER", "fibres")
    with pytest.raises(ConfigError, match="GITREEL_RUNNER"):
        configured_runner()


def test_a_harvest_without_a_server_though_prefect_toml_names_one(repository, tmp_path):
    (tmp_path / "prefect.toml").write_text('[api]\nurl = "http://127.0.0.1:1/api"\n')
    environment = dict(os.environ)
    command = [sys.executable, "-m", "flows.harvest", "--repo", "film"]

    def run(*more):
        return subprocess.run([*command, *more], cwd=tmp_path, env=environment, capture_output=True, text=True)

    first = run()
    assert (first.returncode, first.stderr) == (0, "")
    assert "1 new episodes, " in first.stdout
    with duckdb.connect(str(tmp_path / "warehouse/actions.db"), read_only=True) as database:
        assert database.execute("SELECT sum(steps) FROM episodes").fetchone()[0] > 0
    second = run()
    assert (second.returncode, second.stderr) == (0, "")
    assert "Nothing to do" in second.stdout
    failed = run("--repo", str(tmp_path))
    assert failed.returncode == 2
    assert failed.stderr.count("\n") == 1
    Repository(tmp_path / "elsewhere" / "film").commit("Another root", {"b": b"1\n"})
    command[-1] = "elsewhere/film"
    refused = run()
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "--repo 'elsewhere/film' --name NAME" in refused.stderr
    assert run("--name", "other").returncode == 0
    with duckdb.connect(str(tmp_path / "warehouse/actions.db"), read_only=True) as database:
        assert database.execute("SELECT repo_id FROM repositories ORDER BY repo_id").fetchall() == [
            ("film",),
            ("other",),
        ]


def test_no_module_of_prefect_is_imported_without_a_server(repository, tmp_path):
    script = "import sys; from flows.harvest import main; print(main(sys.argv[1:]), 'prefect' in sys.modules)"
    environment = dict(os.environ)
    environment |= {"PREFECT_HOME": str(tmp_path)}
    command = [sys.executable, "-c", script, "--repo", "film"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.stdout.splitlines()[-1], done.stderr) == ("0 False", "")


def test_settings_that_do_not_go_together_end_in_one_line_and_nothing_behind_it(repository, tmp_path):
    command = [sys.executable, "-m", "flows.harvest", "--repo", "film", "--motion", "arrows"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr  # some modules complain at exit if an error keeps them alive


def test_a_named_server_that_is_down_is_said_and_done_without(repository, tmp_path):
    environment = dict(os.environ)
    environment |= {"PREFECT_API_URL": "http://127.0.0.1:1/api"}
    command = [sys.executable, "-m", "flows.harvest", "--repo", "film"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Prefect: none answers at http://127.0.0.1:1/api (PREFECT_API_URL)")


def ctrl_c(process):
    os.killpg(process.pid, signal.SIGINT)


def timeout(process):
    """What the program `timeout` does: its child, then the child's whole group."""
    process.terminate()
    os.killpg(process.pid, signal.SIGTERM)


def kill(process):
    process.terminate()


def hang_up(process):
    os.killpg(process.pid, signal.SIGHUP)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks at /proc")
@pytest.mark.parametrize(
    ("moment", "interrupt"),
    [
        ("its imports", ctrl_c), ("its workers' start", timeout), ("filming", kill), ("a fetch", ctrl_c),
        ("a fetch", hang_up),
    ],
)  # fmt: skip
def test_interrupted_at_any_moment_it_ends_in_one_line_and_leaves_nothing(tmp_path, moment, interrupt):
    run = Endless(tmp_path)
    with run.started() as process:
        run.wait_until(moment)
        interrupt(process)
        out, err = process.communicate()
    assert (process.returncode, out, err.count("\n")) == (130, "", 1)
    assert err.startswith("interrupted")
    run.wait_until_no_process_is_left()
    assert not list(run.temporary.glob("gitreel-*"))
    assert not list(tmp_path.glob("warehouse/**/.tmp-*"))
    assert not list(tmp_path.glob("cache/gitreel/clones/*.git"))
    if moment in ("filming", "a fetch"):
        assert "o/silent" not in run.report()
    if moment == "a fetch":
        assert err == "interrupted (2 complete, 1 not begun); run the same command again to go on\n"
        assert run.report() == {"made0": "complete", "made1": "complete"}


def test_interrupted_while_the_database_is_built_it_is_built_and_ends_in_one_line(tmp_path):
    run = Endless(tmp_path)
    del run.command[-2:]  # without the silent one
    (tmp_path / "warehouse").mkdir()
    with (tmp_path / "warehouse/.build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the build waits for this
        with run.started() as process:
            while not (run.filmed("made0") and run.filmed("made1")):
                time.sleep(0.002)
            ctrl_c(process)
            fcntl.flock(lock, fcntl.LOCK_UN)
            out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert err == "interrupted (2 complete); run the same command again to go on\n"
    with duckdb.connect(str(tmp_path / "warehouse/actions.db"), read_only=True) as database:
        assert database.execute("SELECT count(*) FROM repositories").fetchone() == (2,)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks at /proc")
def test_a_killed_command_takes_its_workers_along_and_the_next_one_goes_on(tmp_path):
    run = Endless(tmp_path)
    with run.started() as process:
        run.wait_until("a fetch")
        process.kill()
        process.communicate()
        run.wait_until_no_process_is_left()
    del run.command[-2:]  # without the silent one
    done = subprocess.run(run.command, env=run.environment, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert run.report() == {"made0": "complete", "made1": "complete"}
    assert not list(run.temporary.glob("gitreel-*"))  # the killed one's, too
