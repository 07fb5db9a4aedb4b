"""The configuration: one typed model, from which the commented default and the JSON schema are generated.

Unknown keys are refused. Each field says what it means, its unit and its range; `config.yaml` repeats it.
"""

import re
from pathlib import PurePosixPath
from types import NoneType
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from lewm_evidence.errors import ConfigError
from lewm_evidence.presets import presets

Positive = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$", max_length=80)]
WorldName = Literal["pusht", "tworoom"]
# Checkpoints are taken, and scored, also of worlds whose simulator is not here.
CheckpointWorld = Literal["pusht", "tworoom", "reacher", "cube"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EmbeddedCheckpoint(_Model):
    """A checkpoint that ships inside the package; needs no network."""

    source: Literal["embedded"] = Field("embedded", description="embedded, preset, hub or trained")
    name: Literal["pusht", "tworoom"] = Field("pusht", description="which of the shipped checkpoints")


class HubCheckpoint(_Model):
    """A checkpoint on the Hugging Face hub, pinned by revision and by the sha256 of every file."""

    source: Literal["hub"]
    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] = Field(description="owner/name on the hub")
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] = Field(
        description="full commit id, 40 hex digits; branch names move and are refused"
    )
    files: dict[Annotated[str, Field(pattern=r"^[\w.-]+$")], Sha256] = Field(
        description="file name to sha256; config.json, and weights.pt or model.safetensors"
    )
    world: CheckpointWorld = Field(description="the simulator the checkpoint was trained on")
    action_mean: list[float] = Field(description="mean of one raw action in the training data, per dimension")
    action_std: list[Annotated[float, Field(gt=0)]] = Field(description="its standard deviation")

    @model_validator(mode="after")
    def _complete(self) -> "HubCheckpoint":
        weights = {"weights.pt", "model.safetensors"} & self.files.keys()
        if "config.json" not in self.files or len(weights) != 1:
            raise ValueError("files must name config.json and one of weights.pt, model.safetensors")
        if len(self.action_mean) != len(self.action_std):
            raise ValueError("action_mean and action_std must have the same length")
        return self


class PresetCheckpoint(_Model):
    """A published checkpoint by name. It is read as the hub checkpoint that `presets.yaml` pins under that name."""

    source: Literal["preset"]
    name: CheckpointWorld = Field(description="a row of presets.yaml")
    action_mean: list[float] | None = Field(None, description="where the row does not know it, or to correct it")
    action_std: list[float] | None = Field(None, description="as action_mean")


class TrainedCheckpoint(_Model):
    """The checkpoint that the collect and train stages below make."""

    source: Literal["trained"]


def _resolved(
    checkpoint: "EmbeddedCheckpoint | HubCheckpoint | PresetCheckpoint | TrainedCheckpoint",
) -> "EmbeddedCheckpoint | HubCheckpoint | TrainedCheckpoint":
    """Writes a preset out, so that it and the same pins written by hand give the same runs."""
    if not isinstance(checkpoint, PresetCheckpoint):
        return checkpoint
    preset = presets()[checkpoint.name]
    unknown = [name for name, sha256 in preset.files.items() if sha256 is None]
    if unknown:
        raise ValueError(
            f"the sha256 of {', '.join(unknown)} in {preset.repo} is not known here; run "
            f"`lewm-evidence pin {preset.repo} --revision {preset.revision}` and use what it prints"
        )
    fields = {
        "source": "hub",
        "repo": preset.repo,
        "revision": preset.revision,
        "files": preset.files,
        "world": preset.world,
        "action_mean": checkpoint.action_mean or preset.action_mean,
        "action_std": checkpoint.action_std or preset.action_std,
    }
    if fields["action_mean"] is None or fields["action_std"] is None:
        raise ValueError(
            f"the mean and spread of one action in the training data of {preset.repo} are not known here; "
            "give checkpoint.action_mean and checkpoint.action_std"
        )
    try:
        return HubCheckpoint.model_validate(fields)
    except ValidationError as error:
        raise ValueError(_sentence(error.errors()[0])) from error


