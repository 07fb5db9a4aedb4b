"""What a LeWM is built from, read from our own `config.json` or from a published one.

A published `config.json` names Python classes in `_target_`. They are compared with an allow-list of the
classes this package implements itself; nothing a file names is ever imported.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lewm_evidence.errors import CheckpointError

Positive = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]

_WM = "stable_worldmodel.wm.lewm"
_TARGETS = {
    "": f"{_WM}.LeWM",
    "encoder": "stable_pretraining.backbone.utils.vit_hf",
    "predictor": f"{_WM}.module.Predictor",
    "action_encoder": f"{_WM}.module.Embedder",
    "projector": f"{_WM}.module.MLP",
    "pred_proj": f"{_WM}.module.MLP",
}
_BATCH_NORM = {"_target_": "torch.nn.BatchNorm1d", "_partial_": True}
_VIT_TINY = {"width": 192, "depth": 12, "heads": 3, "mlp_dim": 768}
_KEYS = {
    "encoder": {"size", "patch_size", "image_size", "pretrained", "use_mask_token"},
    "predictor": {
        *("num_frames", "input_dim", "hidden_dim", "output_dim", "depth", "heads", "mlp_dim", "dim_head"),
        *("dropout", "emb_dropout"),
    },
    "action_encoder": {"input_dim", "emb_dim"},
    "projector": {"input_dim", "output_dim", "hidden_dim", "norm_fn"},
    "pred_proj": {"input_dim", "output_dim", "hidden_dim", "norm_fn"},
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VitConfig(_Part):
    """A vision transformer that is read at its class token."""

    kind: Literal["vit"] = "vit"
    image_size: Positive = 224
    patch_size: Positive = 14
    width: Positive = 192
    depth: Positive = 12
    heads: Positive = 3
    mlp_dim: Positive = 768

    @model_validator(mode="after")
    def _divides(self) -> "VitConfig":
        if self.image_size % self.patch_size or self.width % self.heads:
            raise ValueError("image_size must be a multiple of patch_size, and width of heads")
        return self

    @property
    def output_dim(self) -> int:
        """Size of what the encoder gives to the projector."""
        return self.width


class ConvConfig(_Part):
    """A small convolution encoder: a 4×4 stem of stride 4, then 3×3 convolutions."""

    kind: Literal["conv"] = "conv"
    image_size: Annotated[int, Field(ge=16, multiple_of=4)] = 64
    channels: Annotated[tuple[Positive, ...], Field(min_length=1)] = (24, 32, 48, 64)
    output_dim: Positive = 64


class MomentsConfig(_Part):
    """An encoder of image moments: bias-free filters, maps of them, ten moments of each map."""

    kind: Literal["moments"] = "moments"
    image_size: Annotated[int, Field(ge=16)] = 64
    kernel: Positive = 6
    stride: Positive = 4
    filters: Positive = 48
    maps: Positive = 48

    @model_validator(mode="after")
    def _covers(self) -> "MomentsConfig":
        if self.image_size % self.stride or self.kernel < self.stride or (self.kernel - self.stride) % 2:
            raise ValueError("image_size must be a multiple of stride, and kernel exceed stride by an even number")
        return self

    @property
    def output_dim(self) -> int:
        """Size of what the encoder gives to the projector."""
        return 10 * self.maps


class PredictorConfig(_Part):
    """The causal transformer over latents, conditioned on actions."""

    depth: Positive = 6
    heads: Positive = 16
    head_dim: Positive = 64
    mlp_dim: Positive = 2048
    dropout: Rate = 0.1
    embedding_dropout: Rate = 0.0


class ModelConfig(_Part):
    """The architecture of a LeWM; the defaults are the published PushT model.

    Attributes:
        encoder: turns a picture into a vector.
        predictor: turns latents and actions into the next latents.
        dim: size D of a latent.
        action_block_dim: size A of an action block, frameskip steps × raw action size.
        history: latents the predictor sees at most.
        projector_dim: hidden size of the two projectors.
    """

    format: Literal["lewm-evidence/model/1"] = "lewm-evidence/model/1"
    encoder: Annotated[VitConfig | ConvConfig | MomentsConfig, Field(discriminator="kind")] = VitConfig()
    predictor: PredictorConfig = PredictorConfig()
    dim: Positive = 192
    action_block_dim: Positive = 10
    history: Positive = 3
    projector_dim: Positive = 2048

    @property
    def image_size(self) -> int:
        """Side of the square pictures the encoder takes, in pixels."""
        return self.encoder.image_size

    @classmethod
    def small(
        cls,
        *,
        image_size: int = 64,
        dim: int = 64,
        depth: int = 2,
        heads: int = 4,
        encoder: Literal["conv", "moments"] = "conv",
        channels: tuple[int, ...] | list[int] = (24, 32, 48, 64),
        maps: int = 48,
        history: int = 3,
        action_block_dim: int = 10,
        dropout: float = 0.1,
    ) -> "ModelConfig":
        """Returns a model with a convolution encoder, sized to train on a CPU in minutes.

        `channels` are for the encoder "conv", `maps` for "moments".

        Raises:
            CheckpointError: when the numbers do not make a model.
        """
        if dim % heads:
            raise CheckpointError(f"dim={dim} must be a multiple of heads={heads}; change one of them")
        conv = {"channels": list(channels), "output_dim": dim}
        moments = {"filters": maps, "maps": maps}
        return parse_model_config(
            {
                "encoder": {"kind": encoder, "image_size": image_size, **(conv if encoder == "conv" else moments)},
                "predictor": {
                    "depth": depth,
                    "heads": heads,
                    "head_dim": dim // heads,
                    "mlp_dim": 4 * dim,
                    "dropout": dropout,
                },
                "dim": dim,
                "action_block_dim": action_block_dim,
                "history": history,
                "projector_dim": 8 * dim,
            },
            "small model",
        )

    @classmethod
    def paper(
        cls,
        *,
        image_size: int = 224,
        dim: int = 192,
        depth: int = 6,
        heads: int = 16,
        history: int = 3,
        action_block_dim: int = 10,
        dropout: float = 0.1,
    ) -> "ModelConfig":
        """Returns a model like the published ones: ViT-tiny with patches of 14 px, heads of 64, wide projectors.

        Raises:
            CheckpointError: when `image_size` is no multiple of 14.
        """
        return parse_model_config(
            {
                "encoder": {"kind": "vit", "image_size": image_size},
                "predictor": {"depth": depth, "heads": heads, "dropout": dropout},
                "dim": dim,
                "action_block_dim": action_block_dim,
                "history": history,
            },
            "paper's model",
        )


def parse_model_config(data: Any, where: str = "config.json") -> ModelConfig:
    """Returns the architecture that `data` describes, in our own layout or in the published one.

    Args:
        data: the decoded JSON.
        where: what to call the source in an error.

    Raises:
        CheckpointError: when a key, a value or a named class is not known here.
    """
    if isinstance(data, dict) and "_target_" in data:
        data = _translate(data, where)
    try:
        return ModelConfig.model_validate(data)
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(step) for step in fault["loc"]) or "(top level)"
        raise CheckpointError(
            f"{where}: {key} = {fault['input']!r} does not describe a LeWM: {fault['msg']}"
        ) from error


def _translate(data: dict[str, Any], where: str) -> dict[str, Any]:
    parts = {name: _part(data, name, where) for name in _KEYS}
    _only(data, {"_target_", *_KEYS}, "(top level)", where)
    _is(data["_target_"], _TARGETS[""], "_target_", where)
    encoder, predictor, action = parts["encoder"], parts["predictor"], parts["action_encoder"]
    dim = predictor["input_dim"]
    for name, key in (
        ("predictor", "hidden_dim"),
        ("predictor", "output_dim"),
        ("action_encoder", "emb_dim"),
    ):
        _is(parts[name][key], dim, f"{name}.{key}", where)
    for name in ("projector", "pred_proj"):
        _is(parts[name]["norm_fn"], _BATCH_NORM, f"{name}.norm_fn", where)
        _is(parts[name]["output_dim"], dim, f"{name}.output_dim", where)
        _is(parts[name]["hidden_dim"], parts["projector"]["hidden_dim"], f"{name}.hidden_dim", where)
    _is(encoder["size"], "tiny", "encoder.size", where)
    _is(encoder["use_mask_token"], False, "encoder.use_mask_token", where)
    _is(parts["projector"]["input_dim"], _VIT_TINY["width"], "projector.input_dim", where)
    _is(parts["pred_proj"]["input_dim"], dim, "pred_proj.input_dim", where)
    return {
        "encoder": {
            "kind": "vit",
            "image_size": encoder["image_size"],
            "patch_size": encoder["patch_size"],
            **_VIT_TINY,
        },
        "predictor": {
            "depth": predictor["depth"],
            "heads": predictor["heads"],
            "head_dim": predictor["dim_head"],
            "mlp_dim": predictor["mlp_dim"],
            "dropout": predictor["dropout"],
            "embedding_dropout": predictor["emb_dropout"],
        },
        "dim": dim,
        "action_block_dim": action["input_dim"],
        "history": predictor["num_frames"],
        "projector_dim": parts["projector"]["hidden_dim"],
    }


def _part(data: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    part = data.get(name)
    if not isinstance(part, dict):
        raise CheckpointError(f"{where}: {name} must be an object, got {part!r}")
    _is(part.get("_target_"), _TARGETS[name], f"{name}._target_", where)
    _only(part, {"_target_", *_KEYS[name]}, name, where)
    missing = sorted(_KEYS[name] - part.keys())
    if missing:
        raise CheckpointError(f"{where}: {name} lacks {', '.join(missing)}")
    return part


def _only(data: dict[str, Any], known: set[str], name: str, where: str) -> None:
    unknown = sorted(data.keys() - known)
    if unknown:
        raise CheckpointError(f"{where}: {name} has keys that are not known here: {', '.join(unknown)}")


def _is(value: Any, expected: Any, name: str, where: str) -> None:
    if value != expected or type(value) is not type(expected):
        raise CheckpointError(f"{where}: {name} must be {expected!r}, got {value!r}; this model is not supported")
