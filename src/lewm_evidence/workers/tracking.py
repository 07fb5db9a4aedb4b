"""Whether, and as what, a run goes to Weights & Biases: the configuration, and the variables that wandb's users know.

Nothing is sent unless the mode is `online`. wandb itself no longer honours `WANDB_DISABLED` and never knew the
`WANDB_VPN_*` variables; they are honoured here.
"""

from collections.abc import Mapping
from typing import Literal

from lewm_evidence.errors import ConfigError

Mode = Literal["off", "offline", "online"]

_MODES: dict[str, Mode] = {
    "disabled": "off",
    "off": "off",
    "offline": "offline",
    "dryrun": "offline",
    "online": "online",
    "run": "online",
}
_TRUE = {"1", "true", "yes", "on"}
_PROXIES = {
    "WANDB_VPN_HTTP_PROXY": ("WANDB_HTTP_PROXY", "HTTP_PROXY", "http_proxy"),
    "WANDB_VPN_HTTPS_PROXY": ("WANDB_HTTPS_PROXY", "HTTPS_PROXY", "https_proxy"),
}


def tracking_mode(configured: Mode, environment: Mapping[str, str]) -> Mode:
    """Returns the mode: what is configured, unless the environment says otherwise.

    `WANDB_DISABLED` and `WANDB_MODE=disabled` switch off; `WANDB_MODE` chooses between offline and online. The
    environment never switches on what the configuration leaves off.

    Raises:
        ConfigError: for a `WANDB_MODE` that is none.
    """
    if configured == "off" or environment.get("WANDB_DISABLED", "").lower() in _TRUE:
        return "off"
    asked = environment.get("WANDB_MODE", "").lower()
    if asked and asked not in _MODES:
        raise ConfigError(f"WANDB_MODE={asked!r} is not known; use disabled, offline or online")
    return _MODES.get(asked, configured)


def proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the proxy variables to add for wandb; those it knows itself are left as they are."""
    return {
        name: environment[given]
        for given, names in _PROXIES.items()
        if given in environment
        for name in names
        if name not in environment
    }
