"""`penstock generate` on a small model made here."""

from __future__ import annotations

import shutil
from pathlib import Path

import penstock
import pytest
import torch
import transformers
from penstock.cli import main


def save(model: transformers.PreTrainedModel, folder: Path) -> None:
    """Saves a model with the tokenizer that ships with penstock."""
    model.save_pretrained(folder)
    default = Path(penstock.__file__).parent / "data" / "default.json"
    shutil.copy(default, folder / "tokenizer.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of transformers with the tokenizer that ships with penstock."""
    out = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=penstock.Tokenizer.from_default().get_vocab_size(),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        eos_token_id=None,
        bos_token_id=None,
    )
    save(transformers.LlamaForCausalLM(config), out)
    return out


@pytest.mark.parametrize("options", [["--temperature", "0.8", "--top-p", "0.9"], ["--greedy"]])
def test_streams_and_compares(
    folder: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["generate", "--model", str(folder), "--prompt", "Water", "--max-new-tokens", "12"]
    assert main([*arguments, *options, "--compare"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("Water")
    assert len(printed.out) > len("Water")
    assert "12 tokens" in printed.err
    assert "the same tokens" in printed.err


def test_bad_options(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["generate", "--model", str(folder), "--prompt", "Water"]
    assert main([*arguments, "--temperature", "0.0"]) == 1
    assert "temperature" in capsys.readouterr().err
    assert main([*arguments, "--top-p", "1.5"]) == 1
    assert "top_p" in capsys.readouterr().err
    assert main([*arguments, "--max-new-tokens", "0"]) == 1
    assert "max-new-tokens" in capsys.readouterr().err


def test_encoder_decoder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = transformers.T5Config(
        vocab_size=penstock.Tokenizer.from_default().get_vocab_size(),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
    )
    save(transformers.T5ForConditionalGeneration(config), tmp_path)
    arguments = ["generate", "--model", str(tmp_path), "--prompt", "Water", "--compare"]
    assert main([*arguments, "--max-new-tokens", "9", "--top-k", "30"]) == 0
    printed = capsys.readouterr()
    assert not printed.out.startswith("Water")
    assert " tokens, " in printed.err
    assert "the same tokens" in printed.err


def test_more_than_the_models_positions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = penstock.Tokenizer.from_default().get_vocab_size()
    config = transformers.GPT2Config(
        vocab_size=size, n_positions=8, n_embd=16, n_layer=1, n_head=2, eos_token_id=None
    )
    save(transformers.GPT2LMHeadModel(config), tmp_path)
    arguments = ["generate", "--model", str(tmp_path), "--prompt", "Water"]
    assert main([*arguments, "--max-new-tokens", "20"]) == 1
    assert "positions asked for, of 8" in capsys.readouterr().err
