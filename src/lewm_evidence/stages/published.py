"""The paper's own numbers for LeWM (arXiv 2603.19312, version 3), where each stands, and how they were obtained."""

from dataclasses import dataclass

PAPER = "arXiv 2603.19312v3"


@dataclass(frozen=True)
class Published:
    """A number of the paper.

    Attributes:
        value: in the unit of the row it stands beside, or None when only words are given.
        text: as the paper writes it.
        where: in the paper.
    """

    value: float | None
    text: str
    where: str


# By world and row; a spread after ± is over three training seeds for success, over pictures for probes.
PUBLISHED: dict[str, dict[str, Published]] = {
    "pusht": {
        "success/lewm": Published(96.0, "96.0 ± 2.83", "Table 5, 50 starts, 3 training seeds"),
        "probe/linear/agent_position/mse": Published(0.052, "0.052 ± 0.149", "Table 1"),
        "probe/linear/agent_position/pearson_r": Published(0.974, "0.974", "Table 1"),
        "probe/mlp/agent_position/mse": Published(0.004, "0.004 ± 0.056", "Table 1"),
        "probe/mlp/agent_position/pearson_r": Published(0.998, "0.998", "Table 1"),
        "probe/linear/block_position/mse": Published(0.029, "0.029 ± 0.073", "Table 1"),
        "probe/linear/block_position/pearson_r": Published(0.986, "0.986", "Table 1"),
        "probe/mlp/block_position/mse": Published(0.001, "0.001 ± 0.006", "Table 1"),
        "probe/mlp/block_position/pearson_r": Published(0.999, "0.999", "Table 1"),
        "probe/linear/block_angle/mse": Published(0.187, "0.187 ± 0.359", "Table 1"),
        "probe/linear/block_angle/pearson_r": Published(0.902, "0.902", "Table 1"),
        "probe/mlp/block_angle/mse": Published(0.021, "0.021 ± 0.139", "Table 1"),
        "probe/mlp/block_angle/pearson_r": Published(0.990, "0.990", "Table 1"),
        "surprise/teleport": Published(None, "p < 0.01", "Figure 8"),
        "surprise/colour": Published(None, "not significant", "Figure 8"),
        "straightness/lewm": Published(None, "about 0.6", "Figure 17, read off the curve"),
        "planning_time": Published(0.98, "0.98 s, one L40S GPU", "Figure 3 and appendix D"),
    },
    "tworoom": {
        "success/lewm": Published(87.0, "87", "Figure 6"),
        "probe/linear/agent_position/mse": Published(0.008, "0.008 ± 0.018", "Table 3"),
        "probe/linear/agent_position/pearson_r": Published(0.996, "0.996", "Table 3"),
        "probe/mlp/agent_position/mse": Published(0.000, "0.000 ± 0.000", "Table 3"),
        "probe/mlp/agent_position/pearson_r": Published(1.000, "1.000", "Table 3"),
        "surprise/teleport": Published(None, "p < 0.01", "Figure 8"),
        "surprise/colour": Published(None, "not significant", "Figure 8"),
    },
}


@dataclass(frozen=True)
class Protocol:
    """How the paper evaluated planning in a world (appendices D and F.1)."""

    episodes: int
    goal_offset: int
    budget: int
    iterations: int


PROTOCOLS = {"pusht": Protocol(50, 25, 50, 30), "tworoom": Protocol(50, 100, 150, 10)}
