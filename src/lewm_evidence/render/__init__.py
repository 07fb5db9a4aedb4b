"""Records to pictures: pure functions from finished runs to what viewers open."""
