"""The one error of queues that are servers."""


class QueueDownError(OSError):
    """The queue can't be used now. Its work is done all the same: the log tells of it."""
