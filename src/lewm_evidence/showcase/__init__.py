"""A showcase for a person who waits for it: `lewm-evidence showcase` looks at this machine, runs, records and tells."""