Checkpoint = Annotated[
    EmbeddedCheckpoint | HubCheckpoint | PresetCheckpoint | TrainedCheckpoint,
    Field(discriminator="source"),
    AfterValidator(_resolved),
]


class Planner(_Model):
    """The cross-entropy method, as in the paper's evaluation (arXiv 2603.19312, appendix on planning)."""

    num_samples: Positive = Field(200, description="candidate action sequences per iteration; the paper uses 300")
    iterations: Positive = Field(8, description="refinements of the sampling distribution; the paper uses 30")
    elites: Positive = Field(20, description="best candidates that the next distribution is fitted to; paper 30")
    horizon: Positive = Field(5, description="length of a plan in action blocks of frameskip steps each; paper 5")
    execute: Positive = Field(5, description="blocks of a plan that are executed before planning again; paper 5")
    countdown: bool = Field(
        False, description="plan to be at the goal after goal_offset steps, then within two blocks; paper false"
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="of the model's products; bf16 is faster and plans a little differently"
    )

    @model_validator(mode="after")
    def _ordered(self) -> "Planner":
        if not 2 <= self.elites <= self.num_samples:
            raise ValueError(f"elites must lie in 2..num_samples={self.num_samples}, got {self.elites}")
        if self.execute > self.horizon:
            raise ValueError(f"execute must be at most horizon={self.horizon}, got {self.execute}")
        return self


PAPER_PLANNER = Planner(num_samples=300, iterations=30, elites=30, horizon=5, execute=5)
_PRESETS = {"small": Planner(), "paper": PAPER_PLANNER}


def _named_planner(value: Any) -> Any:
    return _PRESETS.get(value, value) if isinstance(value, str) else value


PlannerChoice = Annotated[
    Planner, BeforeValidator(_named_planner, json_schema_input_type=Planner | Literal["small", "paper"])
]
"""A planner's numbers, or the name of a preset: `small` for the default above, `paper` for the published ones."""


class Showcase(_Model):
    """One episode, recorded in full: plan, act in the real simulator, look again."""

    seed: Seed = Field(11, description="chooses start and goal")
    goal_offset: Positive = Field(25, description="the goal is the state this many steps along a scripted push")
    budget: Positive = Field(50, description="environment steps at most; ends earlier on success")
    candidates: Positive = Field(12, description="action sequences shown from each source, per decision")
    latency_repeats: Positive = Field(20, description="warm repeats behind the latency percentiles")
    planner: PlannerChoice = Field(default_factory=lambda: Planner(execute=2), description="how to plan")


class Evaluate(_Model):
    """Many seeded starts, each given to the world model and to the baselines."""

    seed: Seed = Field(
        31415, description="chooses starts and goals; none of them was looked at while training was tuned"
    )
    episodes: Annotated[int, Field(ge=5)] = Field(100, description="paired starts; at least 50 for evidence")
    goal_offset: Positive = Field(25, description="as in showcase; paper 25")
    budget: Positive = Field(50, description="environment steps per episode; paper 50")
    bootstrap: Annotated[int, Field(ge=100)] = Field(10_000, description="resamples behind the intervals")
    planner: PlannerChoice = Field(
        default_factory=lambda: Planner(execute=2, countdown=True),
        description="how to plan; `paper` for the published numbers",
    )


class Gate(_Model):
    """What must hold, or `evidence` fails."""

    lewm_minus_random_px: float = Field(
        -50.0,
        description="bound on the upper 95 % limit of (LeWM - random) final error over the paired starts",
    )
    lewm_minus_noop_px: float = Field(
        0.0,
        description="the same for (LeWM - no action); above 0 it lets pass what is no better than staying still",
    )


