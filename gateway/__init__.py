"""The HTTP face: routes, the committer, the hub and the tail. Imports jobs, models, metrics and conf."""
