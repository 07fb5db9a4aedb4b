"""LeWorldModel in plain torch."""

from lewm_evidence.model.config import (
    ConvConfig,
    ModelConfig,
    MomentsConfig,
    PredictorConfig,
    VitConfig,
    parse_model_config,
)
from lewm_evidence.model.lewm import LeWM, check_state_dict
from lewm_evidence.model.normalization import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Normalization,
    from_blocks,
    to_blocks,
)

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "ConvConfig",
    "LeWM",
    "ModelConfig",
    "MomentsConfig",
    "Normalization",
    "PredictorConfig",
    "VitConfig",
    "check_state_dict",
    "from_blocks",
    "parse_model_config",
    "to_blocks",
]
