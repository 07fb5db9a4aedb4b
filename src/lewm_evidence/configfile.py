"""Reading a configuration from its file, for commands that work without Snakemake."""

from pathlib import Path

import yaml

from lewm_evidence.config import Config, parse_config
from lewm_evidence.errors import ConfigError


def read_config(path: Path) -> Config:
    """Returns the configuration in the YAML file at `path`; raises `ConfigError` when it cannot be read or used."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    return parse_config({} if data is None else data, str(path))
