"""Foreign trainers for real: installed, trained, shown, tracked, compared, sealed, killed and run again."""

import json
import os
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import Project

from lewm_evidence.records import FinishedRun
from lewm_evidence.seal.verify import verify
from lewm_evidence.workers.native import COMMON, MEASURED, read_scalars

pytestmark = pytest.mark.workers

SHORT = {"total_timesteps": 1024, "hyperparameters": {"n_steps": 128}}
PENDULUM = {"total_timesteps": 700, "env_id": "Pendulum-v1"}
WORKERS = [
    {"worker": "sb3", "algo": "ppo", **SHORT, "track": True, "log_dir": "var/trainer/runs"},
    {"worker": "sb3", "algo": "ppo", **SHORT, "seed": 1},
    {"worker": "sb3", "algo": "a2c", "total_timesteps": 1500},
    {"worker": "sb3", "algo": "dqn", "total_timesteps": 1500, "hyperparameters": {"learning_starts": 200}},
    {"worker": "sb3", "algo": "sac", **PENDULUM},
    {"worker": "sb3", "algo": "td3", **PENDULUM},
    {"worker": "cleanrl", "algo": "ppo", "total_timesteps": 2048, "tensorboard_dir": "var/trainer/runs"},
]
UNDEFINED = {"dqn": {"losses/policy_loss", "losses/entropy"}, "sac": {"losses/entropy"}, "td3": {"losses/entropy"}}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A folder in which every trainer of `WORKERS` has run."""
    made = Project(tmp_path_factory.mktemp("workers"), patience=1500)
    done = made.snakemake("workers", workers=WORKERS, parity=None)
    assert done.returncode == 0, done.stdout[-4000:]
    return made


def runs(project: Project, stage: str) -> Iterator[FinishedRun]:
    """Yields the finished runs of one stage."""
    for manifest in sorted(project.path.glob(f"runs/{stage}/*/manifest.json")):
        yield FinishedRun(manifest.parent)


def test_every_common_tag_holds_the_native_values(project: Project) -> None:
    """At least three points of every tag that the algorithm has, equal to what the library logged itself."""
    trained = list(runs(project, "worker"))
    assert len(trained) == len(WORKERS)
    for run in trained:
        native = read_scalars(run.path / "logs" / "native")
        series = {str(event.fields["series"]): event.fields for event in run.events("worker/series")}
        assert set(series) == set(COMMON)
        for tag, known in series.items():
            label = f"{run.spec.config['worker']} {run.spec.config['algo']} {tag}"
            if tag in UNDEFINED.get(run.spec.config["algo"], set()):
                assert known["estimator"] == "not defined for this algorithm", label
                continue
            sign = -1.0 if known["source"] == "train/entropy_loss" else 1.0
            wanted = [(step, sign * value) for step, value in native[str(known["source"])]]
            if tag == MEASURED:
                found = [(timing.step, timing.value) for timing in run.timings() if timing.tag == tag]
            else:
                found = [(r.step, r.value) for r in run.records("scalar") if r.tag == tag]
            assert found == wanted and len(found) >= 3, label


def test_jsonl_tensorboard_and_wandb_hold_the_same_numbers(project: Project) -> None:
    """One set of numbers in four forms."""
    (tracked,) = runs(project, "render_wandb")
    run = FinishedRun(project.path / "runs" / tracked.spec.inputs["run"])
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    rows = [(row["tag"], row["step"], row["value"]) for row in lines]
    assert all(row["source"] and row["estimator"] for row in lines)
    assert sorted(rows) == sorted((r.tag, r.step, r.value) for r in run.records("scalar"))
    (shown,) = runs(project, "render_tensorboard")
    name = next(name for name, path in shown.spec.inputs.items() if path == run.name)
    board = read_scalars(shown.path / "views" / "results" / name)
    by_tag = defaultdict(list)
    for tag, step, value in rows:
        by_tag[tag].append((step, pytest.approx(value, rel=1e-6)))
    assert {tag: board[tag] for tag in by_tag} == by_tag
    wandb = wandb_history(project, tracked)
    assert {tag: wandb[tag] for tag in by_tag} == by_tag


def wandb_history(project: Project, tracked: FinishedRun) -> dict[str, list[tuple[int, float]]]:
    """Returns what wandb's own inspect command reads, and checks name, artefacts and system load on the way."""
    (folder,) = (tracked.path / "views" / "wandb").glob("offline-run-*")
    (environment,) = project.path.glob("envs/wandb-*")
    command = [environment / "bin/wandb", "leet", "inspect", "--json", folder]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    label = tracked.events("wandb/run")[0].fields["run_id"]
    first = next(line["run"] for line in lines if line["type"] == "run")
    assert first["run_id"] == label == first["display_name"] and first["project"] == "lewm-evidence"
    assert first["config"]["update"]["total_timesteps"] == 1024
    artifact = next(line["artifact"] for line in lines if line["type"] == "artifact")
    assert {"metrics.jsonl", "records.jsonl"} <= {entry["path"] for entry in artifact["manifest"]["contents"]}
    assert any(line["type"] == "stats" for line in lines), "no system load was sampled"
    history: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for item in (line["history"]["item"] for line in lines if line["type"] == "history"):
        for tag in item.keys() - {"step"}:
            history[tag].append((item["step"], item[tag]))
    return history


