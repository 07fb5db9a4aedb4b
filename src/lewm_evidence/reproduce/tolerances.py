"""How far a result may be off when another machine makes it; docs/reproduce.md gives the reasons.

On the machine and with the packages that made a bundle, results are equal to the last bit, and nothing here is used.
Elsewhere (another instruction set, thread count, device or torch) the last digits of every sum differ. Numbers of one
pass through the model stay close. A planner picks its elites by cost, so a last digit can change which plan wins;
what happens after that is another, equally valid episode, which is reported as different, not excused.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Tolerance:
    """What two values of one quantity may differ by.

    Attributes:
        quantity: what is measured, in words.
        absolute: in the quantity's own unit.
        relative: share of the larger of the two; for arrays of the largest magnitude in the array.
    """

    quantity: str
    absolute: float
    relative: float

    def allowed(self, scale: float) -> float:
        """Returns the largest difference allowed between values of magnitude `scale`."""
        return self.absolute + self.relative * abs(scale)


EXACT = Tolerance("counts, switches and choices", 0.0, 0.0)
# Of pixel values 0 to 255, and the share of pixels that may be off by more.
PIXEL = Tolerance("pixel values", 8.0, 0.0)
PIXEL_SHARE = 0.01
_LENGTH = Tolerance("positions and errors in pixels of the simulator", 0.5, 0.0)
_ANGLE = Tolerance("angles in radians", 0.01, 0.0)
_LATENT = Tolerance("latents", 0.0, 1e-4)
_COST = Tolerance("costs and squared latent distances", 1e-5, 1e-3)
_ACTION = Tolerance("actions", 1e-3, 0.0)
_WEIGHT = Tolerance("weights of a trained checkpoint", 1e-5, 1e-2)
_TRAINING = Tolerance("training curves", 1e-4, 1e-2)

# The first pattern that fits the tag, array or JSON path decides; what fits none must be equal.
TABLE: tuple[tuple[str, Tolerance], ...] = (
    ("*success*", EXACT),
    ("*winner_cost", _COST),
    ("*winner*", EXACT),
    ("*latent_distance*", _COST),
    ("*prediction_error*", _COST),
    ("*latent*", _LATENT),
    ("*cost*", _COST),
    ("*actions", _ACTION),
    ("*block_angle", _ANGLE),
    ("*_px*", _LENGTH),
    ("*agent_[xy]", _LENGTH),
    ("*block_[xy]", _LENGTH),
    ("*paths", _LENGTH),
    ("*states", _LENGTH),
    ("*_state", _LENGTH),
    ("gate/check*", _LENGTH),
    ("train/*", _TRAINING),
    ("checkpoint/model.safetensors*", _WEIGHT),
)


def tolerance(name: str) -> Tolerance:
    """Returns what values called `name` may differ by."""
    return next((found for pattern, found in TABLE if fnmatchcase(name, pattern)), EXACT)
