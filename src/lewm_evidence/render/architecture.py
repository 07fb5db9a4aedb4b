"""A checkpoint as a graph that TensorBoard draws: data flow between the parts, and the tensors inside each.

The parts and their flow are those of LeWorldModel (arXiv 2603.19312, section 3); what is inside a part is read from
the names in the file, so every tensor of the checkpoint is a node and nothing else is.
"""

from collections.abc import Iterable
from pathlib import Path

from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.versions_pb2 import VersionDef

from lewm_evidence.tensors import Tensor, tensors

# What flows into each part; the rest of a graph is inside its parts.
FLOW = {
    "encoder": ["picture"],
    "projector": ["encoder"],
    "action_encoder": ["actions"],
    "predictor": ["projector", "action_encoder"],
    "pred_proj": ["predictor"],
    "cost": ["pred_proj", "goal_latent"],
}
_INPUTS = ("picture", "actions", "goal_latent")
_TYPES = {"F64": 2, "F32": 1, "F16": 19, "BF16": 14, "I64": 9, "I32": 3, "U8": 4, "BOOL": 10}  # of TensorFlow


def graph(weights: Path) -> bytes:
    """Returns the graph of a safetensors file as a serialised `GraphDef`; equal files give equal bytes.

    Raises:
        CheckpointError: when the file is not safetensors.
    """
    made = GraphDef(versions=VersionDef(producer=22))
    for name in _INPUTS:
        made.node.add(name=name, op="Input")
    held = tensors(weights)
    for part, sources in FLOW.items():
        inside = [tensor for tensor in held if tensor.name.split(".")[0] == part]
        _add_part(made, part, inside)
        layers = [f"{part}/{layer}" for layer in _layers(inside)]
        made.node.add(name=f"{part}/out", op="LeWM", input=[*(_end(source) for source in sources), *layers])
    return bytes(made.SerializeToString(deterministic=True))


def _end(part: str) -> str:
    return part if part in _INPUTS else f"{part}/out"


def _add_part(made: GraphDef, part: str, inside: Iterable[Tensor]) -> None:
    by_layer: dict[str, list[str]] = {}
    for tensor in inside:
        name = tensor.name.replace(".", "/")
        node = made.node.add(name=name, op=f"Parameter {tensor.dtype}")
        shape = node.attr["_output_shapes"].list.shape.add()
        for size in tensor.shape:
            shape.dim.add(size=size)
        node.attr["dtype"].type = _TYPES.get(tensor.dtype, 0)
        by_layer.setdefault(_layer(tensor), []).append(name)
    for layer, names in by_layer.items():
        made.node.add(name=f"{part}/{layer}", op="Layer", input=names)


def _layers(inside: Iterable[Tensor]) -> list[str]:
    return list(dict.fromkeys(_layer(tensor) for tensor in inside))


def _layer(tensor: Tensor) -> str:
    return "/".join(tensor.name.split(".")[1:-1]) or "own"
