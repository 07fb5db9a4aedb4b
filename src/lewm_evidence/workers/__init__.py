"""Foreign trainers and policies, each in an environment of its own.

`environment` makes the environments, `contract` runs a worker in one and reads what it says, `native` turns the
worker's own event files into the common tags. `adapters/` holds one script a worker; they run in the workers'
environments, where this package is not installed, and import nothing of it but `adapters/telemetry.py`.
"""
