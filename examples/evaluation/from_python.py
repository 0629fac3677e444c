"""Evaluation from Python: python from_python.py MODEL [FOLDER]."""

from __future__ import annotations

import sys
from pathlib import Path

from penstock.evaluation import Generation, Perplexity, Task, evaluate

HERE = Path(__file__).parent


def main(model: str, output: str | None = None) -> None:
    """Scores a model on a task file, on texts given here, and on answers it writes."""
    texts = [{"text": "The river comes down from the hills."}, {"text": "The mill stands still."}]
    prompts = [{"prompt": "The wheel turns the", "target": "stones"}]
    tasks = [
        Task.from_toml(HERE / "river.toml"),
        Perplexity(name="texts", data=texts),
        Generation(name="words", data=prompts, max_new_tokens=8, stop=(".",)),
    ]
    # With `output`, the same call goes on with a run that was killed; `processes=2` starts two.
    result = evaluate(model, tasks=tasks, output=output, batch_size=4)
    print(result)
    print("accuracy:", result["river"]["acc"], "±", result["river"].metrics["acc"].stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
