"""Writes post_processors.jsonl: what `tokenizers` makes of encodings that it encoded without a post-processor.

    python tests/data/generate_post_processors.py > tests/data/post_processors.jsonl

Each line: the configuration, the encodings of a text and perhaps of a second one, whether special tokens are
added, and the fields of the result. Made with tokenizers 0.23.3.
"""
import json
import random

from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

random.seed(1)
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
VOCAB = {token: index for index, token in enumerate([*ALPHABET, "ĠĠ", "Ġa", "ab", "Ġab", "a\u0120"])}
MERGES = [("Ġ", "Ġ"), ("Ġ", "a"), ("a", "b"), ("Ġ", "ab"), ("a", "Ġ")]
SPECIAL = {"<s>": [300], "</s>": [301], "many": [302, 303]}


def piece(text):
    name, _, type_id = text.partition(":")
    kind, name = ("Sequence", name[1:]) if name[0] == "$" else ("SpecialToken", name)
    return {kind: {"id": name, "type_id": int(type_id or 0)}}


def template(single, pair):
    special = {k: {"id": k, "ids": v, "tokens": [f"{k}{i}" if i else k for i in range(len(v))]} for k, v in SPECIAL.items()}
    return {"type": "TemplateProcessing", "single": [*map(piece, single.split())], "pair": [*map(piece, pair.split())],
            "special_tokens": special}


def byte_level(trim, prefix):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": trim, "use_regex": True}


def roberta(trim, prefix):
    return {"type": "RobertaProcessing", "sep": ["</s>", 301], "cls": ["<s>", 300], "trim_offsets": trim, "add_prefix_space": prefix}


def sequence(*parts):
    return {"type": "Sequence", "processors": parts}


BERT = {"type": "BertProcessing", "sep": ["[SEP]", 301], "cls": ["<s>", 300]}
LLAMA = template("<s> $A", "<s> $A <s>:1 $B:1")
CONFIGS = [
    None, *[byte_level(t, p) for t in (True, False) for p in (True, False)], *[roberta(t, p) for t in (True, False) for p in (True, False)],
    BERT, LLAMA, template("$A:3", "$B $A:2"), template("many:1 $A </s>:2 many", "many $B:5 </s> $A:7 <s>:9"),
    template("$A <s> $A:1", "$A $B:1 $A:2"), template("<s>", "$B"), sequence(), sequence(byte_level(True, True), LLAMA),
    sequence(byte_level(False, False), byte_level(True, False), BERT), sequence(roberta(True, False), LLAMA),
    sequence(BERT, sequence(byte_level(True, True))),
]
FIELDS = ["ids", "type_ids", "tokens", "offsets", "word_ids", "special_tokens_mask", "attention_mask", "sequence_ids"]


def fields(encoding):
    return {name: getattr(encoding, name) for name in FIELDS}


def text():
    return "".join(random.choice(["a", "b", "ab", " ", " ", "  ", " a", "é", "<mask>", "\u3000", "\n"]) for _ in range(random.randint(0, 6)))


def main():
    for config in CONFIGS:
        for number in range(8):
            tokenizer = Tokenizer(models.BPE(vocab=VOCAB, merges=MERGES))
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=bool(number & 2), use_regex=True)
            tokenizer.add_tokens([AddedToken("<mask>", lstrip=True, rstrip=True)])
            inputs = [text(), text()] if number & 1 else [text()]
            plain = [fields(tokenizer.encode(part)) for part in inputs]
            if config is not None:
                whole = json.loads(tokenizer.to_str())
                whole["post_processor"] = config
                tokenizer = Tokenizer.from_str(json.dumps(whole))
            add = bool(number & 4)
            result = fields(tokenizer.encode(*inputs, add_special_tokens=add))
            case = {"post_processor": config, "encodings": plain, "add_special_tokens": add, "result": result}
            print(json.dumps(case, ensure_ascii=False))


main()
