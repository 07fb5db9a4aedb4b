"""Playing every start with one method, and what is recorded of it."""

from collections.abc import Callable

from lewm_evidence import worlds
from lewm_evidence.records import Run
from lewm_evidence.records.job import say
from lewm_evidence.stages.pool import Chosen
from lewm_evidence.stages.rollout import Policy, Task, act

_REPORTS = 5  # progress lines for a method

PolicyFor = Callable[[worlds.World, int, Task], Policy]
"""From the world, the number of a start and its task to the policy that plays it."""


def play(out: Run, world: worlds.World, chosen: Chosen, method: str, policy_for: PolicyFor) -> None:
    """Plays every start and records `<stage>/<method>/reached` (0 or 1), `.../final_error_px` and `.../env_steps`.

    The step of a record is the number of the start. Success is looked for after every step, as in the published
    evaluation: a start counts when the simulator would have ended its episode at any time within the budget.
    """
    reached = 0
    for number in range(len(chosen)):
        task = chosen.task(world, number)
        outcome = act(world, task, policy_for(world, number, task), chosen.budget)
        tag = f"{out.spec.stage}/{method}"
        out.scalar(f"{tag}/reached", outcome.success, number)
        out.scalar(f"{tag}/final_error_px", outcome.final_error_px, number)
        out.scalar(f"{tag}/env_steps", outcome.env_steps, number)
        reached += outcome.success
        if (number + 1) % max(1, len(chosen) // _REPORTS) == 0:
            say(f"{tag}: {reached} of {number + 1} starts reached, {len(chosen)} in all")