class Starts(_Model):
    """Which episodes the tables are about, and from where to where is planned; docs/science.md."""

    choice_seed: Seed = Field(42, description="draws the starts from all possible ones; 42 in the published evaluation")
    episodes: Annotated[int, Field(ge=5)] = Field(100, description="starts; paper 50")
    goal_offset: Positive = Field(25, description="the goal is the state this many steps along the episode; paper 25")
    budget: Positive = Field(50, description="environment steps per start; paper 50")
    pool: Annotated[int, Field(ge=10)] = Field(500, description="scripted episodes; unused with collect.dataset")
    pool_steps: Positive = Field(100, description="environment steps of each")

    @model_validator(mode="after")
    def _fits(self) -> "Starts":
        if self.goal_offset > self.pool_steps:
            raise ValueError(f"goal_offset must be at most pool_steps={self.pool_steps}, got {self.goal_offset}")
        return self


class Probing(_Model):
    """What can be read from latents, and how straight their paths are."""

    episodes: Annotated[int, Field(ge=10)] = Field(500, description="episodes at most; a fifth of them is held out")
    mlp_hidden: Positive = Field(256, description="width of the small network's hidden layer")
    mlp_epochs: Positive = Field(60, description="its passes over the training frames")


class Surprise(_Model):
    """Violation of expectation: something impossible happens in the middle of an episode."""

    episodes: Annotated[int, Field(ge=5)] = Field(100, description="episodes at most, each with and without it")
    before: Positive = Field(6, description="action blocks before it; at least the model's history")
    after: Positive = Field(6, description="action blocks from it on")


class Tables(_Model):
    """The paper's tables for this checkpoint, by `snakemake tables`; docs/science.md."""

    sealed: bool = Field(False, description="make them with evidence, and take them into report and bundle")
    seed: Seed = Field(31415, description="of all that is random but the choice of starts; nothing was tuned on it")
    bootstrap: Annotated[int, Field(ge=100)] = Field(10_000, description="resamples behind the intervals")
    planner: PlannerChoice = Field(PAPER_PLANNER, description="how to plan; `small` for the default of evaluate")
    oracle: Planner = Field(
        Planner(num_samples=100, iterations=6, elites=10),
        description="planning in the simulator itself, which is slow, so samples are few",
    )
    starts: Starts = Field(default_factory=Starts, description="the episodes")
    probing: Probing = Field(default_factory=Probing, description="what latents hold, and how straight their paths are")
    surprise: Surprise = Field(default_factory=Surprise, description="violation of expectation")


class Dataset(_Model):
    """Recorded episodes of others, by path or pinned on the hub; see docs/data.md."""

    path: str = Field(description="LeRobot v3 folder, or .h5, .h5.zst, .tar.zst; relative to the project")
    sha256: Sha256 | None = Field(None, description="of the file at path, or of the listing of a folder")
    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = Field(
        None, description="dataset repository on the hub that has the file, if path is to be fetched"
    )
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = Field(None, description="its full commit id")
    camera: str | None = Field(None, description="feature with the pictures, of a LeRobot folder with several")
    image_size: Positive = Field(64, description="side the pictures are shrunk to; as train.image_size")
    episodes: Positive | None = Field(None, description="take the first so many; null takes all")

    @model_validator(mode="after")
    def _pinned(self) -> "Dataset":
        if (self.repo is None) != (self.revision is None) or (self.repo is not None and self.sha256 is None):
            raise ValueError("a dataset from the hub needs repo, revision and sha256")
        return self


class Collect(_Model):
    """Training data: scripted episodes, states and actions without pictures; or recorded ones."""

    world: WorldName = Field("pusht", description="the simulator")
    behaviours: dict[str, Annotated[float, Field(ge=0)]] | None = Field(
        None, description="shares of the scripted behaviours, by name; null takes the world's own mix"
    )
    seed: Seed = Field(0, description="first seed; every episode has its own")
    episodes: Positive = Field(1500, description="number of episodes")
    steps: Positive = Field(100, description="environment steps per episode")
    dataset: Dataset | None = Field(None, description="take recorded episodes of this world instead; docs/data.md")


