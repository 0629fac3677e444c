from penstock.implementations import *  # noqa: F403
