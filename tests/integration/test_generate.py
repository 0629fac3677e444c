"""`generate` with compiled sampling, token for token equal to stock, on small models."""

from __future__ import annotations

from functools import cache
from typing import Any
from unittest.mock import Mock

import penstock.transformers
import pytest
import torch
import transformers
from penstock.transformers import _device
from penstock.transformers._generation import TokenChooser
from penstock.transformers._steps import _TRANSLATIONS, segments
from transformers import GenerationMixin, LogitsProcessor, LogitsProcessorList
from transformers.generation import logits_process as stock

from tests.conftest import REQUIRE_PARITY

VOCABULARY = 400
EOS, PAD = 3, 0
SEEDS = range(5 if REQUIRE_PARITY else 1)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def made_before() -> None:
    """Making a model draws: that happens before a test seeds the generator."""
    model("llama")


def _model(name: str) -> Any:
    torch.manual_seed(11)
    ends = {"eos_token_id": EOS, "pad_token_id": PAD, "bos_token_id": 1}
    if name == "gpt2":
        config: Any = transformers.GPT2Config(
            vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=2, n_positions=128, **ends
        )
        return transformers.GPT2LMHeadModel(config)
    if name == "t5":
        config = transformers.T5Config(
            vocab_size=VOCABULARY,
            d_model=32,
            d_kv=8,
            d_ff=64,
            num_layers=2,
            num_heads=4,
            decoder_start_token_id=PAD,
            **ends,
        )
        return transformers.T5ForConditionalGeneration(config)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        **ends,
    )
    return transformers.LlamaForCausalLM(config)


@cache
def model(name: str) -> Any:
    """A model whose distribution is neither flat nor a point."""
    out = _model(name).eval()
    with torch.no_grad():
        for parameter in out.parameters():
            parameter.mul_(3.0)
    if name == "llama-bf16":
        out = out.to(torch.bfloat16)
    return out


def prompt(name: str) -> dict[str, torch.Tensor]:
    """Input ids of two to three rows; `llama-padded` has rows of three lengths."""
    generator = torch.Generator().manual_seed(5)
    if name != "llama-padded":
        ids = torch.randint(4, VOCABULARY, (2, 7), generator=generator)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    ids = torch.randint(4, VOCABULARY, (3, 9), generator=generator)
    mask = torch.ones_like(ids)
    for row, padding in enumerate((0, 3, 6)):
        ids[row, :padding] = PAD
        mask[row, :padding] = 0
    return {"input_ids": ids, "attention_mask": mask}


def even_tokens(_row: int, _ids: torch.Tensor) -> list[int]:
    return list(range(0, VOCABULARY, 2))


