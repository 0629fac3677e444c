"""lm-eval's tasks on our batches: python with_lm_eval.py MODEL [FOLDER].

On the command line: python -m penstock.evaluation.lm_eval --processes 2 --model penstock
--model_args pretrained=MODEL,run_dir=FOLDER --tasks hellaswag
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import lm_eval
from lm_eval.tasks import TaskManager
from penstock.evaluation.lm_eval import PenstockLM

HERE = Path(__file__).parent
TASK = """
task: river
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_choice: "{{{{answers}}}}"
doc_to_target: label
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
"""


def main(model: str, run_dir: str | None = None) -> None:
    """Runs a local task; without its own tasks lm-eval starts seconds faster."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "river.yaml").write_text(TASK.format(rows=HERE / "river.jsonl"))
        found = lm_eval.simple_evaluate(
            model=PenstockLM(model, run_dir=run_dir, batch_size=4),
            tasks=["river"],
            task_manager=TaskManager(include_path=folder, include_defaults=False),
            bootstrap_iters=0,
        )
    print(found["results"]["river"])


if __name__ == "__main__":
    main(*sys.argv[1:])
