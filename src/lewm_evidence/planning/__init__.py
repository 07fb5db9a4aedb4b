"""Planning: from a start and a goal to actions."""

from lewm_evidence.planning.cem import CEM, Iteration, Plan

__all__ = ["CEM", "Iteration", "Plan"]