CONFIGURATIONS: list[dict[str, Any]] = [
    {"do_sample": False},
    {"do_sample": False, "repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
    {"do_sample": True},
    {"do_sample": True, "top_k": 0},
    {"do_sample": True, "temperature": 0.7, "top_k": 50, "top_p": 0.95},
    {"do_sample": True, "temperature": 0.8, "top_k": 0, "top_p": 0.9},
    {"do_sample": True, "temperature": 1.3, "top_k": 0, "top_p": 0.95, "min_p": 0.02},
    {"do_sample": True, "top_k": 0, "typical_p": 0.8},
    {"do_sample": True, "top_k": 0, "epsilon_cutoff": 3e-3, "eta_cutoff": 3e-3},
    {"do_sample": True, "top_k": 0, "top_h": 0.6},
    {"do_sample": True, "renormalize_logits": True, "top_p": 0.8},
    {"do_sample": True, "repetition_penalty": 1.2},
    {"do_sample": True, "encoder_repetition_penalty": 1.5, "encoder_no_repeat_ngram_size": 2},
    {"do_sample": True, "no_repeat_ngram_size": 2, "bad_words_ids": [[5], [6, 7], [8, 9, 10]]},
    {"do_sample": True, "sequence_bias": {(12,): 4.0, (13, 14): -3.0}, "min_new_tokens": 6},
    {"do_sample": True, "min_length": 14, "exponential_decay_length_penalty": (3, 1.2)},
    {"do_sample": True, "suppress_tokens": [9, 11], "begin_suppress_tokens": [20, 21]},
    {"do_sample": True, "forced_bos_token_id": 30, "forced_eos_token_id": EOS},
    {"do_sample": True, "prefix_allowed_tokens_fn": even_tokens, "remove_invalid_values": True},
    {"do_sample": True, "num_return_sequences": 3, "top_k": 20, "repetition_penalty": 1.1},
    {"do_sample": True, "guidance_scale": 1.5, "top_k": 10},
    {"do_sample": True, "watermarking_config": transformers.WatermarkingConfig(bias=2.0)},
    {
        "do_sample": True,
        "top_k": 60,
        "watermarking_config": transformers.WatermarkingConfig(seeding_scheme="selfhash"),
    },
    {
        "do_sample": True,
        "top_k": 60,
        "renormalize_logits": True,
        "watermarking_config": transformers.SynthIDTextWatermarkingConfig(3, [5, 7, 11, 13]),
    },
    {"do_sample": False, "guidance_scale": 2.0, "renormalize_logits": True},
]
MODELS = ("gpt2", "llama", "t5", "llama-padded", "llama-bf16")
FEW_MODELS = MODELS if REQUIRE_PARITY else ("gpt2", "t5", "llama-padded")


def run(name: str, seed: int, **options: Any) -> tuple[Any, torch.Tensor]:
    made = model(name)
    torch.manual_seed(seed)
    out = made.generate(**{**prompt(name), "max_new_tokens": 16, **options})
    return out, torch.get_rng_state()


def test_in_full_there_are_four_models_twenty_configurations_and_five_seeds() -> None:
    assert len(MODELS) >= 4
    assert len(CONFIGURATIONS) >= 20
    assert not REQUIRE_PARITY or (len(SEEDS) >= 5 and FEW_MODELS == MODELS)


@pytest.mark.filterwarnings("ignore:Passing `encoder_:UserWarning")
@pytest.mark.filterwarnings("ignore:Unfeasible length constraints:UserWarning")
@pytest.mark.parametrize("options", CONFIGURATIONS, ids=lambda options: ",".join(options))
@pytest.mark.parametrize("name", FEW_MODELS)
def test_equals_stock(name: str, options: dict[str, Any]) -> None:
    if name == "t5" and "guidance_scale" in options:
        options = {k: v for k, v in options.items() if k != "guidance_scale"}
    for seed in SEEDS:
        expected, state = run(name, seed, **options)
        tokens, ours = run(name, seed, custom_generate=penstock.transformers.sample, **options)
        assert torch.equal(tokens, expected), seed
        assert torch.equal(ours, state), seed
        with penstock.transformers.installed():
            tokens, ours = run(name, seed, **options)
        assert torch.equal(tokens, expected), seed
        assert torch.equal(ours, state), seed


@pytest.mark.parametrize("name", MODELS)
def test_outputs(name: str) -> None:
    """Scores, logits, attentions and hidden states are kept as stock keeps them."""
    options = {
        "do_sample": True,
        "top_p": 0.9,
        "temperature": 0.8,
        "return_dict_in_generate": True,
        "output_scores": True,
        "output_logits": True,
        "output_attentions": True,
        "output_hidden_states": True,
    }
    expected, _ = run(name, 1, **options)
    out, _ = run(name, 1, custom_generate=penstock.transformers.sample, **options)
    assert type(out) is type(expected)
    assert list(out) == list(expected)
    assert torch.equal(out.sequences, expected.sequences)
    for key in ("scores", "logits"):
        assert len(out[key]) == len(expected[key])
        assert all(torch.equal(a, b) for a, b in zip(out[key], expected[key], strict=True)), key


@pytest.mark.parametrize("name", ["gpt2", "llama-padded", "t5"])
def test_caches(name: str) -> None:
    for caching in (
        {"use_cache": False},
        {"cache_implementation": "static"},
        {"cache_implementation": "dynamic"},
        {"cache_implementation": "offloaded"} if torch.cuda.is_available() else {},
    ):
        options = {"do_sample": True, "top_p": 0.9, **caching}
        expected, state = run(name, 4, **options)
        out, ours = run(name, 4, custom_generate=penstock.transformers.sample, **options)
        assert torch.equal(out, expected), caching
        assert torch.equal(ours, state), caching


class Streamer:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.values: list[list[int]] = []
        self.ended = False

    def put(self, value: torch.Tensor) -> None:
        self.values.append(value.flatten().tolist())

    def end(self) -> None:
        self.ended = True


def one_row(name: str) -> dict[str, torch.Tensor]:
    return {key: value[:1] for key, value in prompt(name).items()}


def test_streamers() -> None:
    """The streamer of `generate` reaches a callable, although `generate` does not pass it on."""
    streams = []
    for options in (
        {},
        {"custom_generate": penstock.transformers.sample},
    ):
        streamer = Streamer()
        torch.manual_seed(1)
        model("llama").generate(
            **one_row("llama"), do_sample=True, max_new_tokens=8, streamer=streamer, **options
        )
        streams.append(streamer)
    assert streams[0].values == streams[1].values
    assert streams[1].ended
    streamer = Streamer()
    torch.manual_seed(1)
    model("llama").generate(
        **one_row("llama"),
        do_sample=True,
        max_new_tokens=8,
        custom_generate=penstock.transformers.sample,
        token_streamer=streamer,
    )
    assert streamer.values == streams[0].values[1:]


def test_stopping_criteria() -> None:
    class Stop(transformers.StoppingCriteria):
        def __call__(self, input_ids: torch.Tensor, scores: Any, **_kwargs: Any) -> torch.Tensor:
            return torch.full((len(input_ids),), input_ids.shape[1] >= 12)

    criteria = transformers.StoppingCriteriaList([Stop()])
    expected, _ = run("gpt2", 2, do_sample=True, stopping_criteria=criteria)
    out, _ = run(
        "gpt2",
        2,
        do_sample=True,
        stopping_criteria=criteria,
        custom_generate=penstock.transformers.sample,
    )
    assert expected.shape[1] == 12
    assert torch.equal(out, expected)


class Favourite(LogitsProcessor):
    """A user's own processor."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores = scores.clone()
        scores[:, input_ids.shape[1] % VOCABULARY] += 5.0
        return scores


class OwnTemperature(stock.TemperatureLogitsWarper):
    """A subclass may do anything, so it runs in Python."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return super().__call__(input_ids, scores) * 0.5


@pytest.mark.parametrize("name", ["gpt2", "llama-padded"])
def test_own_processors_run_at_their_place(name: str) -> None:
    mine = LogitsProcessorList(
        [Favourite(), stock.TopPLogitsWarper(0.8), OwnTemperature(0.9), stock.TopKLogitsWarper(30)]
    )
    options = {
        "do_sample": True,
        "repetition_penalty": 1.2,
        "min_p": 0.01,
        "logits_processor": mine,
    }
    for seed in range(10):
        expected, state = run(name, seed, **options)
        out, ours = run(name, seed, custom_generate=penstock.transformers.sample, **options)
        assert torch.equal(out, expected)
        assert torch.equal(ours, state)


class Returns(LogitsProcessor):
    def __init__(self, make: Any) -> None:
        self.make = make

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> Any:
        return self.make(scores)


RETURNED: dict[str, Any] = {
    "float64": lambda s: s.double(),
    "bfloat16": lambda s: s.bfloat16(),
    "integers": lambda s: s.long(),
    "an array": lambda s: s.numpy(),
    "nothing": lambda _: None,
    "one row": lambda s: s[:1],
    "no rows": lambda s: s[0],
    "no vocabulary": lambda s: s[:, :0],
    "half of the vocabulary": lambda s: s[:, ::2],
    "three dimensions": lambda s: s[None],
}


@pytest.mark.parametrize("do_sample", [False, True])
@pytest.mark.parametrize("returned", RETURNED)
def test_what_own_processors_may_return(returned: str, do_sample: bool) -> None:
    """Scores of another type and shape go on as in stock, to its result or to its error."""
    options: dict[str, Any] = {
        "do_sample": do_sample,
        "max_new_tokens": 4,
        "logits_processor": LogitsProcessorList([Returns(RETURNED[returned])]),
        "return_dict_in_generate": True,
        "output_scores": True,
    }

    def outcome(**more: Any) -> Any:
        try:
            out, state = run("gpt2", 3, **options, **more)
        except Exception as error:
            return type(error)
        scores = [(step.dtype, step.tolist()) for step in out.scores]
        return out.sequences.tolist(), scores, state.tolist()

    assert outcome(custom_generate=penstock.transformers.sample) == outcome()


@pytest.mark.parametrize("name", ["gpt2", "t5"])
def test_prompts_whose_rows_are_not_contiguous(name: str) -> None:
    ids = prompt(name)["input_ids"]
    options = {
        "input_ids": ids.t().contiguous().t(),
        "do_sample": True,
        "repetition_penalty": 1.3,
        "encoder_repetition_penalty": 1.2,
        "no_repeat_ngram_size": 2,
        "encoder_no_repeat_ngram_size": 3,
    }
    expected, state = run(name, 5, **options)
    out, ours = run(name, 5, custom_generate=penstock.transformers.sample, **options)
    assert torch.equal(out, expected)
    assert torch.equal(ours, state)


def test_gradients_flow_as_in_stock() -> None:
    """`generate` turns them off; what it wraps does not."""
    generate = GenerationMixin.generate.__wrapped__
    options = {
        "do_sample": True, "max_new_tokens": 3, "return_dict_in_generate": True,
        "output_scores": True,
    }  # fmt: skip
    results = []
    for more in ({}, {"custom_generate": penstock.transformers.sample}):
        torch.manual_seed(2)
        results.append(generate(model("gpt2"), **prompt("gpt2"), **options, **more))
    expected, out = results
    assert torch.equal(out.sequences, expected.sequences)
    assert all(step.requires_grad for step in out.scores)


def test_what_runs_in_python() -> None:
    processors = [
        stock.RepetitionPenaltyLogitsProcessor(1.2),
        Favourite(),
        stock.TemperatureLogitsWarper(0.5),
        stock.TopKLogitsWarper(5, filter_value=-1e4),
        stock.TopPLogitsWarper(0.5),
    ]
    parts = segments(processors, 1)
    assert [[step[0] for step in part.steps] for part in parts] == [
        ["repetition_penalty"],
        [],
        ["temperature"],
        [],
        ["top_p"],
    ]
    chooser = TokenChooser(LogitsProcessorList(processors), 1, do_sample=True)
    assert chooser.python_processors == [processors[1], processors[3]]


def test_every_processor_of_transformers_is_compiled() -> None:
    processors = {
        value
        for value in vars(stock).values()
        if isinstance(value, type) and issubclass(value, LogitsProcessor)
    } - {LogitsProcessor}
    assert len(processors) == 35
    assert processors == set(_TRANSLATIONS)


@pytest.mark.parametrize(
    "options",
    [{"num_beams": 3}, {"num_beams": 2, "do_sample": True}, {"prompt_lookup_num_tokens": 3}],
)
def test_other_modes_go_to_stock(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    expected = model("llama").generate(**one_row("llama"), max_new_tokens=10, **options)
    torch.manual_seed(0)
    out = model("llama").generate(
        **one_row("llama"),
        max_new_tokens=10,
        custom_generate=penstock.transformers.sample,
        **options,
    )
    assert torch.equal(out, expected)


@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 2, "streamer": Mock()},
        {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 0.5},
        {"penalty_alpha": 0.6, "top_k": 4},
        {"dola_layers": "high"},
        {"force_words_ids": [[5]], "num_beams": 2},
    ],
)
def test_what_other_modes_refuse(options: dict[str, Any]) -> None:
    """Streamers of beams, and the searches that transformers keeps in repositories."""
    for more in ({}, {"custom_generate": penstock.transformers.sample}):
        with pytest.raises(ValueError, match=r"beam|repository|trust_remote_code"):
            model("llama").generate(**one_row("llama"), max_new_tokens=3, **options, **more)


