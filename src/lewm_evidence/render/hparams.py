"""Configurations of runs for TensorBoard's HParams page: what each run was asked, and what came of it.

TensorBoard reads a run's configuration from the metadata of one value, and what to show of all runs from another;
the numbers that came of it are the last ones of scalars that the run holds anyway.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

from lewm_evidence.canonical import canonical_json

Value = bool | float | str

# What came of a run, by stage: title and tag.
METRICS: dict[str, dict[str, str]] = {
    "showcase": {
        "showcase: last distance to the goal (px)": "showcase/error_px",
        "showcase: last squared latent distance": "showcase/latent_distance",
    },
    "evaluate": {
        "success rate, world model": "evaluate/lewm/success_rate",
        "success rate, random": "evaluate/random/success_rate",
        "mean final error (px), world model": "evaluate/lewm/mean_final_error_px",
        "mean final error (px), random": "evaluate/random/mean_final_error_px",
    },
    "train": {
        "last loss": "train/loss",
        "held-out prediction error": "train/val_prediction",
        "worst probe R²": "train/probe_r2_min",
    },
}


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Value]:
    """Returns a configuration as single values by name, such as `planner.horizon`; lists are texts."""
    found: dict[str, Value] = {}
    for name, value in sorted(config.items()):
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, bool | int | float | str):
            found[prefix + name] = value
        elif value is not None:
            found[prefix + name] = canonical_json(value).decode().strip()
    return found


def session(name: str, config: Mapping[str, Value]) -> Summary.Value:
    """Returns the value that tells TensorBoard the configuration of the run it is written to.

    Args:
        name: of its row; runs of one name share a row.
        config: as `flat` gives it.
    """
    start = plugin_data_pb2.SessionStartInfo(group_name=name)
    for setting, value in config.items():
        field = start.hparams[setting]
        if isinstance(value, bool):
            field.bool_value = value
        elif isinstance(value, str):
            field.string_value = value
        else:
            field.number_value = value
    return _value(metadata.SESSION_START_INFO_TAG, plugin_data_pb2.HParamsPluginData(session_start_info=start))


def experiment(configs: Iterable[Mapping[str, Value]], metrics: Mapping[str, str]) -> Summary.Value:
    """Returns the value that tells TensorBoard which settings and which numbers the page shows.

    Args:
        configs: of all runs, as `flat` gives them.
        metrics: tag by title.
    """
    seen: dict[str, list[Value]] = {}
    for config in configs:
        for name, value in config.items():
            seen.setdefault(name, []).append(value)
    infos = [_info(name, values) for name, values in sorted(seen.items())]
    shown = [api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=title) for title, tag in metrics.items()]
    page = api_pb2.Experiment(hparam_infos=infos, metric_infos=shown)
    return _value(metadata.EXPERIMENT_TAG, plugin_data_pb2.HParamsPluginData(experiment=page))


def _info(name: str, values: list[Value]) -> api_pb2.HParamInfo:
    info = api_pb2.HParamInfo(name=name)
    if all(isinstance(value, bool) for value in values):
        info.type = api_pb2.DATA_TYPE_BOOL
    elif all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        info.type = api_pb2.DATA_TYPE_FLOAT64
    else:
        info.type = api_pb2.DATA_TYPE_STRING
    info.domain_discrete.extend(sorted(set(values), key=str))  # without a domain the page warns
    return info


def _value(tag: str, content: plugin_data_pb2.HParamsPluginData) -> Summary.Value:
    content.version = metadata.PLUGIN_DATA_VERSION
    # TensorBoard's own helper serialises the map inside in any order.
    plugin = SummaryMetadata.PluginData(
        plugin_name=metadata.PLUGIN_NAME, content=content.SerializeToString(deterministic=True)
    )
    return Summary.Value(tag=tag, tensor=metadata.NULL_TENSOR, metadata=SummaryMetadata(plugin_data=plugin))
