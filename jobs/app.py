"""What `huey_consumer jobs.app.huey` loads: settings, models and tasks, bound to each other. Starts nothing."""

from __future__ import annotations

import models
from conf import load
from jobs import parent, tasks
from jobs.broker import huey

__all__ = ["huey"]

parent.take_from_environment()  # before the settings are read, which warn of what they do not know
settings = load()
models.connect(settings, "worker")
tasks.bind(settings)