def test_an_assistant_goes_to_stock() -> None:
    options = {"max_new_tokens": 10, "assistant_model": model("llama"), "do_sample": False}
    expected = model("llama").generate(**one_row("llama"), **options)
    out = model("llama").generate(
        **one_row("llama"), custom_generate=penstock.transformers.sample, **options
    )
    assert torch.equal(out, expected)


def test_install_is_reversible() -> None:
    before = GenerationMixin.__dict__["_sample"]
    with penstock.transformers.installed():
        assert GenerationMixin.__dict__["_sample"] is not before
        penstock.transformers.install()
    assert GenerationMixin.__dict__["_sample"] is before


@pytest.mark.parametrize("do_sample", [False, True])
def test_broken_logits(do_sample: bool) -> None:
    """Where stock raises, the type is the same; where it takes NaN for the largest, so do we."""
    options: dict[str, Any] = {"do_sample": do_sample, "max_new_tokens": 3}
    name = "gpt2"

    class Break(LogitsProcessor):
        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            scores = scores.clone()
            scores[:, 17] = float("nan")
            return scores

    options["logits_processor"] = LogitsProcessorList([Break()])
    if do_sample:
        with pytest.raises(RuntimeError):
            run(name, 0, **options)
        with pytest.raises(RuntimeError):
            run(name, 0, custom_generate=penstock.transformers.sample, **options)
    else:
        expected, _ = run(name, 0, **options)
        out, _ = run(name, 0, custom_generate=penstock.transformers.sample, **options)
        assert torch.equal(out, expected)


@pytest.mark.filterwarnings("ignore:Passing `encoder_:UserWarning")
@pytest.mark.parametrize("options", CONFIGURATIONS[:20], ids=lambda options: ",".join(options))
def test_the_path_of_accelerators(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps in torch's operations give stock's scores; run on the CPU, bit for bit."""

    def choose(
        self: TokenChooser, input_ids: torch.Tensor, logits: torch.Tensor, *, scores: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        processed = _device.scores(self._segments, input_ids, logits.float())
        return _device.choose(processed, do_sample=self._do_sample), processed

    monkeypatch.setattr(TokenChooser, "choose", choose)
    for name in ("t5", "llama-padded"):
        expected, state = run(name, 3, **options)
        out, ours = run(name, 3, custom_generate=penstock.transformers.sample, **options)
        assert torch.equal(out, expected), name
        assert torch.equal(ours, state)
