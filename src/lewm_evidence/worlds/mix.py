"""A scripted policy is a mix: each episode takes one of several behaviours, in given shares."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from lewm_evidence.errors import ConfigError

Policy = Callable[[NDArray[np.float64]], NDArray[np.float32]]
"""From a state (S,) to an action (A,) in [-1, 1]."""


def chosen(rng: np.random.Generator, shares: Mapping[str, float]) -> str:
    """Returns one of the names in `shares`, each with its share of the total; takes one number from `rng`."""
    at = rng.random() * sum(shares.values())
    for name, share in shares.items():
        at -= share
        if at < 0:
            return name
    return name  # rounding left a rest


def check_shares(shares: Mapping[str, float], known: Mapping[str, float], world: str) -> None:
    """Raises `ConfigError` unless `shares` names behaviours that `world` knows, with a positive sum."""
    unknown = sorted(shares.keys() - known.keys())
    if unknown:
        raise ConfigError(f"{world} has no behaviour {', '.join(unknown)}; it knows: {', '.join(known)}")
    if min(shares.values(), default=0.0) < 0 or not sum(shares.values()) > 0:
        raise ConfigError(f"the shares of behaviours must not be negative and not all be 0, got {dict(shares)}")
