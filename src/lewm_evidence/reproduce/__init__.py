"""Making a bundle's runs again from the bundle alone, and telling two bundles or runs apart.

`again` runs the stages, `compare` names the first difference, `tolerances` says which are small, `diff` shows two
bundles or runs side by side.
"""
