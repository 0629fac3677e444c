"""Compiled tokenization: the ids of `tokenizers`, at the speed of the hardware."""

from __future__ import annotations

from penstock import decoders as decoders
from penstock import errors as errors
from penstock import implementations as implementations
from penstock import models as models
from penstock import normalizers as normalizers
from penstock import pre_tokenizers as pre_tokenizers
from penstock import processors as processors
from penstock import trainers as trainers
from penstock._components import Regex as Regex
from penstock._native import AddedToken as AddedToken
from penstock._native import DecodeStream as DecodeStream
from penstock._native import Encoding as Encoding
from penstock._native import __version__ as __version__
from penstock._ragged import Ragged as Ragged
from penstock._tokenizer import Tokenizer as Tokenizer
from penstock._training import byte_level_alphabet as byte_level_alphabet
from penstock._training import train_bpe as train_bpe
from penstock._training import train_unigram as train_unigram
from penstock._training import train_wordlevel as train_wordlevel
from penstock._training import train_wordpiece as train_wordpiece
from penstock._types import EncodeInput as EncodeInput
from penstock._types import InputSequence as InputSequence
from penstock._types import Offsets as Offsets
from penstock._types import PreTokenizedEncodeInput as PreTokenizedEncodeInput
from penstock._types import PreTokenizedInputSequence as PreTokenizedInputSequence
from penstock._types import TextEncodeInput as TextEncodeInput
from penstock._types import TextInputSequence as TextInputSequence
from penstock.implementations import BertWordPieceTokenizer as BertWordPieceTokenizer
from penstock.implementations import ByteLevelBPETokenizer as ByteLevelBPETokenizer
from penstock.implementations import CharBPETokenizer as CharBPETokenizer
from penstock.implementations import SentencePieceBPETokenizer as SentencePieceBPETokenizer
from penstock.implementations import SentencePieceUnigramTokenizer as SentencePieceUnigramTokenizer
from penstock.models import Token as Token
