"""The command `bellwire`, one module for each subcommand."""
