"""The report: one HTML page a person wants to read, made from finished runs. `page` makes it, `numbers` its JSON."""
