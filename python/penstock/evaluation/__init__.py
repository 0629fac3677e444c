"""Evaluation of language models and classifiers: one answer for any number of processes.

from penstock.evaluation import evaluate
print(evaluate("path/to/model", tasks=["hellaswag=val.jsonl"]))
"""

from __future__ import annotations

from penstock.evaluation._builtin import TASKS as TASKS
from penstock.evaluation._builtin import builtin as builtin
from penstock.evaluation._compare import Comparison as Comparison
from penstock.evaluation._compare import Difference as Difference
from penstock.evaluation._compare import compare as compare
from penstock.evaluation._evaluate import evaluate as evaluate
from penstock.evaluation._report import write_report as write_report
from penstock.evaluation._result import Metric as Metric
from penstock.evaluation._result import Result as Result
from penstock.evaluation._result import TaskResult as TaskResult
from penstock.evaluation._task import Classification as Classification
from penstock.evaluation._task import Extract as Extract
from penstock.evaluation._task import Generation as Generation
from penstock.evaluation._task import MultipleChoice as MultipleChoice
from penstock.evaluation._task import Perplexity as Perplexity
from penstock.evaluation._task import Task as Task
