"""`generate` of models that bring processors of their own, equal to stock, on small random ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import penstock.transformers
import pytest
import torch
import transformers
from penstock.transformers import _generation
from transformers.models.bark import generation_configuration_bark as bark_configs

from tests.conftest import REQUIRE_PARITY

if TYPE_CHECKING:
    from collections.abc import Callable

SEEDS = range(5 if REQUIRE_PARITY else 1)

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    # What these models say of their own options and of their own parts.
    pytest.mark.filterwarnings("ignore::UserWarning:transformers"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def spread(model: Any) -> Any:
    """A model whose distribution is neither flat nor a point."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)
    return model.eval()


def whisper() -> Callable[..., Any]:
    config = transformers.WhisperConfig(
        vocab_size=200, d_model=32, encoder_layers=1, decoder_layers=1, num_mel_bins=8,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32,
        decoder_ffn_dim=32, max_source_positions=30, max_target_positions=60, pad_token_id=0,
        bos_token_id=1, eos_token_id=100, decoder_start_token_id=101, suppress_tokens=None,
        begin_suppress_tokens=None,
    )  # fmt: skip
    model = spread(transformers.WhisperForConditionalGeneration(config))
    own = {
        "no_timestamps_token_id": 120, "max_initial_timestamp_index": 10, "is_multilingual": False,
        "no_speech_token_id": 105, "suppress_tokens": [5, 6], "begin_suppress_tokens": [7, 100],
        "prev_sot_token_id": 104, "max_length": 40,
    }  # fmt: skip
    for name, value in own.items():
        setattr(model.generation_config, name, value)
    features = torch.randn(2, 8, 60)
    return lambda **options: model.generate(features, max_new_tokens=20, **options)


def musicgen() -> Callable[..., Any]:
    text = transformers.T5Config(
        vocab_size=60, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2
    )
    decoder = transformers.MusicgenDecoderConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=16,
        num_codebooks=4, pad_token_id=64, bos_token_id=64, max_position_embeddings=64,
    )  # fmt: skip
    config = transformers.MusicgenConfig(
        text_encoder=text.to_dict(), audio_encoder=codec().to_dict(), decoder=decoder.to_dict()
    )
    model = transformers.MusicgenForConditionalGeneration(config).eval()
    model.generation_config.decoder_start_token_id = 64
    model.generation_config.pad_token_id = 64
    ids = torch.randint(1, 60, (2, 5))
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "max_new_tokens": 10}
    return lambda **options: model.generate(**given, **options)


def codec() -> transformers.EncodecConfig:
    return transformers.EncodecConfig(
        sampling_rate=400, num_filters=4, hidden_size=8, codebook_size=64, codebook_dim=8,
        upsampling_ratios=[2, 2], target_bandwidths=[24.0], num_lstm_layers=1,
    )  # fmt: skip


def dia() -> Callable[..., Any]:
    layers = {
        "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 16,
        "max_position_embeddings": 64,
    }  # fmt: skip
    special = {"bos_token_id": 38, "eos_token_id": 36, "pad_token_id": 37}
    cross = {
        "cross_num_attention_heads": 2, "cross_head_dim": 8, "cross_num_key_value_heads": 2,
        "cross_hidden_size": 16, "num_channels": 4,
    }  # fmt: skip
    config = transformers.DiaConfig(
        encoder_config=layers,
        decoder_config={**layers, **special, **cross},
        delay_pattern=[0, 2, 3, 4],
        **special,
    )
    model = spread(transformers.DiaForConditionalGeneration(config))
    ids = torch.randint(1, 36, (2, 7))
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "max_new_tokens": 20}
    return lambda **options: model.generate(**given, **options)


