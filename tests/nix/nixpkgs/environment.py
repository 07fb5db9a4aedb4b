"""Writes OUT/bin with Python and the console scripts of the named packages: `environment.py OUT NAME...`."""

import sys
from importlib.metadata import distribution
from pathlib import Path

out, *names = sys.argv[1:]
commands = {"python", "python3"}
for name in names:
    commands |= distribution(name).entry_points.select(group="console_scripts").names
folder = Path(out, "bin")
folder.mkdir(parents=True)
for command in commands:
    (folder / command).write_text(f'#!/bin/bash\nexec {Path(sys.prefix, "bin", command)} "$@"\n')
    (folder / command).chmod(0o755)