def test_the_bundle_verifies_and_names_every_trainer(project: Project) -> None:
    """A stranger's check accepts it; the trainers' own logs are not in it."""
    (bundle,) = (path.parent for path in project.path.glob("evidence/*/bundle.json"))
    verify(bundle)
    held = [str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()]
    assert sum(name.endswith("metrics.jsonl") for name in held) == len(WORKERS)
    assert sum(name.endswith(".wandb") for name in held) == 1
    assert not any("native" in name or "telemetry" in name for name in held)


def test_curves_join_seeds_and_files_lie_where_the_documents_look(project: Project) -> None:
    """Two seeds make one curve with an interval; `<log_dir>/<ULID>/tensorboard` leads to the event files."""
    (compared,) = runs(project, "compare")
    seeds = {str(event.fields["curve"]): event.fields["seeds"] for event in compared.events("compare/curve")}
    assert seeds["sb3-ppo-CartPole-v1"] == 2 and seeds["cleanrl-ppo-CartPole-v1"] == 1
    low = compared.scalars("compare/sb3-ppo-CartPole-v1/episodic_return_low")
    mean = compared.scalars("compare/sb3-ppo-CartPole-v1/episodic_return")
    assert len(mean) >= 3 and any(low[step] < mean[step] for step in mean)
    places = sorted(project.path.glob("var/trainer/runs/*/tensorboard"))
    assert len(places) == 2
    assert all("charts/episodic_return" in read_scalars(place.resolve()) for place in places)


def test_the_same_seed_gives_the_same_records(project: Project) -> None:
    """PPO of SB3 and of CleanRL, run again from nothing."""
    chosen = [run for run in runs(project, "worker") if run.spec.config["algo"] == "ppo"]
    before = {run.name: run.manifest.result_digest for run in chosen}
    for run in chosen:
        (run.path / "manifest.json").rename(run.path / "manifest.before")
    done = project.snakemake(*(f"runs/{name}/manifest.json" for name in before), workers=WORKERS, parity=None)
    assert done.returncode == 0, done.stdout[-4000:]
    assert {name: FinishedRun(project.path / "runs" / name).manifest.result_digest for name in before} == before


def test_a_killed_worker_says_so_disturbs_nothing_and_completes_on_the_next_call(project: Project) -> None:
    """Kill -9 of the trainer itself, while another one trains."""
    workers = [{**WORKERS[0], "seed": 7, "total_timesteps": 4096}, {**WORKERS[0], "seed": 8}]
    finished = project.keys()
    command = project.command("--keep-going", "workers", workers=workers, parity=None)
    with subprocess.Popen(
        command, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as head:
        try:
            os.kill(trainer_of(project, seed=7), signal.SIGKILL)
            output, _ = head.communicate(timeout=600)
        except BaseException:
            os.killpg(head.pid, signal.SIGKILL)
            raise
    assert head.returncode != 0 and "was killed (signal 9)" in output
    seeds = {run.spec.config["seed"] for run in runs(project, "worker")}
    assert 8 in seeds and 7 not in seeds
    assert {name: digest for name, digest in project.keys().items() if name in finished} == finished
    done = project.snakemake("workers", workers=workers, parity=None)
    assert done.returncode == 0, done.stdout[-4000:]


def trainer_of(project: Project, seed: int) -> int:
    """Returns the process that trains with `seed`, once it has begun."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for spec in project.path.glob("runs/worker/*/logs/spec.json"):
            if json.loads(spec.read_text())["config"]["seed"] == seed:
                for process in Path("/proc").glob("[0-9]*/cmdline"):
                    try:
                        words = process.read_bytes().split(b"\0")
                    except OSError:
                        continue
                    if str(spec).encode() in words and b"-I" not in words:
                        return int(process.parent.name)
        time.sleep(0.2)
    raise AssertionError("the trainer did not start")
