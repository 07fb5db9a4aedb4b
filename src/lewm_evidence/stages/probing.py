"""What can be read from the latents, and how straight their paths are.

Inputs: `checkpoint`, `starts` (and `data` where the episodes are recorded ones).
Config: `seed`, `bootstrap`, `probing`.

Episodes of the pool are seen every `frameskip` steps, as the model sees them. Probes (ridge regression and a network
with one hidden layer) are fitted on four fifths of the episodes and measured on the others, on pictures that show the
agent. Targets are standardised, so that always guessing the mean has error 1. The same is done with an untrained model
of the same architecture: what it yields is owed to the picture, not to training.

Writes, for `lewm` and `untrained`,
- scalars `probing/<model>/<linear|mlp>/<quantity>/<mse|r2|pearson_r>` and
  `probing/<model>/straightness` (mean over episodes), each with `_low` and `_high`, a 95 % percentile bootstrap
  interval over episodes; a quantity is a number of the state, or `agent_position`, `block_position` or `block_angle`,
  the mean over its parts;
- arrays `probing/probes`: `targets`, `<model>_linear`, `<model>_mlp` (M, Q), `episodes` (M,);
- event `probing/protocol`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lewm_evidence import worlds
from lewm_evidence.config import Probing
from lewm_evidence.errors import StageError
from lewm_evidence.model import LeWM
from lewm_evidence.records import Run
from lewm_evidence.records.job import main, say
from lewm_evidence.stages.pool import Pool, read_pool
from lewm_evidence.stages.probes import Score, linear_probe, mlp_probe, scaled, score, straightness
from lewm_evidence.stages.rollout import load_model, untrained_like
from lewm_evidence.stages.statistics import Estimate, bootstrap_means, record_estimate
from lewm_evidence.training.measure import probed, visible

HELD_OUT = 5  # one episode of so many
_ENDS = ("_x", "_y", "_sin", "_cos")


@dataclass(frozen=True)
class _Seen:
    """The latents of some episodes, by model, and the states they are of."""

    latents: dict[str, list[NDArray[np.float64]]]
    states: list[NDArray[np.float32]]


def run(out: Run) -> None:
    """Encodes the episodes with both models, then probes and measures."""
    config = Probing.model_validate(out.config["probing"])
    seed = out.config["seed"]
    model = load_model(out)
    models = {"lewm": model, "untrained": untrained_like(model, seed)}
    world = worlds.make(model.normalization.world)
    pool = read_pool(out)
    episodes = np.random.default_rng(seed).permutation(len(pool.lengths))[: config.episodes]
    if len(episodes) < HELD_OUT:
        raise StageError(f"probing needs at least {HELD_OUT} episodes, {len(episodes)} are there")
    seen = _see(models, world, pool, episodes)
    held_out = len(episodes) // HELD_OUT
    frames = sum(len(part) for part in seen.states)
    spacing = model.normalization.frameskip
    out.event("probing/protocol", episodes=len(episodes), held_out=held_out, frames=frames, spacing=spacing)
    _probe(out, config, world, seen, held_out)
    _straighten(out, seen)


def _see(models: dict[str, LeWM], world: worlds.World, pool: Pool, episodes: NDArray[np.int64]) -> _Seen:
    model = models["lewm"]
    latents: dict[str, list[NDArray[np.float64]]] = {name: [] for name in models}
    states = []
    for number, episode in enumerate(episodes):
        rows = pool.rows(episode, model.normalization.frameskip)
        pictures = pool.pictures(world, rows, model.config.image_size)
        for name, each in models.items():
            latents[name].append(each.encode(pictures).double().cpu().numpy())
        states.append(pool.states[rows])
        if (number + 1) % max(1, len(episodes) // 5) == 0:
            say(f"probing: {number + 1} of {len(episodes)} episodes encoded")
    return _Seen(latents, states)


def _probe(out: Run, config: Probing, world: worlds.World, seen: _Seen, held_out: int) -> None:
    """Fits on the episodes from number `held_out` on, measures on those before."""
    shown = [visible(states, world) for states in seen.states]
    quantities = [probed(states[at], world) for states, at in zip(seen.states, shown, strict=True)]
    names = list(quantities[0])
    targets = [np.column_stack([found[name] for name in names]) for found in quantities]
    raw = np.concatenate(targets[held_out:])
    scale = scaled(raw)
    wanted, wanted_test = scale(raw), scale(np.concatenate(targets[:held_out]))
    member = np.repeat(np.arange(held_out), [len(part) for part in targets[:held_out]])
    seed = out.config["seed"]
    kept = {"targets": wanted_test}
    for model, latents in seen.latents.items():
        visible_latents = [z[at] for z, at in zip(latents, shown, strict=True)]
        z, z_test = np.concatenate(visible_latents[held_out:]), np.concatenate(visible_latents[:held_out])
        kept[f"{model}_linear"] = linear_probe(z, wanted, z_test)
        kept[f"{model}_mlp"] = mlp_probe(z, wanted, z_test, config.mlp_hidden, config.mlp_epochs, seed)
        for probe in ("linear", "mlp"):
            predictions = kept[f"{model}_{probe}"]
            scores = score(predictions, wanted_test, member, _groups(names), out.config["bootstrap"], seed)
            _record(out, f"probing/{model}/{probe}", scores)
            say(f"probing: {model}, {probe}: " + ", ".join(f"{n} R² {s.r2.mean:.2f}" for n, s in scores.items()))
    out.arrays("probing/probes", {**kept, "episodes": member})


def _groups(names: list[str]) -> dict[str, list[int]]:
    """Returns the columns of each quantity, and of those that belong together: of a position, of an angle."""
    groups = {name: [column] for column, name in enumerate(names)}
    for column, name in enumerate(names):
        stem, end = name[: name.rindex("_")], name[name.rindex("_") :]
        if end in _ENDS:
            groups.setdefault(f"{stem}_position" if end in ("_x", "_y") else stem, []).append(column)
    return groups


def _record(out: Run, tag: str, scores: dict[str, Score]) -> None:
    for name, found in scores.items():
        record_estimate(out, f"{tag}/{name}/mse", found.mse)
        record_estimate(out, f"{tag}/{name}/r2", found.r2)
        record_estimate(out, f"{tag}/{name}/pearson_r", found.r)


def _straighten(out: Run, seen: _Seen) -> None:
    found = {model: [straightness(z) for z in latents] for model, latents in seen.latents.items()}
    for model, values in found.items():
        moving = [value for value in values if value is not None]
        if not moving:
            raise StageError(f"no latent of {model} ever moves; is the checkpoint collapsed?")
        column = np.array(moving)[:, None]
        estimate: Estimate = bootstrap_means(column, out.config["bootstrap"], out.config["seed"])[0]
        record_estimate(out, f"probing/{model}/straightness", estimate)
        out.histogram(f"probing/{model}/straightness_of_episodes", moving)
        say(f"probing: {model}: straightness {estimate.mean:.2f}")


if __name__ == "__main__":
    main(run)
