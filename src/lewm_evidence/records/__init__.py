"""The run directory: what a stage writes while it runs and what everyone else may read after.

`Run` is the writing side, `FinishedRun` the reading side, `job` the way a rule starts a stage.
"""

from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.run import Run
from lewm_evidence.records.schema import Record, Spec, Timing

__all__ = ["FinishedRun", "Record", "Run", "Spec", "Timing"]