class Train(_Model):
    """LeWM training: next-embedding prediction and SIGReg (arXiv 2603.19312, section 3)."""

    seed: Seed = Field(0, description="of weights, batches and projections")
    steps: Positive = Field(4000, description="optimiser steps")
    batch: Positive = Field(64, description="windows per step; paper 128")
    architecture: Literal["small", "paper"] = Field(
        "small", description="small: a convolution encoder for one CPU core; paper: ViT-tiny with patches of 14 px"
    )
    precision: Literal["fp32", "bf16"] = Field("fp32", description="of the layers, by autocast; paper bf16")
    image_size: Positive = Field(64, description="side of the square pictures in pixels; paper 224")
    dim: Positive = Field(64, description="size of a latent; paper 192")
    depth: Positive = Field(2, description="predictor blocks; paper 6")
    heads: Positive = Field(4, description="attention heads of the predictor; paper 16")
    encoder: Literal["conv", "moments"] = Field(
        "conv", description="of small: conv, or moments, which reads image moments of learned maps"
    )
    channels: list[Positive] = Field([24, 32, 48, 64], description="of the stages of conv")
    maps: Positive = Field(48, description="of moments")
    history: Positive = Field(3, description="frames the predictor sees; paper 3")
    frameskip: Positive = Field(5, description="environment steps per action block; paper 5")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="of the predictor; paper 0.1")
    learning_rate: Annotated[float, Field(gt=0)] = Field(2e-3, description="AdamW peak; paper 5e-5")
    weight_decay: Annotated[float, Field(ge=0)] = Field(1e-3, description="AdamW; paper 1e-3")
    warmup: Annotated[int, Field(ge=0)] = Field(100, description="steps of linear warm-up, then cosine to zero")
    clip: Annotated[float, Field(gt=0)] = Field(1.0, description="gradient norm clip; paper 1")
    sigreg_weight: Annotated[float, Field(ge=0)] = Field(0.09, description="weight of SIGReg in the loss; paper 0.09")
    sigreg_weight_end: Annotated[float, Field(gt=0)] | None = Field(
        None, description="weight at the last step, approached geometrically; null keeps it constant as the paper does"
    )
    sigreg_projections: Positive = Field(256, description="random directions per step; paper 1024")
    sigreg_knots: Annotated[int, Field(ge=3)] = Field(17, description="quadrature points; paper 17")
    record_every: Positive = Field(50, description="steps between records")
    checkpoint_every: Positive = Field(250, description="steps between resume points")
    measured: Annotated[int, Field(ge=2)] = Field(
        256, description="held-out windows behind a record; probes use 4 and 2 times as many pictures"
    )
    min_embedding_std: Annotated[float, Field(ge=0)] = Field(
        0.5, description="gate: spread of held-out latents per dimension; near 0 when training collapsed"
    )
    max_prediction_ratio: Annotated[float, Field(gt=0)] = Field(
        0.5, description="gate: held-out prediction error over that of predicting no change"
    )
    min_shuffled_ratio: Annotated[float, Field(ge=0)] = Field(
        2.0, description="gate: held-out prediction error with the actions of other windows over that with its own"
    )
    max_sigreg: Annotated[float, Field(gt=0)] = Field(
        0.25, description="gate: SIGReg of the last batch over its value for latents that are all equal"
    )
    min_probe_r2: float = Field(
        0.7, description="gate: worst held-out R^2 of agent and block position read linearly from latents"
    )


class Smoke(_Model):
    """A short TwoRoom training in every evidence: this machine can train, and the gates can tell."""

    seed: Seed = Field(0, description="of the episodes, weights, batches and projections")
    episodes: Positive = Field(400, description="scripted episodes of 60 steps")
    steps: Positive = Field(200, description="optimiser steps")

    @property
    def collect(self) -> Collect:
        """What its data are."""
        return Collect(world="tworoom", seed=self.seed, episodes=self.episodes, steps=60)

    @property
    def train(self) -> Train:
        """How it is trained, and its gates."""
        return Train(
            seed=self.seed,
            steps=self.steps,
            dim=32,
            learning_rate=1e-3,
            warmup=20,
            max_prediction_ratio=0.4,
            min_shuffled_ratio=4.0,
        )


