from penstock.pre_tokenizers import *  # noqa: F403
