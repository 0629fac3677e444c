from penstock.decoders import *  # noqa: F403
