"""One logger for a training run: `config.json`, `metrics.jsonl` and TensorBoard from the same calls.

For trainers outside the pipeline. Nothing of torch is needed; without TensorBoard the two files are written alone.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lewm_evidence.canonical import canonical_json, write_atomic
from lewm_evidence.errors import InputError
from lewm_evidence.events import clean
from lewm_evidence.tensorboard import TensorBoardLogConfig, TensorBoardSession, default_run_name

__all__ = ["RunContext", "RunLogger", "TrainConfig", "TrainingRun", "create_run_context", "create_training_run"]


@dataclass(frozen=True)
class TrainConfig:
    """What a training run is asked to do.

    Attributes:
        algo: algorithm, such as `ppo`.
        env_id: environment, such as `CartPole-v1`.
        seed: of everything random.
        total_timesteps: environment steps to train for.
        output_dir: where run folders go.
        hyperparameters: what else the algorithm takes, as JSON holds it.
    """

    algo: str
    env_id: str
    seed: int = 0
    total_timesteps: int = 1_000_000
    output_dir: Path = Path("runs")
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.total_timesteps < 1:
            raise InputError(f"total_timesteps={self.total_timesteps} is not 1 or more")
        for name in ("algo", "env_id"):
            if not re.search(r"\w", getattr(self, name)):
                raise InputError(f"{name}={getattr(self, name)!r} is not a name")


@dataclass(frozen=True)
class RunContext:
    """Where a run writes.

    Attributes:
        run_dir: the run's folder.
        tensorboard_dir: its event files, `tensorboard/`.
    """

    run_dir: Path
    tensorboard_dir: Path

    @property
    def config_path(self) -> Path:
        """The configuration, `config.json`."""
        return self.run_dir / "config.json"

    @property
    def metrics_path(self) -> Path:
        """One JSON object a line with `step` and the metrics, `metrics.jsonl`."""
        return self.run_dir / "metrics.jsonl"


class RunLogger:
    """Writes configuration and metrics of one run to its files and to TensorBoard.

    Args:
        run_dir: holds `config.json` and `metrics.jsonl`.
        tensorboard_dir: holds the event files.
    """

    def __init__(self, run_dir: Path, tensorboard_dir: Path) -> None:
        self._context = RunContext(run_dir, tensorboard_dir)
        self._metrics = self._context.metrics_path.open("ab")
        # Absolute: the files lie together, also where the working directory is not the project.
        self._tensorboard = TensorBoardSession(TensorBoardLogConfig(tensorboard_dir.absolute()))

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Writes `config.json` and the panel `config`; secrets in it are left out of both."""
        text = json.dumps(clean(config), indent=2, sort_keys=True, ensure_ascii=False)
        write_atomic(self._context.config_path, f"{text}\n".encode())
        self._tensorboard.text("config", f"```json\n{text}\n```", 0)

    def log_metrics(self, metrics: Mapping[str, Any], *, step: int) -> None:
        """Writes one line of `metrics.jsonl` and a point of each number among `metrics`.

        Args:
            metrics: values by name. NaN and infinities are texts in JSON and points in TensorBoard; texts and the
                like stand in JSON alone.
            step: environment or training step.

        Raises:
            InputError: for a metric named `step`, or a step that is not a whole number of 0 or more.
        """
        if "step" in metrics:
            raise InputError("a metric is named 'step', like the step itself; give it another name")
        values = {name: _plain(value) for name, value in metrics.items()}
        if not isinstance(step, int) or isinstance(step, bool) or step < 0:
            raise InputError(f"step={step!r} is not a whole number of 0 or more")
        self._metrics.write(canonical_json({"step": step, **clean(values)}))
        self._metrics.flush()
        for name, value in values.items():
            if isinstance(value, (bool, int, float)):
                self._tensorboard.scalar(name, value, step)

    def flush(self) -> None:
        """Makes everything written so far readable."""
        self._tensorboard.flush()

    def close(self) -> None:
        """Flushes and closes all files; safe to call twice."""
        self._metrics.close()
        self._tensorboard.close()


def _plain(value: Any) -> Any:
    if isinstance(value, (bool, int, float, str)) or not callable(getattr(value, "item", None)):
        return value
    return value.item() if math.prod(getattr(value, "shape", ())) == 1 else value


@dataclass(frozen=True)
class TrainingRun:
    """A run that has begun. Usable in a `with` statement, which closes it.

    Attributes:
        run_context: where it writes.
        logger: writes to it.
    """

    run_context: RunContext
    logger: RunLogger

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the logger; safe to call twice."""
        self.logger.close()


def create_run_context(config: TrainConfig, run_suffix: str | None = None) -> RunContext:
    """Makes the folders of a run, `<output_dir>/<algo>-<env_id>-seed<seed>-<run_suffix>`.

    Args:
        config: names the run.
        run_suffix: tells runs of one configuration apart; the time in UTC when left out.
    """
    suffix = run_suffix or default_run_name("at").removeprefix("at-")
    name = re.sub(r"[^\w.-]+", "_", f"{config.algo}-{config.env_id}-seed{config.seed}-{suffix}")
    run_dir = Path(config.output_dir) / name
    context = RunContext(run_dir, run_dir / "tensorboard")
    context.tensorboard_dir.mkdir(parents=True, exist_ok=True)
    return context


def create_training_run(config: TrainConfig, run_suffix: str | None = None) -> TrainingRun:
    """Makes the folders of a run, writes its configuration and opens its logger.

    Args:
        config: names the run and is written to it.
        run_suffix: see `create_run_context`.

    Raises:
        InputError: when the folder holds the metrics of another run already.
    """
    context = create_run_context(config, run_suffix)
    if context.metrics_path.exists():
        raise InputError(f"{context.run_dir} holds a run already; give another run_suffix")
    logger = RunLogger(context.run_dir, context.tensorboard_dir)
    logger.log_config(asdict(config))
    return TrainingRun(context, logger)
