"""Pictures and sound that tests upload, and what their consumer does with them."""

from __future__ import annotations

import wave
from io import BytesIO

from PIL import Image

from models.files.file import READY, File
from models.log import event
from tests.gateway.client import Client
from tests.gateway.stored_files import objects_of
from tests.models.stored_files import store_blob


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
    with owner.gateway.store():
        blob = store_blob(objects_of(owner.gateway), thumbnail)
        with event.transaction():  # which waits until the gateway is not writing
            File.update(state=READY, thumbnail=blob, width=width, height=height).where(File.id == file).execute()
