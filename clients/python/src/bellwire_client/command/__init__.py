"""The command `bellwire`, one file a word."""
