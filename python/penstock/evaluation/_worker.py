"""One worker of `processes=N`; see `_launch`."""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from pathlib import Path
from typing import Any

from penstock.errors import PenstockError


def main(place: Path) -> int:
    """Runs this worker's share; leaves its error in `place` if it fails."""
    rank = os.environ["RANK"]
    try:
        # What our own launcher wrote, in a folder of its own.
        specification: dict[str, Any] = pickle.loads(  # noqa: S301
            (place / "specification.pkl").read_bytes()
        )
        from penstock.evaluation._run import run

        model = specification["model"]
        if isinstance(model, Path):
            import torch

            model = torch.load(model, weights_only=False)
        run(model, specification["tokenizer"], specification["tasks"], specification["options"])
        _leave()
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        kept: Any = error if isinstance(error, PenstockError) else traceback.format_exc()
        temporary = place / f"error-{rank}.tmp"
        temporary.write_bytes(pickle.dumps(kept))
        temporary.replace(place / f"error-{rank}.pkl")
        return 1
    return 0


def _leave() -> None:
    from accelerate import PartialState

    PartialState().destroy_process_group()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
