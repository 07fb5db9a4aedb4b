"""Plans from every chosen start, by the published protocol, with the model and with an untrained one.

Inputs: `checkpoint`, `starts` (and `data` where the starts are recorded ones). Config: `seed`, `planner`.

The first plan of an episode and its goal come from the recorded pictures, where there are any, later plans from what
the simulator draws. The untrained model has the same architecture and planner: it shows what planning without
knowledge reaches.

Writes, for the methods `lewm` and `untrained`, the scalars of `play`, `success/<method>/...`,
and the event `success/planner` with `path`, what computed. Timing: `success/solve`,
one for each plan of `lewm` with encoding, in the order made, so the first is a cold one.
"""

import time

from lewm_evidence import worlds
from lewm_evidence.config import Planner
from lewm_evidence.records import Run
from lewm_evidence.records.job import main
from lewm_evidence.stages.play import PolicyFor, play
from lewm_evidence.stages.pool import Chosen, read_chosen
from lewm_evidence.stages.rollout import (
    Actions,
    Actor,
    Policy,
    Task,
    episode_seeds,
    generator,
    load_model,
    untrained_like,
)
from lewm_evidence.worlds import World


def run(out: Run) -> None:
    """Plays every start with both models."""
    planner = Planner.model_validate(out.config["planner"])
    seed = out.config["seed"]
    chosen = read_chosen(out)
    model = load_model(out)
    world = worlds.make(model.normalization.world)
    seconds: list[float] = []
    actor = Actor(model, planner)
    play(out, world, chosen, "lewm", _planning(actor, chosen, seed, seconds))
    out.event("success/planner", path=actor.model.path)
    for number, value in enumerate(seconds):
        out.timing("success/solve", value, number)
    untrained = Actor(untrained_like(model, seed), planner)
    play(out, world, chosen, "untrained", _planning(untrained, chosen, seed, []))


def _planning(actor: Actor, chosen: Chosen, seed: int, seconds: list[float]) -> PolicyFor:
    """Returns planning with `actor`; the duration of each plan is added to `seconds`."""

    def policy_for(world: World, number: int, task: Task) -> Policy:
        start, goal = chosen.pictures(world, number, task, actor.model.config.image_size)
        z_goal = actor.encode(goal)
        stream = generator(episode_seeds(seed, number).planner)

        def plan_and_act(world: World, left: int) -> Actions:
            began = time.perf_counter()
            picture = start if left == chosen.budget else actor.picture(world, world.state)
            plan = actor.plan(actor.encode(picture), z_goal, stream, left)
            actions = actor.actions(plan.actions)[: actor.execute]
            seconds.append(time.perf_counter() - began)
            return actions

        return plan_and_act

    return policy_for


if __name__ == "__main__":
    main(run)
