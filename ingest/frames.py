"""Messages between the parser pool and its children: JSON after its length, so that neither side unpickles anything."""

import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

_LENGTH = struct.Struct(">Q")

Message = Mapping[str, Any]


class FrameError(ValueError):
    """What came through the pipe is not a message."""


def write_frame(pipe: BinaryIO, message: Message) -> None:
    """Writes one message; paths and reasons may hold lone surrogates, which stand for undecodable file names."""
    payload = json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")
    pipe.write(_LENGTH.pack(len(payload)))
    pipe.write(payload)
    pipe.flush()


def read_frame(pipe: BinaryIO, max_bytes: int) -> Message | None:
    """Reads one message, None at the end of the pipe, also in the middle of a message; raises FrameError for others."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > max_bytes:
        raise FrameError(f"A message of {length} bytes is longer than {max_bytes}.")
    payload = pipe.read(length)
    if len(payload) < length:
        return None
    try:
        message = json.loads(payload.decode("utf-8", "surrogatepass"))
    except ValueError as error:
        raise FrameError("A message is not JSON.") from error
    if not isinstance(message, dict):
        raise FrameError("A message is not an object.")
    return message
