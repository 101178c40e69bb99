"""Background work: Huey decides when a drain of the log runs, never what it does. Imports models, metrics and conf."""