class Agent(_Model):
    """Who answers for a bundle, as its crate names them."""

    kind: Literal["Person", "Organization"] = Field(description="Person or Organization")
    name: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="as it should be read")
    id: Annotated[str, Field(pattern=r"^https://\S+$")] | None = Field(
        None, description="such as an ORCID or ROR address"
    )


class Seal(_Model):
    """The bundle. What is set here changes no result, and the key not even the bundle's address."""

    key: str | None = Field(
        None,
        description="path of the signing key, see `lewm-evidence keygen`; without one, the project's own (self-signed)",
    )
    agent: Agent | None = Field(None, description="who answers for the bundle; named only when given")
    compress: bool = Field(False, description="write the archive as .tar.zst; floats and pictures hardly shrink")


def _inside(path: str) -> str:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError("a path inside the project is needed, without ..")
    return path


InsidePath = Annotated[str, Field(min_length=1), AfterValidator(_inside)]


class Wandb(_Model):
    """Weights & Biases; see docs/workers.md for the variables that change it from outside."""

    mode: Literal["off", "offline", "online"] = Field(
        "off", description="off, offline (a folder for `wandb sync`) or online; what is tracked by itself is offline"
    )
    project: Annotated[str, Field(pattern=r"^[\w.-]+$")] = Field("lewm-evidence", description="project of the runs")
    entity: str | None = Field(None, description="user or team; null takes the account's own")


class Parity(_Model):
    """The reference implementation scores the same candidates for the same checkpoint."""

    seed: Seed = Field(0, description="of starts, goals and candidates")
    questions: Positive = Field(5, description="pairs of start and goal")
    candidates: Annotated[int, Field(ge=2)] = Field(100, description="action sequences each")
    horizon: Positive = Field(5, description="blocks of a sequence")
    tolerance: Annotated[float, Field(gt=0)] = Field(1e-4, description="largest relative difference of a cost")
    time_limit: Annotated[float, Field(gt=0)] = Field(3600.0, description="seconds; then it is ended")


PolicyFile = Annotated[str, Field(pattern=r"^[\w.-]+\.(json|safetensors)$")]


class PolicySource(_Model):
    """Where a policy's files come from: the hub, at a commit, or a folder; and the sha256 of every one."""

    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = Field(None, description="owner/name on the hub")
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = Field(
        None, description="full commit id, 40 hex digits; branch names move and are refused"
    )
    folder: InsidePath | None = Field(None, description="a folder inside the project, instead of repo and revision")
    files: dict[PolicyFile, Sha256] = Field(description="file name to sha256; JSON and safetensors only")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.folder is None) == (self.repo is None) or (self.repo is None) != (self.revision is None):
            raise ValueError("give repo and revision, or folder")
        if not {"config.json", "model.safetensors"} <= self.files.keys():
            raise ValueError("files must name config.json and model.safetensors")
        return self


class Policy(_Model):
    """A LeRobot diffusion policy for PushT proposes, the world model chooses; docs/workers.md."""

    source: PolicySource = Field(description="its files")
    samples: Annotated[int, Field(ge=2)] = Field(16, description="action chunks that the world model chooses from")
    episodes: Annotated[int, Field(ge=5)] = Field(20, description="paired starts")
    seed: Seed = Field(0, description="chooses starts, planner's samples and chunks")
    budget: Positive = Field(300, description="environment steps per episode; LeRobot's own evaluation takes 300")
    inference_steps: Positive | None = Field(None, description="diffusion steps of a chunk; null for the policy's own")
    bootstrap: Annotated[int, Field(ge=100)] = Field(10_000, description="resamples behind the intervals")
    planner: PlannerChoice = Field(default_factory=Planner, description="how CEM plans")
    time_limit: Annotated[float, Field(gt=0)] = Field(86_400.0, description="seconds; then the policy is ended")


