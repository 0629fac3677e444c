from penstock.models import *  # noqa: F403
