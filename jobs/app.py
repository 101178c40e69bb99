"""The application that `huey_consumer jobs.app.huey` loads: it binds settings, models and tasks to each other. Starts nothing."""

from __future__ import annotations

from conf import load
from jobs import tasks
from jobs.infra import parent
from jobs.queue.broker import huey
from jobs.worker import WorkerConsumer
from models.store.database import connect

__all__ = ["huey"]

parent.inherit_pipe()  # before the settings are read, which warn of unknown variables
settings = load()
huey.consumer_class = WorkerConsumer
connect(settings, "worker")
tasks.bind(settings)
