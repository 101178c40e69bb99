"""Random histories of conversations against a simple model: who has which notification, with which count.

The model knows no SQL and no slices: it keeps, for each member, the messages that an unread notification is about. The drains are
crashed between their transactions at random, and what they have done is done again.
"""