def bark(part: str) -> Callable[[], Callable[..., Any]]:
    def make() -> Callable[..., Any]:
        layers = {"block_size": 600, "num_layers": 1, "num_heads": 2, "hidden_size": 16}
        semantic = transformers.models.bark.BarkSemanticConfig(
            input_vocab_size=900, output_vocab_size=120, **layers
        )
        coarse = transformers.models.bark.BarkCoarseConfig(
            input_vocab_size=400, output_vocab_size=400, **layers
        )
        own = bark_configs.BarkSemanticGenerationConfig(
            eos_token_id=100, max_new_tokens=30, text_encoding_offset=200, text_pad_token=899,
            semantic_infer_token=898, semantic_vocab_size=100, max_input_semantic_length=16,
            semantic_pad_token=100, do_sample=True, temperature=0.9, min_eos_p=0.03,
        )  # fmt: skip
        if part == "semantic":
            model = spread(transformers.models.bark.BarkSemanticModel(semantic))
            ids = torch.randint(1, 600, (1, 16))
            given = {"attention_mask": torch.ones_like(ids), "semantic_generation_config": own}
            return lambda **options: model.generate(ids, **given, **options)
        other = bark_configs.BarkCoarseGenerationConfig(
            do_sample=True, coarse_semantic_pad_token=398, coarse_rate_hz=75,
            n_coarse_codebooks=2, coarse_infer_token=399, max_coarse_input_length=32,
            max_coarse_history=60, sliding_window_len=20,
        )  # fmt: skip
        second = spread(transformers.models.bark.BarkCoarseModel(coarse))
        tokens = torch.randint(0, 100, (1, 24))
        return lambda **options: second.generate(
            tokens,
            semantic_generation_config=own,
            coarse_generation_config=other,
            codebook_size=100,
            **options,
        )

    return make


FALLBACK = {"no_speech_threshold": 0.6, "logprob_threshold": -1.0, "temperature": (0.0, 0.5)}
CASES: list[tuple[str, Callable[[], Callable[..., Any]], dict[str, Any], set[str]]] = [
    ("whisper", whisper, {"return_timestamps": True}, {"timestamps"}),
    (
        "whisper-sampled",
        whisper,
        {"return_timestamps": True, "do_sample": True, "temperature": 0.9, "top_k": 20},
        {"timestamps", "top_k"},
    ),
    ("whisper-no-speech", whisper, {"return_timestamps": True, **FALLBACK}, {"timestamps"}),
    (
        "musicgen",
        musicgen,
        {"do_sample": True, "guidance_scale": 3.0, "top_k": 10},
        {"guided"},
    ),
    ("musicgen-greedy", musicgen, {"do_sample": False, "guidance_scale": 2.0}, {"guided"}),
    (
        "dia",
        dia,
        {"do_sample": True, "guidance_scale": 3.0, "top_k": 10, "temperature": 1.2},
        {"guided", "end_of_channel", "forced_row"},
    ),
    (
        "dia-unguided",
        dia,
        {"do_sample": True, "guidance_scale": None, "temperature": 1.2, "top_p": 0.9},
        {"end_of_channel", "forced_row", "top_p"},
    ),
    (
        "dia-greedy",
        dia,
        {"do_sample": False, "guidance_scale": 2.0, "top_k": 3},
        {"guided", "end_of_channel", "forced_row"},
    ),
    ("bark-semantic", bark("semantic"), {}, {"end_above", "suppress"}),
    ("bark-coarse", bark("coarse"), {}, {"codebooks"}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_equals_stock(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, make, options, expected_steps = case
    torch.manual_seed(11)
    generate = make()
    choosers: list[_generation.TokenChooser] = []
    stock_init = _generation.TokenChooser.__init__

    def init(self: _generation.TokenChooser, *args: Any, **more: Any) -> None:
        stock_init(self, *args, **more)
        choosers.append(self)

    monkeypatch.setattr(_generation.TokenChooser, "__init__", init)
    for seed in SEEDS:
        torch.manual_seed(seed)
        expected = generate(**options)
        state = torch.get_rng_state()
        assert seed > 0 or not choosers
        torch.manual_seed(seed)
        with penstock.transformers.installed():
            out = generate(**options)
        assert torch.equal(out, expected), seed
        assert torch.equal(torch.get_rng_state(), state), seed
    steps = {name for each in choosers for part in each._segments for name, *_ in part.steps}
    assert expected_steps <= steps
    assert not any(each.python_processors for each in choosers)
