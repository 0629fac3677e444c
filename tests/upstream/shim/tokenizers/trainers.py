from penstock.trainers import *  # noqa: F403
