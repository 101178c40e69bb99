"""Pictures and sound that tests upload, and what their consumer does with them."""

from __future__ import annotations

import wave
from io import BytesIO

from PIL import Image

from models.blobs import blob as blobs
from models.blobs.opening import open_store
from models.files.file import READY, File
from models.log import event
from tests.gateway.client import Client
from tests.stores import settings_of


def picture(width: int, height: int, colour: str = "teal") -> bytes:
    """Return a PNG of one colour."""
    file = BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return file.getvalue()


def silence(seconds: int) -> bytes:
    """Return a WAV file without a sound."""
    file = BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16_000) * seconds)
    return file.getvalue()


def upload(owner: Client, name: str, content: bytes) -> int:
    """Upload a file, and return its id."""
    answer = owner.call("POST", "/files", params={"name": name}, content=content)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def make_ready(owner: Client, file: int, thumbnail: bytes, width: int, height: int) -> None:
    """Give a picture that nobody has looked at its thumbnail."""
    gateway = owner.gateway
    with gateway.store():
        with event.transaction() as tx:
            begun = blobs.begin(tx, len(thumbnail))
        writer = open_store(settings_of(gateway.data, gateway.store_settings)).writer(begun.key)
        writer.write(thumbnail)
        writer.finish()
        with event.transaction() as tx:
            blobs.mark_stored(tx, begun.id, len(thumbnail), "0" * 64)
            File.update(state=READY, thumbnail=begun.id, width=width, height=height).where(File.id == file).execute()
