"""The error of queues that are servers."""


class QueueDownError(OSError):
    """The queue cannot be used now. No work is lost: workers also find it in the log."""
