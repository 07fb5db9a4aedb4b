"""`python -m lewm_evidence.cli`, the same program."""

import sys

from lewm_evidence.cli.program import main

sys.exit(main())
