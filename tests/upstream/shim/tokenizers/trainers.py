"""Trainer objects; penstock has functions instead, which have tests of their own."""

from tokenizers import _Missing


class BpeTrainer(_Missing): ...


class WordPieceTrainer(_Missing): ...


class WordLevelTrainer(_Missing): ...


class UnigramTrainer(_Missing): ...


class Trainer(_Missing): ...
