"""Errors a person can act on.

EvidenceError
├── ConfigError          the configuration cannot be used
├── InputError           a function was given an argument it cannot work with (also a ValueError)
├── CheckpointError      a checkpoint is missing, altered or of another shape than promised
├── DataError            a recorded dataset is missing, damaged or of another layout than promised
├── WorldError           a simulator does not keep a promise of the world protocol
├── StageError           a stage cannot produce its result from these inputs
│   └── GateError        the result exists but does not hold what evidence must hold
├── ProbeError           a viewer does not show what the records say
└── BundleError          a bundle cannot be made or read
    └── RefusedError     a bundle was read and is not exactly what was sealed

Every message says what was wrong, where, and what to do.
"""


class EvidenceError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(EvidenceError):
    """The configuration cannot be used."""


class InputError(EvidenceError, ValueError):
    """A function was given an argument it cannot work with."""


class CheckpointError(EvidenceError):
    """A checkpoint is missing, altered, or of another shape than promised."""


class DataError(EvidenceError):
    """A recorded dataset is missing, damaged, or of another layout than promised."""


class WorldError(EvidenceError):
    """A simulator does not keep a promise of the world protocol."""


class StageError(EvidenceError):
    """A stage cannot produce its result from these inputs."""


class GateError(StageError):
    """The result exists but does not hold what evidence must hold."""


class ProbeError(EvidenceError):
    """A viewer does not show what the records say."""


class BundleError(EvidenceError):
    """A bundle cannot be made or read."""


class RefusedError(BundleError):
    """A bundle was read and is not exactly what was sealed."""
