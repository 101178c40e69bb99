"""The servers under load, each a process of its own: Bellwire, the floors, PostgreSQL, Redis and a mail relay."""
