"""Generate text with a model: compiled sampling and a decode stream, beside stock on request."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from penstock.cli._tokenizer import load
from penstock.errors import MissingDependencyError, PenstockError, SamplingError
from penstock.sampling import SamplingParams

if TYPE_CHECKING:
    import argparse

    from penstock._tokenizer import Tokenizer

# Options of the command and the arguments of `generate` that they become, when they are given.
_OPTIONS: dict[str, type] = {
    "temperature": float,
    "top_k": int,
    "top_p": float,
    "min_p": float,
    "typical_p": float,
    "repetition_penalty": float,
    "no_repeat_ngram_size": int,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--model", required=True, metavar="DIR", help="a model of transformers")
    parser.add_argument("--prompt", required=True, help="what the text begins with")
    parser.add_argument("--tokenizer", help="another tokenizer than the model's own")
    parser.add_argument("--max-new-tokens", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0, help="of torch's generator")
    parser.add_argument("--greedy", action="store_true", help="the likeliest token, no draw")
    parser.add_argument("--trust-remote-code", action="store_true")
    parser.add_argument(
        "--compare", action="store_true", help="run transformers as well and compare the tokens"
    )
    for name, kind in _OPTIONS.items():
        parser.add_argument("--" + name.replace("_", "-"), type=kind)


def run(options: argparse.Namespace) -> None:
    """Streams the text, then says how fast it came."""
    try:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

        from penstock.transformers import sample
    except ImportError as error:
        raise MissingDependencyError(
            "generate needs torch and transformers: pip install 'penstock[transformers]'"
        ) from error
    if options.max_new_tokens < 1:
        raise SamplingError(f"--max-new-tokens has to be at least 1, not {options.max_new_tokens}")
    chosen = {
        name: getattr(options, name) for name in _OPTIONS if getattr(options, name) is not None
    }
    # `generate` passes over some values that mean nothing, such as a `top_p` above 1.
    SamplingParams(**chosen)
    tokenizer = load(options.tokenizer or options.model)
    remote = {"trust_remote_code": options.trust_remote_code}
    config: Any = AutoConfig.from_pretrained(options.model, **remote)
    kind: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model = kind.from_pretrained(options.model, **remote)
    model.eval()
    ids = torch.tensor([tokenizer.encode(options.prompt).ids])
    if not ids.numel():
        raise PenstockError("the prompt has no tokens")
    arguments: dict[str, Any] = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "max_new_tokens": options.max_new_tokens,
        "do_sample": not options.greedy,
        **chosen,
    }
    # A decoder of its own begins with one token, and does not repeat the prompt.
    given = 1 if config.is_encoder_decoder else ids.shape[1]

    def generate(**more: Any) -> tuple[Any, float]:
        torch.manual_seed(options.seed)
        start = time.perf_counter()
        try:
            tokens = model.generate(**arguments, **more)
        except ValueError as error:
            if isinstance(error, PenstockError):
                raise
            raise SamplingError(str(error)) from error
        except IndexError as error:
            # A table of positions that ends; many models have none.
            positions = getattr(config, "max_position_embeddings", "unknown")
            asked = given + options.max_new_tokens
            raise SamplingError(
                f"the model failed: {error} ({asked} positions asked for, of {positions})"
            ) from error
        return tokens, time.perf_counter() - start

    if not config.is_encoder_decoder:
        print(options.prompt, end="", flush=True)
    tokens, seconds = generate(custom_generate=sample, token_streamer=_Printer(tokenizer))
    count = tokens.shape[1] - given
    print(f"\n\n{count} tokens, {count / seconds:.1f} tokens/s", file=sys.stderr)
    if options.compare:
        stock, stock_seconds = generate()
        rate = (stock.shape[1] - given) / stock_seconds
        if not torch.equal(stock, tokens):
            raise PenstockError(f"transformers gave other tokens: {stock[0, given:].tolist()}")
        print(f"transformers: {rate:.1f} tokens/s, the same tokens", file=sys.stderr)


class _Printer:
    """A streamer that prints text as soon as it is whole."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._stream = tokenizer.decode_stream()

    def put(self, tokens: Any) -> None:
        """Prints what one more token gives."""
        for token in tokens.tolist():
            print(self._stream.step(token) or "", end="", flush=True)

    def end(self) -> None:
        """The text is complete."""
