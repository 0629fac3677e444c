from penstock.normalizers import *  # noqa: F403
