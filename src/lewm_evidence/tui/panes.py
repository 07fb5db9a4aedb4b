"""What each pane of the report says, as text. Everything that comes from a record goes through `clean`."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from textual.content import Content

from lewm_evidence.cli.commands import size
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.seal.bundle import BAG, evidence_folder
from lewm_evidence.seal.verify import Verified
from lewm_evidence.tui.episode import Decision
from lewm_evidence.tui.runs import LiveRun, Place, Runs, State, waiting
from lewm_evidence.tui.text import (
    BAD,
    DIM,
    GOOD,
    KEY,
    WARN,
    beside,
    clean,
    duration,
    label,
    lines,
    number,
    plot,
    table,
)

_SIGNS: dict[State, tuple[str, str]] = {
    "waiting": ("○", DIM),
    "running": ("▶", WARN),
    "done": ("✔", GOOD),
    "failed": ("✘", BAD),
}
_METHODS = {"lewm": "LeWM", "random": "random", "noop": "no-op"}
_LATENCIES = {
    "latency/encode": "encode one picture",
    "latency/cost": "cost of all samples",
    "latency/solve": "one plan, alone",
    "decision/solve": "plans of the episode",
}
_CURVES = ("loss", "prediction_loss", "val_prediction", "sigreg", "embedding_std", "probe_r2_min")
_TWO_PLOTS = 100  # columns
_EVENTS = 400  # at most this many are shown, the last


GUIDE = lines(
    label("decision", "look, score candidates, execute the start of the best"),
    label("candidate", "actions that were scripted, perturbed, random or CEM's"),
    label("cost", "predicted distance to the goal, in latents; low is good"),
    label("error", "real distance to the goal, in the simulator's px"),
    label("gate", "the rule that says whether it holds, fixed before"),
)


@dataclass(frozen=True)
class Views:
    """What can be opened.

    Attributes:
        tensorboard: the log directory, or nothing; with `follow`, the runs that it is written from meanwhile.
        rerun: the recording, or nothing.
        follow: whether TensorBoard shows what is still running.
    """

    tensorboard: Path | None
    rerun: Path | None
    follow: bool = False


def views(runs: Runs, summary: dict[str, Any] | None, live: bool) -> Views:
    """Returns what the summary names, or without one what was rendered from the runs."""
    if summary is not None:
        log_dir = _named(runs.place, summary.get("tensorboard"), "log_dir")
        return Views(log_dir, _named(runs.place, summary.get("rerun"), "save_path"))
    tensorboard, rerun = runs.stage("render_tensorboard"), runs.stage("render_rerun")
    recordings = sorted(rerun.path.glob("views/**/*.rrd")) if rerun and rerun.state == "done" else []
    shown = next((path for path in recordings if path.name == "showcase.rrd"), next(iter(recordings), None))
    if live and runs.running:
        return Views(runs.place.runs, shown, follow=True)
    done = tensorboard and tensorboard.state == "done" and any(tensorboard.path.glob("views/**/*tfevents*"))
    return Views(tensorboard.path / "views" if tensorboard and done else None, shown)


def _named(place: Place, block: object, field: str) -> Path | None:
    """Returns the path that a block of the summary names; relative ones start where `runs` lies, else here."""
    if not isinstance(block, dict) or not isinstance(block.get(field), str):
        return None
    path = Path(block[field])
    beside = place.runs.absolute().parent / path
    return beside if beside.exists() else path.absolute()


def hero(runs: Runs) -> Content:
    """Returns what is shown, whether it holds, and of which checkpoint."""
    showcase = runs.stage("showcase")
    task = clean(showcase.text("showcase/task")).replace("**", "") if showcase else ""
    none = "Scored, not shown: its world has no simulator here." if runs.stage("score") else "No showcase is here yet."
    rows = [Content.styled(re.split(r"(?<=\.) CEM: ", task)[0] or none, "bold"), _verdict(runs)]
    rows += list(_scores(runs)) + list(_outcome(showcase)) + list(_checkpoint(runs, showcase))
    rows.append(label("shown", clean(runs.place.shown)))
    return lines(*rows, *(Content.styled(f"skipped  {clean(fault)}", WARN) for fault in runs.faults.values()))


def _verdict(runs: Runs) -> Content:
    gate = runs.stage("gate")
    checks = gate.events("gate/check") if gate else []
    if gate is None and runs.place.run is not None:
        return Content.styled("○ NOT JUDGED: one episode shows no more than itself; `make evidence` plays many", WARN)
    if gate is None or (gate.state != "done" and not checks):
        return Content.styled("○ NOT DECIDED YET: the gate has not run", WARN)
    failed = [event for event in checks if event.fields.get("passed") is not True]
    if gate.state == "done" and checks and not failed:
        return Content.styled(f"✔ IT HOLDS: {len(checks)} of {len(checks)} checks of the gate passed", GOOD)
    if not failed:
        return Content.styled("○ NOT DECIDED YET: the gate is not finished", WARN)
    named = clean(failed[0].fields.get("name", "a check"))
    return Content.styled(f"✘ IT DOES NOT HOLD: {named} = {_value(failed[0].fields.get('value'))}", BAD)


def _scores(runs: Runs) -> Iterator[Content]:
    evaluate = runs.stage("evaluate")
    rows = []
    for method, name in _METHODS.items():
        success, error = (
            _interval(evaluate, f"evaluate/{method}/{tag}", scale)
            for tag, scale in (("success_rate", 100.0), ("mean_final_error_px", 1.0))
        )
        if success and error:
            told = (f"success {success} %", f"final error {error} px")
            rows.append([Content.styled(f"{name:<8}", DIM), *(Content(part) for part in told)])
    if rows:
        yield table(rows)
        yield Content.styled("          (95 % intervals, paired starts)", DIM)


def _interval(run: LiveRun | None, tag: str, scale: float) -> str:
    values = [run.scalars(tag + end).get(0) if run else None for end in ("", "_low", "_high")]
    value, low, high = (None if value is None else scale * value for value in values)
    return "" if value is None or low is None or high is None else f"{value:.0f} [{low:.0f}, {high:.0f}]"


def _outcome(showcase: LiveRun | None) -> Iterator[Content]:
    for event in showcase.events("showcase/outcome")[-1:] if showcase else ():
        told = event.fields
        end = "reached the goal" if told.get("success") is True else "spent its budget"
        distance = f"{float(told['start_error_px'] or 0):.0f} px → {float(told['final_error_px'] or 0):.0f} px"
        steps = f"{_value(told['env_steps'])} steps, {_value(told['decisions'])} decisions"
        yield label("episode", f"{end} after {steps}: {distance} from the goal")


def _checkpoint(runs: Runs, showcase: LiveRun | None) -> Iterator[Content]:
    name = showcase.spec.inputs.get("checkpoint") if showcase else None
    run = next((run for run in runs.chosen if run.name == name or (name is None and run.spec.stage == "fetch")), None)
    if run is None:
        return
    entries = FinishedRun(run.path).manifest.files if run.state == "done" else []
    digest = next((entry.sha256 for entry in entries if entry.path == "checkpoint/model.safetensors"), "")
    count = run.scalars("checkpoint/parameters").get(0)
    parts = [clean(run.spec.config.get("name") or run.spec.config.get("repo_id") or "trained here"), clean(run.name)]
    parts += [f"{count:,.0f} parameters"] if count is not None else []
    yield label("model", " · ".join(parts))
    if digest:
        yield label("sha256", digest)


def pipeline(runs: Runs, shown: int | None, live: bool, now: float) -> Content:
    """Returns a row for each stage, the first `shown` of them or all.

    Stages that were not begun are named while something may still make them.
    """
    rows = [_stage_row(run, now) for run in runs.chosen]
    if live or runs.running:
        rows += [_row("waiting", stage, "", "") for stage in waiting(runs.chosen)]
    return table(rows[:shown]) if rows[:shown] else Content.styled("no run has begun yet", DIM)


def stage_count(runs: Runs, live: bool) -> int:
    """Returns how many rows `pipeline` has."""
    return len(runs.chosen) + (len(list(waiting(runs.chosen))) if live or runs.running else 0)


def _stage_row(run: LiveRun, now: float) -> list[Content]:
    wall = run.times("stage/wall_time")
    took = duration(wall[max(wall)]) if wall else ""
    detail = clean(run.path.name)[:8]
    if run.state == "running":
        took, detail = duration(max(now - run.begun, 0)), _last_line(run)
    elif run.state == "failed":
        detail = _last_line(run) or "ended or killed before it finished"
    if run.fault:
        detail = clean(run.fault, 100)
    return _row(run.state, run.spec.stage, took, detail)


def _last_line(run: LiveRun) -> str:
    return clean(run.last_line.removeprefix(f"{run.spec.stage}: "), 100)


def _row(state: State, stage: str, took: str, detail: str) -> list[Content]:
    sign, style = _SIGNS[state]
    return [
        Content.styled(f"{sign} {state}", style),
        Content(clean(stage)),
        Content(took),
        Content.styled(detail, DIM),
    ]


def rerun(views: Views, told: str) -> Content:
    """Returns what can be seen with Rerun, and how."""
    if views.rerun is None:
        return Content.styled("No recording has been made of this yet.", DIM)
    known = f" ({size(views.rerun.stat().st_size)})" if views.rerun.is_file() else ""
    return lines(
        Content.assemble(("o", KEY), f" opens {clean(views.rerun.name)}{known}: the scene in time"),
        Content.styled(told or f"lewm-evidence open-rerun {shlex.quote(clean(views.rerun))}", DIM),
    )


def tensorboard(views: Views, url: str, told: str) -> Content:
    """Returns what can be seen with TensorBoard, where, and how."""
    what = "what is recorded, as it happens" if views.follow else "every scalar, histogram, picture and text"
    flag = " --follow" if views.follow else ""
    place = shlex.quote(clean(views.tensorboard))
    return lines(
        Content.assemble(("t", KEY), f" starts TensorBoard on {what}"),
        label("address", url),
        Content.styled(told or f"lewm-evidence open-tensorboard --logdir {place}{flag}", DIM),
    )


def metrics(run: LiveRun, decisions: list[Decision]) -> Content:
    """Returns how long the model takes, and the shapes that go in and come out."""
    rows: list[list[Content | str]] = [["", "p50", "p95", "first", "n"]]
    for tag, name in _LATENCIES.items():
        values = run.times(tag)
        warm = [value for step, value in values.items() if step > 0 or tag.startswith("decision/")]
        if warm:
            p50, p95 = np.percentile(warm, [50, 95])
            rows.append([name, duration(p50), duration(p95), duration(values[min(values)]), str(len(warm))])
    shown: list[Content | str] = [table(rows, right=(1, 2, 3, 4)) if len(rows) > 1 else "nothing was measured yet"]
    peak = run.times("stage/peak_memory")
    shown += [f"memory at most {size(max(peak.values()))}"] if peak else []
    return lines(*shown, "", *_contract(run, decisions))


def _contract(run: LiveRun, decisions: list[Decision]) -> Iterator[Content]:
    picture = next(iter(run.images("showcase/observation").values()), None)
    shapes = decisions[0].shapes if decisions else {}
    told = {
        "picture": f"({picture.height}, {picture.width}, 3) uint8" if picture else None,
        "actions": shapes.get("candidate_actions"),
        "costs": shapes.get("candidate_costs"),
        "latents": shapes.get("predicted_latents"),
        "device": " · ".join(str(part) for part in (run.spec.device, run.spec.precision) if part) or None,
    }
    yield from (label(name, str(value)) for name, value in told.items() if value)


def training(run: LiveRun, width: int) -> Content:
    """Returns the curves of a training, two beside each other where `width` allows."""
    blocks: list[Content] = []
    columns = 2 if width >= _TWO_PLOTS else 1
    for name in _CURVES:
        values = run.scalars(f"train/{name}")
        if values:
            last = values[max(values)]
            head = Content.assemble((f"train/{name}", "bold"), f"  now {number(last)} at step {max(values)}")
            blocks.append(lines(head, plot(values, width // columns - 14, 6), ""))
    steps = run.spec.config.get("steps")
    done = max(run.scalars("train/loss"), default=0)
    share = f"step {done} of {steps}" if isinstance(steps, int) else f"step {done}"
    sign, style = _SIGNS[run.state]
    head = Content.assemble((f"{sign} {run.state}", style), f"  {clean(run.name)}  {share}")
    rows: list[Content | str] = [beside(blocks[start : start + columns]) for start in range(0, len(blocks), columns)]
    return lines(head, _last_line(run), "", *(rows or ["nothing was recorded yet"]))


def events(runs: Runs) -> Content:
    """Returns what happened, the stages in their order."""
    rows: list[list[Content | str]] = []
    for run in runs.chosen:
        if run.fault:
            rows.append([run.spec.stage, "", "", Content.styled(clean(run.fault), BAD)])
        for event in run.events():
            fields = "  ".join(f"{clean(name)}={_value(value)}" for name, value in event.fields.items())
            rows.append([Content.styled(run.spec.stage, DIM), event.tag, str(event.step), clean(fields, 300)])
    if not rows:
        return Content.styled("nothing has happened yet", DIM)
    left = len(rows) - _EVENTS
    head = [Content.styled(f"… {left} more before these", DIM)] if left > 0 else []
    return lines(*head, table(rows[-_EVENTS:], right=(2,)))


def _value(value: object) -> str:
    return number(value) if isinstance(value, float) else clean(value, 80)


def bundle_of(runs: Runs) -> Path | None:
    """Returns the bundle that was named, or that was sealed of these runs."""
    seal = runs.stage("seal")
    if runs.place.bundle is not None or seal is None:
        return runs.place.bundle
    path = evidence_folder(seal.path)
    return path if path.is_dir() else None


def verification(bundle: Path | None, outcome: Verified | str | None, busy: bool) -> Content:
    """Returns whether the bundle is what was sealed, and how to see and make that again."""
    if bundle is None:
        return Content.styled("Nothing has been sealed of this yet; `make evidence` does.", DIM)
    inner = bundle / BAG
    place, bag = shlex.quote(clean(bundle)), shlex.quote(clean(inner if inner.is_dir() else bundle))
    head: list[Content | str] = [
        label("bundle", clean(bundle)),
        "",
        _outcome_of(outcome, busy),
        "",
    ]
    if isinstance(outcome, Verified):
        told = {
            "address": outcome.address,
            "result": outcome.result_digest,
            "holds": f"{outcome.files} files, {size(outcome.size)}, {len(outcome.runs)} runs",
            "signed": _signer(outcome),
        }
        head += [label(name, clean(value)) for name, value in told.items()]
        head += ["Compare the address with one you know: this alone does not say who sealed it.", ""]
    commands = (
        f"lewm-evidence verify {place}",
        f"(cd {bag} && sha256sum --check --strict --quiet tagmanifest-sha256.txt manifest-sha256.txt)",
        f"lewm-evidence reproduce {place}",
    )
    asks = ("check it yourself", "with other tools", "make it again and compare")
    for ask, command in zip(asks, commands, strict=True):
        head += [Content.styled(ask, DIM), command]
    return lines(*head)


def _outcome_of(outcome: Verified | str | None, busy: bool) -> Content:
    if busy:
        return Content.styled("▶ VERIFYING: every file is read", WARN)
    if outcome is None:
        return Content.assemble(("○ NOT VERIFIED HERE YET: ", WARN), ("v", KEY), " does it")
    if isinstance(outcome, str):
        return Content.styled(f"✘ REFUSED: {clean(outcome)}", BAD)
    return Content.styled("✔ ACCEPTED: exactly what was sealed", GOOD)


def _signer(outcome: Verified) -> str:
    signer = outcome.signed_by
    if signer is None:
        return "no"
    return f"{signer.fingerprint} ({signer.principal or signer.kind})"
