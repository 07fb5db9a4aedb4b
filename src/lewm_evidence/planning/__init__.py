"""Planning: from a start and a goal to actions."""

from lewm_evidence.planning.cem import CEM
from lewm_evidence.planning.controller import Decision, RecedingHorizon
from lewm_evidence.planning.fast import FastLeWM
from lewm_evidence.planning.gradient import GradientDescent
from lewm_evidence.planning.icem import ICEM
from lewm_evidence.planning.mppi import MPPI
from lewm_evidence.planning.solver import Iteration, Plan, Solver, action_bounds

__all__ = [
    "CEM",
    "ICEM",
    "MPPI",
    "Decision",
    "FastLeWM",
    "GradientDescent",
    "Iteration",
    "Plan",
    "RecedingHorizon",
    "Solver",
    "action_bounds",
]
