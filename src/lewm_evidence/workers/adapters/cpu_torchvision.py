"""Lets `import torchvision` succeed beside a CPU build of torch, whose compiled part does not load there."""

import torch


def declare_operators() -> torch.library.Library | None:
    """Declares the operators torchvision looks for at import; they last as long as what is returned."""
    if torch.version.cuda is not None:
        return None
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library
