# %% [markdown]
# # A history as film, and a small model of it
#
# A repository's commits are typed again at a terminal. What the screen shows before a key is a *frame*, the key is an
# *action*; a model learns to press the next key. All of this takes less than a minute on one core, and runs as a
# script (`python examples/film.py`, from the repository's root) or cell by cell in an editor that knows `# %%`.

# %%
import tempfile
from pathlib import Path

import duckdb
import matplotlib.pyplot as plt
import polars
import torch
from torch.nn.functional import cross_entropy

from pipeline import harvest, open_episode
from pipeline.example import make_example
from schema.actions import VOCABULARY, Phase, action_name
from training import windows
from training.model.config import preset
from training.model.frame_model import FrameModel
from training.model.gradients import previous_keys

folder = Path(tempfile.mkdtemp(prefix="film-"))
torch.manual_seed(0)

# %% [markdown]
# ## Film
# A small repository, made here. The path or the https URL of any other one goes as well.

# %%
repository = make_example(folder / "shapes", commits=120)
warehouse = folder / "warehouse"
film = harvest(repository, warehouse)
print(f"{film.repo_id}: {film.episodes} commits are {film.steps:,} keys, each with the screen that it was pressed at")

# %% [markdown]
# ## Look
# An episode is one commit. Here is the screen before a key of the third one, with the cursor as a block. In a terminal,
# `python -m pipeline.watch` plays it.

# %%
episode = open_episode(warehouse, f"{film.repo_id}:2")
steps = list(episode)
screen, key = steps[len(steps) // 2]
rows = [text.ljust(episode.geometry.cols) for text in screen.texts]
at = screen.cursor_col
rows[screen.cursor_row] = f"{rows[screen.cursor_row][:at]}█{rows[screen.cursor_row][at + 1 :]}"
print("\n".join(rows))
print(f"{episode.subject!r}: the next key is {action_name(key)}")

# %% [markdown]
# ## Ask
# The warehouse is a DuckDB database over Parquet files. DuckDB answers in SQL; Polars reads its answers, or the files.

# %%
with duckdb.connect(str(warehouse / "actions.db"), read_only=True) as db:
    kinds = db.sql("SELECT phase_name(phase) AS kind, count(*) AS keys FROM steps GROUP BY ALL ORDER BY keys DESC").pl()
    print(db.sql("SELECT episode, steps, files_typed, subject FROM episodes ORDER BY steps DESC LIMIT 3"))
print(kinds.with_columns(percent=(100 * polars.col("keys") / polars.col("keys").sum()).round(1)))

stored = polars.scan_parquet(warehouse / "dataset/steps/*/*.parquet")
typed = stored.filter(phase=int(Phase.MESSAGE), episode=2).sort("stream_step").select("action").collect()
print("typed as the commit's subject:", bytes(typed["action"].to_list()).decode())

# %% [markdown]
# ## Windows
# Any stretch of film is a pair of tensors: cell ids `[batch, steps, rows, columns]` and keys `[batch, steps]`. The last
# tenth of the stream is held out.

# %%
[batch] = windows(warehouse, length=64, batch=8, limit=1)
print(batch.cells_BTRC.shape, batch.cells_BTRC.dtype, batch.actions_BT.shape)
batches = list(windows(warehouse, length=64, batch=8, limit=300))
held_out = list(windows(warehouse, length=64, batch=8, limit=30, split="validation"))

# %% [markdown]
# ## Train
# The smallest of the models that read at the cursor, copy from the screen and remember in an LSTM: one pass over the
# windows in random order. The loss is in nats a key; a model that knows nothing has log 256, 5.5.

# %%
model = FrameModel(preset("tiny", *episode.geometry))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)


def loss_of(model: FrameModel, cells_BTRC: torch.Tensor, actions_BT: torch.Tensor) -> torch.Tensor:
    """The mean loss of the keys, nats, from the screens up to each and the keys before it."""
    logits_BTV = model(cells_BTRC, previous_keys(actions_BT, model.vocabulary))[0]
    return cross_entropy(logits_BTV.flatten(0, 1), actions_BT.flatten())


losses = []
for number in torch.randperm(len(batches)).tolist():
    loss = loss_of(model, batches[number].cells_BTRC, batches[number].actions_BT)
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    losses.append(loss.item())

with torch.no_grad():
    held = sum(float(loss_of(model, *each[1:3])) for each in held_out) / len(held_out)
trained, tested = (torch.cat([each.actions_BT.flatten() for each in part]) for part in (batches, held_out))
counts = torch.bincount(trained, minlength=VOCABULARY) + 1.0
unigram = -float((counts / counts.sum()).log()[tested].mean())
print(f"held-out keys: {held:.2f} nats by the model, {unigram:.2f} by how often each key was pressed in training")

# %% [markdown]
# ## Plot

# %%
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
axes.plot(losses, color="#c1272d", linewidth=1, label="training batches")
axes.axhline(held, color="#c1272d", linestyle="--", label=f"held-out film, at the end: {held:.2f}")
axes.axhline(unigram, color="#777777", linestyle=":", label=f"frequencies of keys: {unigram:.2f}")
axes.set(xlabel="update", ylabel="loss, nats a key", title=f"{film.steps:,} keys of {film.repo_id}", ylim=(0, None))
axes.legend()
figure.savefig(folder / "film.png", dpi=150)
print(f"{folder}/film.png")
