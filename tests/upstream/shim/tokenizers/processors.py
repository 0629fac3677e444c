from penstock.processors import *  # noqa: F403
