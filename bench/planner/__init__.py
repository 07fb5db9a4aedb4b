"""The bench of planning and training; `python -m bench.planner --help`."""