class WorkerRun(_Model):
    """One training run of a foreign trainer. Keys that its own documents use are accepted under their names."""

    worker: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*$")] = Field(description="which one: it has a lock")
    algo: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] = Field(description="algorithm, as the worker names it")
    env_id: Annotated[str, Field(pattern=r"^[\w./:-]+$")] = Field("CartPole-v1", description="environment")
    seed: Seed = Field(0, description="of everything random")
    total_timesteps: Positive = Field(description="environment steps")
    hyperparameters: dict[str, JsonValue] = Field(default_factory=dict, description="what else the algorithm takes")
    time_limit: Annotated[float, Field(gt=0)] = Field(3600.0, description="seconds; then it is ended")
    track: bool = Field(False, description="make an offline W&B run of it")
    logger: Literal["tensorboard", "wandb"] = Field("tensorboard", description="wandb is the same as track: true")
    log_dir: InsidePath | None = Field(
        None, description="also link its TensorBoard files at <log_dir>/<ULID>/tensorboard"
    )
    tensorboard_dir: InsidePath | None = Field(None, description="another name of log_dir")
    wandb_project: str | None = Field(None, description="of its W&B run")
    wandb_entity: str | None = Field(None, description="of its W&B run")

    @property
    def tracked(self) -> bool:
        """Whether a W&B run is made of it."""
        return self.track or self.logger == "wandb"

    @property
    def name(self) -> str:
        """`<worker>-<algo>-<environment>-<seed>`, as a name of folders."""
        return "-".join((self.worker, self.algo, re.sub(r"\W+", "_", self.env_id), str(self.seed)))


def _smoke_workers() -> list[WorkerRun]:
    """One short run of every trainer and algorithm, enough for three points of each curve."""
    short = {"total_timesteps": 2048, "hyperparameters": {"n_steps": 256}}
    late: dict[str, Any] = {"total_timesteps": 800, "env_id": "Pendulum-v1"}
    rows: list[dict[str, Any]] = [
        {"worker": "sb3", "algo": "ppo", **short, "track": True},
        {"worker": "sb3", "algo": "a2c", "total_timesteps": 2000, "hyperparameters": {}},
        {"worker": "sb3", "algo": "dqn", "total_timesteps": 2000, "hyperparameters": {"learning_starts": 200}},
        {"worker": "sb3", "algo": "sac", **late},
        {"worker": "sb3", "algo": "td3", **late},
        {"worker": "cleanrl", "algo": "ppo", "total_timesteps": 3072},
        {"worker": "xuance", "algo": "ppo", "total_timesteps": 3000, "hyperparameters": {"parallels": 4}},
        {
            "worker": "rllib",
            "algo": "ppo",
            "total_timesteps": 3000,
            "hyperparameters": {"train_batch_size_per_learner": 1000, "num_epochs": 3, "minibatch_size": 128},
        },
    ]
    return [WorkerRun.model_validate(row) for row in rows]


class Task(_Model):
    """A task of a sweep: what it sets in `showcase` and `evaluate`; null leaves what stands there."""

    goal_offset: Positive | None = Field(None, description="as in evaluate")
    budget: Positive | None = Field(None, description="as in evaluate")
    planner: Planner | None = Field(None, description="how to plan")


class Sweep(_Model):
    """Every checkpoint on every task with every seed: what `snakemake sweep` measures."""

    checkpoints: Annotated[dict[Name, Checkpoint], Field(min_length=1)] = Field(
        description="name to checkpoint, each as in `checkpoint`"
    )
    tasks: Annotated[dict[Name, Task], Field(min_length=1)] = Field(
        default_factory=lambda: {"default": Task()}, description="name to what the task sets"
    )
    seeds: Annotated[list[Seed], Field(min_length=1)] = Field(description="each is a showcase.seed and evaluate.seed")

    @model_validator(mode="after")
    def _once(self) -> "Sweep":
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed is given twice")
        return self


