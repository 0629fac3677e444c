from penstock import DecodeStream
from penstock.decoders import *  # noqa: F403

__all__ = ["DecodeStream"]
