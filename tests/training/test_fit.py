"""The training loop, tiny: plan, outputs, exact resume, ranks, errors."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from flows.server import free_port
from schema.errors import ConfigError, CorruptError, SchemaVersionError
from tests.training.warehouse import write_warehouse
from training.data.batches import Sampler, make_batch
from training.data.splits import Segment
from training.data.tokenizer import Tokenizer
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.fit import main, parse
from training.loop.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from training.loop.config import FitConfig
from training.loop.distributed import has_bf16, pick_device, start_ranks
from training.loop.learner import Learner
from training.loop.optim import make_optimizers, rate
from training.loop.report import read_log, verdict
from training.loop.run import Run, fit
from training.model.config import ModelConfig
from training.model.frame_model import FrameModel
from training.model.weights import load_weights

MODEL = {"width": 16, "heads": 2, "downsample_blocks": 1}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_warehouse(tmp_path_factory.mktemp("w"), {"a/one": 900})


def settings(root: Path, run: Path, **changes: object) -> FitConfig:
    return FitConfig.model_validate(
        {
            "shards": str(root), "run": str(run), "preset": "tiny", "model": MODEL, "steps": 6, "window": 16,
            "batch": 2, "threads": 1, "evaluations": 3, "validation_windows": 2, **changes,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("r") / "run"
    fit(settings(root, run))
    return run


def weights(run: Path, name: str = "lstm") -> dict[str, torch.Tensor]:
    return load_weights(run / "models" / f"{name}.safetensors")[0].state_dict()


def test_a_run_leaves_what_it_promises(finished: Path) -> None:
    summary = json.loads((finished / "summary.json").read_text())
    for key in ("loss_first", "loss_last", "loss_unigram", "loss_frame_only", "bytes_per_frame"):
        assert math.isfinite(summary[key])
    assert (summary["steps"], summary["updates"]) == (900, 6)
    assert json.loads((finished / "config.json").read_text())["bf16"] is has_bf16(pick_device("auto"))
    for name in ("config.json", "plan.txt", "samples.txt", "loss.png", "best.safetensors"):
        assert (finished / name).stat().st_size > 0
    assert list((finished / "tensorboard").iterdir())
    lines = read_log(finished / "log.jsonl")
    assert [line["update"] for line in lines if "train/lstm" in line] == [1, 2, 3, 4, 5, 6]
    assert [line["update"] for line in lines if "validation/lstm/loss" in line] == [0, 2, 4, 6]


def test_the_plan_is_said_first(finished: Path) -> None:
    plan = (finished / "plan.txt").read_text()
    assert "6 updates of lstm and of frame-only" in plan
    assert "parameters (frame head" in plan
    assert "the last 10 %" in plan


def test_weights_carry_their_configuration(finished: Path) -> None:
    model, metadata = load_weights(finished / "best.safetensors")
    assert (model.config.rows, model.config.cols, model.config.backbone) == (8, 24, "lstm")
    assert json.loads(metadata["run"])["window"] == 16


def test_a_killed_run_ends_in_the_same_weights(root: Path, finished: Path, tmp_path: Path) -> None:
    def killed(folder: Path, step: int, state: dict[str, Any], keep: int) -> Path:
        path = save_checkpoint(folder, step, state, keep)
        if step == 4:
            raise KeyboardInterrupt
        return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.loop.run.save_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(settings(root, tmp_path / "run"))
    assert [path.name for path in checkpoints(tmp_path / "run/checkpoints")] == ["step-0000002.pt", "step-0000004.pt"]
    summary = fit(settings(root, tmp_path / "run"))
    assert summary["updates"] == 6
    for name in ("lstm", "frame_only"):
        mine, theirs = weights(tmp_path / "run", name), weights(finished, name)
        assert all(torch.equal(mine[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("length", [0, 10, 1000, -10])
def test_a_truncated_checkpoint_is_passed_over(root: Path, finished: Path, tmp_path: Path, length: int) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    for path in checkpoints(finished / "checkpoints"):
        state = load_checkpoint(path)
        state["asked"]["run"] = str(run)
        save_checkpoint(run / "checkpoints", state["step"], state, keep=9)
    newest = checkpoints(run / "checkpoints")[-1]
    newest.write_bytes(newest.read_bytes()[:length])
    with pytest.raises(CorruptError, match="not a whole checkpoint"):
        load_checkpoint(newest)
    assert Run(settings(root, run)).done == 4
    assert newest.exists()


def test_other_settings_do_not_go_on_with_a_run(root: Path, finished: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds a run with another learning_rate; .*--overwrite"):
        Run(settings(root, finished, learning_rate=1e-4))


def test_more_steps_are_another_run_where_the_learning_rate_falls(root: Path, finished: Path) -> None:
    with pytest.raises(ConfigError, match=r"another steps; the learning rate falls .* its own --run FOLDER, or --over"):
        Run(settings(root, finished, steps=12))


def test_more_steps_go_on_with_a_run_of_constant_learning_rate(root: Path, tmp_path: Path) -> None:
    flat = {"warmup": 0, "decay": 0, "freeze_head": 0, "evaluations": 1, "baseline": False}
    fit(settings(root, tmp_path / "once", steps=5, **flat))
    fit(settings(root, tmp_path / "twice", steps=3, **flat))
    assert fit(settings(root, tmp_path / "twice", steps=5, **flat))["updates"] == 5
    once, twice = weights(tmp_path / "once"), weights(tmp_path / "twice")
    assert all(torch.equal(once[name], twice[name]) for name in once)
    assert json.loads((tmp_path / "twice/config.json").read_text())["steps"] == 5
    with pytest.raises(ConfigError, match="holds 5 updates already; give more --steps"):
        Run(settings(root, tmp_path / "twice", steps=4, **flat))


def test_changed_film_does_not_go_on_with_a_run(root: Path, finished: Path, tmp_path: Path) -> None:
    other = write_warehouse(tmp_path, {"a/one": 901})
    state = load_checkpoint(checkpoints(finished / "checkpoints")[-1])
    state["asked"] = settings(other, tmp_path / "run").model_dump()
    state["config"]["shards"] = str(other)
    save_checkpoint(tmp_path / "run/checkpoints", 6, state, keep=2)
    with pytest.raises(ConfigError, match="the film has changed"):
        Run(settings(other, tmp_path / "run"))


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "stream", "chunk": 5},
        {"mode": "stream_embeddings", "chunk": 7, "reuse": False},
        {"accumulate": 2, "length_warmup": 0.5},
        {"optimizer": "muon"},
        {"bf16": True},
        {"tokens": 280},
        {"backbone": "mingru", "baseline": False, "model": {**MODEL, "matched": False}},
    ],
    ids=str,
)
def test_every_kind_of_run_ends(root: Path, tmp_path: Path, changes: dict[str, object]) -> None:
    summary = fit(settings(root, tmp_path / "run", steps=3, evaluations=1, **changes))
    assert math.isfinite(summary["loss_last"])


def test_it_learns_more_than_unigram(root: Path, tmp_path: Path) -> None:
    run = settings(root, tmp_path / "run", steps=60, window=24, batch=4, learning_rate=1e-2, baseline=False)
    summary = fit(run)
    assert summary["loss_last"] < summary["loss_unigram"] < summary["loss_first"]


def test_accumulation_and_streaming_give_the_same_losses(root: Path, tmp_path: Path) -> None:
    curves = []
    for number, changes in enumerate([{}, {"accumulate": 2}, {"mode": "stream", "chunk": 6}]):
        fit(settings(root, tmp_path / str(number), steps=4, **changes))
        lines = read_log(tmp_path / str(number) / "log.jsonl")
        curves.append([line["train/lstm"] for line in lines if "train/lstm" in line])
    assert curves[1] == pytest.approx(curves[0], abs=1e-5)
    assert curves[2] == pytest.approx(curves[0], abs=1e-5)


def test_two_ranks_give_one_processs_losses(root: Path, tmp_path: Path) -> None:
    flags = [
        *("--shards", str(root), "--preset", "tiny", "--steps", "5", "--window", "16", "--batch", "4"),
        *("--evaluations", "1", "--validation-windows", "2", "--threads", "1", "--no-baseline", "--freeze-head", "0"),
        *(word for key, value in MODEL.items() for word in ("--set", f"model.{key}={value}")),
    ]
    fit(parse([*flags, "--run", str(tmp_path / "one")]))
    ranks = ["--nproc-per-node", "2", "--master-port", str(free_port())]
    command = [sys.executable, "-m", "torch.distributed.run", *ranks]
    done = subprocess.run(
        [*command, "-m", "training.fit", *flags, "--folder", str(tmp_path / "two")],
        capture_output=True, text=True, timeout=900, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    curves = [
        [line["train/lstm"] for line in read_log(tmp_path / name / "log.jsonl") if "train/lstm" in line]
        for name in ("one", "two")
    ]
    assert curves[1] == pytest.approx(curves[0], abs=1e-5)


def test_two_ranks_tell_of_an_error_once(tmp_path: Path) -> None:
    ranks = ["--nproc-per-node", "2", "--master-port", str(free_port())]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *ranks, "-m", "training.fit", "--shards", str(tmp_path / "no")],
        capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.stderr.count("gitreel: ") == 1, done.stderr
    assert "no such warehouse; harvest first" in done.stderr
    assert "exitcode  : 2 " in done.stderr


def test_a_loss_that_is_no_number_stops_with_a_dump(root: Path, tmp_path: Path) -> None:
    run = Run(settings(root, tmp_path / "run"))
    with torch.no_grad():
        run.models["lstm"].model.head.weight.fill_(float("nan"))
    with pytest.raises(ConfigError, match=r"lstm: loss nan at update 1; .*diverged-rank0.pt"):
        run.train()
    assert (tmp_path / "run/diverged-rank0.pt").exists()


def test_the_command_line_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--shards", str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "no such warehouse; harvest first" in error


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--set", "model.rows=12"], "model.rows is not set by itself: it comes from the film"),
        (["--set", "model.backbone=gru"], "model.backbone is not set by itself: use --backbone"),
        (["--set", "model.max_code_point=abc"], "model.max_code_point: 'abc' is no number"),
        (["--set", "model.max_code_point=99999999999"], "'99999999999' is no number from 2 to 1114112"),
        (["--backbone", "mamba2", "--backbone-layers", "99"], "mamba2 with 99 layers of width 48 cannot be as small"),
        (["--learning-rate", "inf"], "learning_rate: Input should be a finite number"),
        (["--compile"], "command line: compile needs the plain frame head: add --no-reuse"),
        (["--device", "gpu"], "--device gpu: choose auto, cpu, cuda or mps"),
        (["--device", "meta"], "--device meta: choose auto, cpu, cuda or mps"),
        (["--set", "model.foo=1"], "preset tiny at 8x24: model.foo: unknown setting"),
        (["--set", "model.width=0"], "model.width: Input should be greater than or equal to 1"),
        (["--backbone", "gru"], "unknown backbone 'gru': choose one of lstm"),
        (["--repo", "no/such"], "no film of no/such; harvest first"),
        (["--window", "5000"], "the longest held-out one 90; use --window 156, or harvest more commits"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_settings_that_cannot_work_are_one_clear_line(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], words: str
) -> None:
    assert (
        main(["--shards", str(root), "--run", str(tmp_path / "run"), "--preset", "tiny", "--steps", "1", *flags]) == 2
    )
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_run_folder_that_cannot_be_made_is_one_clear_line(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    flags = ["--preset", "tiny", "--steps", "1", "--window", "16", "--batch", "1", "--no-baseline", "--threads", "1"]
    assert main(["--shards", str(root), "--run", str(tmp_path / "file/run"), *flags]) == 2
    error = capsys.readouterr().err
    assert "use another --run folder" in error
    assert error.count("\n") == 1


def test_a_batch_that_does_not_divide_is_refused_first(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.loop.run.start_ranks", lambda device: (0, 3))
    with pytest.raises(ConfigError, match="batch 2 does not divide by 3 ranks; use --batch 3"):
        Run(settings(root, tmp_path / "run"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state["models"].pop("frame_only"), "its checkpoint holds no frame_only"),
        (
            lambda state: state["models"]["lstm"]["model"].update({"head.weight": torch.zeros(304, 16)}),
            r"head.weight is \(304, 16\), this model's is \(256, 16\)",
        ),
        (
            lambda state: state["models"]["lstm"].update(optimizers=[]),
            "the optimizer's state of lstm is another model's",
        ),
        (
            lambda state: [state[part].update(hold=state[part].pop("freeze_head")) for part in ("asked", "config")],
            r"begun by another version of this program \(hold: unknown setting.* start anew with --overwrite",
        ),
    ],
    ids=["no model", "another vocabulary", "another optimizer", "another version"],
)
def test_a_checkpoint_of_another_model_is_refused_and_kept(
    root: Path, finished: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    state = load_checkpoint(checkpoints(finished / "checkpoints")[-1])
    state["asked"]["run"] = state["config"]["run"] = str(tmp_path / "run")
    change(state)
    path = save_checkpoint(tmp_path / "run/checkpoints", 6, state, keep=2)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=words):
        Run(settings(root, tmp_path / "run"))
    assert path.read_bytes() == before


def test_a_file_that_is_no_checkpoint_is_told(tmp_path: Path, finished: Path) -> None:
    state = torch.load(checkpoints(finished / "checkpoints")[-1], weights_only=True)
    path = tmp_path / "step-0000006.pt"
    torch.save([1, 2], path)
    with pytest.raises(CorruptError, match="not a whole checkpoint"):
        load_checkpoint(path)
    torch.save({key: value for key, value in state.items() if key != "film"}, path)
    with pytest.raises(CorruptError, match=r"not a whole checkpoint \(it has no film\)"):
        load_checkpoint(path)
    torch.save({**state, "schema_version": "9.0"}, path)
    with pytest.raises(SchemaVersionError, match=r"schema version 9\.0, .*start anew with --overwrite"):
        load_checkpoint(path)


def test_a_checkpoint_of_another_format_is_refused(finished: Path, tmp_path: Path) -> None:
    state = torch.load(checkpoints(finished / "checkpoints")[-1], weights_only=True)
    torch.save({**state, "format": 2}, tmp_path / "step-0000006.pt")
    with pytest.raises(ConfigError, match="a checkpoint of format 2, this program's is 1"):
        load_checkpoint(tmp_path / "step-0000006.pt")


def test_the_learning_rate_rises_stays_and_falls() -> None:
    rates = [rate(step, 100, 0.1, 0.5) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10:50] == [1.0] * 40
    assert rates[99] == pytest.approx(0.02)
    assert sorted(rates[50:], reverse=True) == rates[50:]


def test_muon_takes_matrices_and_adamw_the_rest() -> None:
    model = FrameModel(ModelConfig(rows=8, cols=24, width=16, heads=2))
    adamw, muon = make_optimizers(model, FitConfig(optimizer="muon"))
    assert {group["lr"] for group in adamw.param_groups} == {5e-4, 1.2e-2}
    assert [(group["lr"], group["momentum"]) for group in muon.param_groups] == [(2e-2, 0.95)]
    taken = {id(p) for group in muon.param_groups for p in group["params"]}
    names = {name for name, p in model.named_parameters() if id(p) in taken}
    assert "backbone.lstm.weight_hh_l0" in names
    assert "frame_head.blocks.0.attn.c_attn.weight" in names
    assert not {"head.weight", "frame_head.codepoint_embed", "frame_head.position_embed"} & names
    assert len(taken) + sum(len(g["params"]) for g in adamw.param_groups) == len(list(model.parameters()))


def test_an_update_moves_against_the_gradient(root: Path) -> None:
    torch.manual_seed(0)
    learner = Learner(FrameModel(ModelConfig(rows=8, cols=24, **MODEL)), FitConfig(), torch.device("cpu"))
    batch = make_batch(FilmReader(Warehouse(root)), Sampler([Segment(0, 0, 800)], 16), 2, 0)
    first, _ = learner.update(batch, 1.0)
    for _ in range(5):
        last, _ = learner.update(batch, 1.0)
    assert last < first


def test_a_frozen_frame_head_does_not_move(root: Path) -> None:
    torch.manual_seed(0)
    batch = make_batch(FilmReader(Warehouse(root)), Sampler([Segment(0, 0, 800)], 16), 2, 0)
    for mode in ("full", "stream", "stream_embeddings"):
        config = FitConfig(mode=mode, chunk=6)
        learner = Learner(FrameModel(ModelConfig(rows=8, cols=24, **MODEL)), config, torch.device("cpu"))
        before = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
        learner.freeze_head(True)
        learner.update(batch, 1.0)
        after = learner.model.state_dict()
        moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
        assert moved == {"backbone", "head"}


@pytest.mark.parametrize("name", ["cuda", "cuda:7", "mps"])
def test_a_device_that_is_not_there_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=f"--device {name}: this PyTorch .*; use --device cpu"):
        pick_device(name)


@pytest.mark.parametrize(("capability", "has"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_bf16_is_on_where_a_gpu_has_it(capability: tuple[int, int], has: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert has_bf16(torch.device("cuda", 0)) is has
    assert not has_bf16(torch.device("cpu"))


@pytest.mark.parametrize(("flags", "used"), [([], True), (["--no-bf16"], False), (["--bf16"], True)])
def test_a_flag_says_more_than_the_gpu_about_bf16(
    root: Path, tmp_path: Path, flags: list[str], used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.loop.run.has_bf16", lambda device: True)
    asked = parse(flags).bf16
    assert Run(settings(root, tmp_path / "run", bf16=asked)).config.bf16 is used


def test_every_rank_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert pick_device("auto") == torch.device("cuda", 1)
    assert pick_device("cuda:0") == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ConfigError, match=r"GPU 2 of 2; .*--nproc-per-node 2"):
        pick_device("cuda")
    own: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", own.append)
    start_ranks(torch.device("cuda", 1))
    assert own == [torch.device("cuda", 1)]


def test_a_film_of_a_few_steps_gets_a_window_that_fits(tmp_path: Path) -> None:
    root = write_warehouse(tmp_path, {"a/one": 20})
    assert Run(settings(root, tmp_path / "run", window=None)).sampler.window == 4
    short = write_warehouse(tmp_path / "short", {"a/one": 3})
    with pytest.raises(ConfigError, match="held-out one 2; harvest more commits"):
        Run(settings(short, tmp_path / "run", window=None))


def test_a_tokenizer_left_by_another_run_is_not_taken_over(root: Path, tmp_path: Path) -> None:
    few = Run(settings(root, tmp_path / "run", tokens=260)).tokenizer
    run = Run(settings(root, tmp_path / "run", tokens=20_351))
    assert few is not None
    assert run.tokenizer is not None
    assert len(few) == 260 < len(run.tokenizer) < 20_351
    assert f"hold no more than {len(run.tokenizer)} tokens, 20351 were asked" in run.plan()
    assert Tokenizer.load(tmp_path / "run/tokenizer.jsonl").tokens == run.tokenizer.tokens


def test_the_verdict_is_plain() -> None:
    assert verdict(2.0, 3.0, 2.5, "lstm").startswith("lstm (2.000 nats a step) beat unigram (3.000) and frame-only")
    assert "did NOT beat frame-only (1.500)" in verdict(2.0, 3.0, 1.5, "lstm")


def test_sigkill_and_the_same_command_again(root: Path, finished: Path, tmp_path: Path) -> None:
    flags = [
        *("--shards", str(root), "--preset", "tiny", "--steps", "6", "--window", "16", "--batch", "2"),
        *("--evaluations", "3", "--validation-windows", "2", "--threads", "1", "--run", str(tmp_path / "run")),
        *(word for key, value in MODEL.items() for word in ("--set", f"model.{key}={value}")),
    ]
    command = [sys.executable, "-m", "training.fit", *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not checkpoints(tmp_path / "run/checkpoints") and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    assert not (tmp_path / "run/summary.json").exists()
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    mine, theirs = weights(tmp_path / "run"), weights(finished)
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