class Config(_Model):
    """Everything `snakemake evidence` needs to know."""

    schema_version: Literal[1] = Field(1, description="version of this file's layout")
    checkpoint: Checkpoint = Field(default_factory=EmbeddedCheckpoint, description="what evidence is made about")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes CUDA where present, else CPU")
    threads: Positive = Field(1, description="torch threads per job; more is slower on a busy machine")
    ranks: Positive = Field(1, description="processes that share one training, each with a GPU where there are some")
    showcase: Showcase = Field(default_factory=Showcase, description="one episode in full")
    evaluate: Evaluate = Field(default_factory=Evaluate, description="success and error against baselines")
    gate: Gate = Field(default_factory=Gate, description="what must hold")
    tables: Tables = Field(default_factory=Tables, description="the paper's tables; docs/science.md")
    collect: Collect = Field(default_factory=Collect, description="training data; only for source trained")
    train: Train = Field(default_factory=Train, description="training; only for source trained")
    smoke: Smoke | None = Field(
        default_factory=Smoke, description="a short TwoRoom training beside a checkpoint from elsewhere; null for none"
    )
    workers: list[WorkerRun] = Field(
        default_factory=_smoke_workers,
        description="foreign trainers, for `snakemake workers`; docs/workers.md",
    )
    parity: Parity | None = Field(
        default_factory=Parity, description="agreement with the reference implementation, in `snakemake workers`"
    )
    policy: Policy | None = Field(
        None, description="a LeRobot policy whose proposals the world model scores, in `snakemake workers`"
    )
    wandb: Wandb = Field(default_factory=Wandb, description="the same records as W&B runs")
    seal: Seal = Field(default_factory=Seal, description="the bundle that leaves this machine")
    sweep: Sweep | None = Field(None, description="checkpoints × tasks × seeds for `snakemake sweep`; docs/clusters.md")

    @model_validator(mode="after")
    def _distinct_workers(self) -> "Config":
        names = [worker.name for worker in self.workers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"workers names {', '.join(twice)} twice; give each run another seed")
        return self


_SOURCES: dict[Any, Any] = {
    "embedded": EmbeddedCheckpoint,
    "hub": HubCheckpoint,
    "preset": PresetCheckpoint,
    "trained": TrainedCheckpoint,
}


def parse_config(data: Any, where: str = "config") -> Config:
    """Returns the validated configuration; raises `ConfigError` naming key, value and what is allowed."""
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(fault, where) for fault in error.errors())) from error


def _explain(fault: Any, where: str) -> str:
    # pydantic puts the chosen source into the path of a checkpoint's fields; a reader of the file knows no such key.
    place = fault["loc"]
    key = ".".join(str(step) for at, step in enumerate(place) if not _is_source(place[:at], step)) or "(top level)"
    if fault["type"] == "extra_forbidden":
        known = ", ".join(_model_at(fault["loc"][:-1]).model_fields)
        return f"{where}: {key} is not a known key; remove it or check its spelling (known here: {known})"
    if fault["input"] == "???":
        return f"{where}: {key} is still ??? and must be filled in; docs/checkpoints.md says where it is found"
    if fault["type"] == "missing":
        return f"{where}: {key} is missing and has no default"
    return f"{where}: {key} = {fault['input']!r} is not allowed: {_sentence(fault)}"


def _is_source(before: tuple[Any, ...], step: Any) -> bool:
    return step in _SOURCES and ("checkpoint" in before[-1:] or "checkpoints" in before[-2:-1])


def _sentence(fault: Any) -> str:
    return str(fault["msg"]).removeprefix("Value error, ")


def _model_at(place: tuple[Any, ...]) -> type[BaseModel]:
    kind: Any = Config
    for step in place:
        if get_origin(kind) in (dict, list):
            kind = get_args(kind)[-1]
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[step].annotation
        else:
            kind = _SOURCES[step]  # a union of checkpoints: the step says which of them it is
        kind = _without_none(kind)
    found: type[BaseModel] = kind
    return found


def _without_none(kind: Any) -> Any:
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    given = [choice for choice in get_args(kind) if choice is not NoneType]
    return given[0] if len(given) == 1 and NoneType in get_args(kind) else kind
