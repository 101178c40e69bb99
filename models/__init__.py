"""Tables, the verbs on them, and the event log. Knows no asyncio and no HTTP; imports conf alone."""
