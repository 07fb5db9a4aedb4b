"""What every rule needs: the validated configuration, the plan made from it, and how a stage is started.

A run's key, and with it its folder, is computed here, while Snakemake reads the rules and before anything runs.
"""

import hashlib
import os
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake_logger_plugin_evidence import at_rest

from lewm_evidence.canonical import write_atomic
from lewm_evidence.config import parse_config
from lewm_evidence.errors import EvidenceError
from lewm_evidence.live import claim_folder
from lewm_evidence.plan import plan
from lewm_evidence.plan_workers import (
    links,
    plan_wandb,
    plan_workers,
    torch_build,
)
from lewm_evidence.sweep import MEMBER_STAGES, plan_sweep

LOCKS = Path(workflow.basedir) / "workflow" / "envs"

try:
    CONFIG = parse_config(config)
    PLAN = plan(CONFIG)
    WORKERS = plan_workers(CONFIG, PLAN, LOCKS)
    TRACKED = plan_wandb(CONFIG, PLAN, LOCKS)
    SWEEP = plan_sweep(CONFIG) if CONFIG.sweep is not None else None
    if workflow.is_main_process:
        claim_folder(Path(".snakemake"), sys.argv[1:])
except EvidenceError as error:
    raise WorkflowError(str(error))

if CONFIG.seal.key is not None:
    # A path; the stage reads it from here, so that no spec and no command line names a key.
    os.environ.setdefault("LEWM_EVIDENCE_SIGNING_KEY", CONFIG.seal.key)

BUNDLE = f"evidence/{PLAN['seal'].key}/bundle.json"

# Several working folders may share one store of runs: each has a console log of its own. Benchmarks have none, because
# Snakemake takes them for outputs, and would miss those of a run that another folder made.
HEAD = hashlib.sha256(os.getcwd().encode()).hexdigest()[:8]


# Linux allows 128 KiB for one argument, and the whole command is one of bash.
LONGEST_WORD = 100_000

DOING = {
    "fetch": "Take the checkpoint, every file checked by sha256",
    "collect": "Collect {episodes} episodes to train on",
    "train": "Train for {steps} steps of {batch} windows",
    "score": "Encode and score; this world has no simulator here",
    "showcase": "Play one episode in full: seed {seed}, {budget} steps at most",
    "evaluate": "Play {episodes} starts with LeWM, with random actions and with none",
    "gate": "Ask whether LeWM is shown to beat random actions",
    "starts": "Choose {starts[episodes]} starts as the paper does",
    "baselines": "Play every start without a model: no action, random, replayed, oracle",
    "success": "Plan from every start with LeWM, and with an untrained one",
    "probing": "Probe the latents of {probing[episodes]} episodes at most",
    "surprise": "Measure surprise in {surprise[episodes]} episodes",
    "tables": "Put what was measured beside what was published",
    "render_tensorboard": "Write the records as TensorBoard event files",
    "probe_tensorboard": "Ask the real TensorBoard for every point",
    "render_rerun": "Write the records as Rerun recordings",
    "probe_rerun": "Ask the real Rerun for every value",
    "report": "Write the report page",
    "seal": "Seal every run into one bundle",
    "verify": "Read the bundle as a stranger would; refuse what is not as sealed",
    "worker": "Train {worker} {algo} on {env_id}, {total_timesteps} steps, seed {seed}",
    "compare": "Compare all foreign trainers on one page",
    "parity": "Compare with the reference implementation on {questions} questions",
    "fetch_policy": "Take the foreign policy, every file checked by sha256",
    "convert_policy": "Convert the foreign policy",
    "policy": "Let the foreign policy propose actions and LeWM score them",
    "render_wandb": "Write a run for W&B, {mode}",
}


# What moves data runs where Snakemake runs: compute nodes often have no network, and nothing to gain from copying.
localrules:
    seal,
    verify,


def made(stage):
    """The output of a stage. It is not deleted first: another working folder may have made it a moment ago."""
    return update(PLAN[stage].manifest)


def log_of(stage):
    """Console output of a stage; beside its records, never sealed."""
    return str(PLAN[stage].path / "logs" / f"console-{HEAD}.log")


def benchmark_of(stage):
    """Snakemake's own measurement of a stage; beside its records, never sealed."""
    return str(PLAN[stage].path / "logs" / "benchmark.tsv")


def command(stage):
    """The command line that runs a stage; its output is shown and kept."""
    return command_of(PLAN[stage], ranks(stage))


def command_of(run, ranks=1):
    """The command line that makes a planned run; a spec too long for one is written into the run directory."""
    words = [sys.executable, "-m", f"lewm_evidence.stages.{run.spec.stage}"]
    words += ["--runs", "runs", "--threads", str(CONFIG.threads)]
    if ranks > 1:
        words += ["--ranks", str(ranks)]
    words += ["--spec"]
    if len(run.spec_json) < LONGEST_WORD:
        return shlex.join([*words, run.spec_json])
    if not workflow.dryrun:
        write_atomic(run.path / "spec.json", run.spec_json.encode() + b"\n")
    return shlex.join([*words, str(run.path / "spec.json")])


def worker_run(key):
    """The planned run of a foreign trainer, or of what is made from them, by its key."""
    return next(run for run in (*WORKERS.values(), *TRACKED.values()) if run.key == key)


def ranks(stage):
    """How many processes share the work of a stage."""
    return CONFIG.ranks if stage == "train" else 1


def gpus(stage):
    """How many GPUs a stage asks the scheduler for."""
    return gpus_of(PLAN[stage], ranks(stage))


def gpus_of(run, ranks=1):
    """The same for any run."""
    return ranks if run.spec.device == "cuda" else 0


def doing(run):
    """What a planned run does, with its numbers: the message of its rule."""
    return DOING[run.spec.stage].format(**run.spec.config)


def distinct(*names):
    """Those names whose runs differ; of two names for one run the last."""
    return list({PLAN[name].key: name for name in names if name in PLAN}.values())


def tell():
    """Says what the evidence shows, and where to look, where there is some."""
    if (
        workflow.is_main_process
        and Path(PLAN["verify"].manifest).exists()
        and Path(BUNDLE).exists()
    ):
        # Not by the command: a start of Python would double the time of a call with nothing to do.
        from lewm_evidence.seal.summary import summary

        try:
            print(*summary(Path(BUNDLE).parent), sep="\n", flush=True)
        except EvidenceError as error:
            print(error, flush=True)


# What failed, and what to do, is told by the profiles' logger (src/snakemake_logger_plugin_evidence).
onsuccess:
    tell()


at_rest.append(tell)
