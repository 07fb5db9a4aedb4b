"""The bundle: a BagIt bag of finished runs, its deterministic archive, and the strict reader of both.

`bag` and `archive` write, `bundle` puts both in their place, `verify` reads. Nothing here needs more than the
base installation.
"""
