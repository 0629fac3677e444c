"""Classes that bring their own components: their tokenizers without the stock backend.

Such a class takes the vocabulary and the merges out of `tokenizer.json` and builds a backend around
them. Here it gets a stand-in of three tokens and one merge instead, or of a few tokens of a list,
builds its backend around that, which takes no time, and the core puts the file's vocabulary under
what it has built (`Frame`).

That is right only for a class that hands both on untouched. Its source has to show that
(`hands_on`), the stand-in refuses to be read, and what was built has to hold it, no more and no
less. Where any of this fails, transformers loads the tokenizer as it always does.
"""

from __future__ import annotations

import ast
import base64
import functools
import inspect
import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any, NoReturn

import tokenizers
import transformers
from transformers.tokenization_utils_tokenizers import TokenizersBackend

from penstock import _native
from penstock.transformers._compile import model_name

if TYPE_CHECKING:
    from collections.abc import Iterator

MODELS = ("BPE", "WordPiece", "Unigram")
"""Models whose vocabulary is handed over as a table."""

STAGES = ("normalizer", "pre_tokenizer", "post_processor", "decoder")

_LEFT, _RIGHT = "\ue000penstock", "\ue001stand-in"
_TOKENS = {_LEFT: 0, _RIGHT: 1, _LEFT + _RIGHT: 2}
_MERGE = (_LEFT, _RIGHT)
_FIRST, _LAST = 96, 32
"""Tokens of a list that stand for all. A class gives the place of its unknown token, which is among
the first; whether there are tokens of languages, the last ones show."""


class NotHandedOnError(Exception):
    """The class does more with the vocabulary than to hand it on."""


class Vocabulary(dict[str, int]):
    """Stands for the vocabulary of a file; `tokenizers` reads it, Python code may not."""

    def __init__(self) -> None:
        super().__init__(_TOKENS)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise NotHandedOnError

    __getitem__ = __setitem__ = __delitem__ = __contains__ = __iter__ = __len__ = _refuse
    __eq__ = __ne__ = __or__ = __ior__ = __ror__ = __reversed__ = _refuse
    __repr__ = __copy__ = __deepcopy__ = __reduce_ex__ = _refuse
    get = keys = values = items = copy = pop = popitem = update = setdefault = clear = _refuse
    __hash__ = None

    def __bool__(self) -> bool:
        """True, as of a vocabulary."""
        return True


class Merges(list[tuple[str, str]]):
    """Stands for the merges of a file."""

    def __init__(self) -> None:
        super().__init__([_MERGE])


class Scores(list[tuple[str, float]]):
    """Stands for the tokens and scores of a file, in which Python code may look a token up."""

    def __init__(self, draft: _native.Draft) -> None:
        self._draft = draft
        found = draft.scores()
        self.few = found if len(found) <= _FIRST + _LAST else found[:_FIRST] + found[-_LAST:]
        self.looks = 0
        super().__init__(self.few)

    def __iter__(self) -> Iterator[tuple[str, float]]:
        """The few; `tokenizers` looks at them once."""
        self.looks += 1
        return super().__iter__()

    def __contains__(self, item: object) -> bool:
        """True for a token and its score of the file."""
        return item in self._draft.scores()

    def index(self, *arguments: Any) -> int:
        """The place of a token and its score in the file."""
        return self._draft.scores().index(*arguments)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise NotHandedOnError

    __getitem__ = __setitem__ = __delitem__ = __eq__ = __ne__ = __add__ = __iadd__ = _refuse
    __reversed__ = __copy__ = __deepcopy__ = __reduce_ex__ = __mul__ = __rmul__ = _refuse
    append = extend = insert = pop = remove = reverse = sort = copy = count = clear = _refuse
    __hash__ = None


ATTRIBUTES = ("_vocab", "_vocab_scores", "_merges")
"""What classes keep their file in."""

# --- what the source of a class shows

_NAMES = {"vocab", "merges", *ATTRIBUTES}

KNOWN_VERSION = "5.23.0"
KNOWN = frozenset(
    f"transformers.models.{name}" for name in (
        "albert.tokenization_albert.AlbertTokenizer",
        "barthez.tokenization_barthez.BarthezTokenizer",
        "bert.tokenization_bert.BertTokenizer",
        "big_bird.tokenization_big_bird.BigBirdTokenizer",
        "blenderbot.tokenization_blenderbot.BlenderbotTokenizer",
        "camembert.tokenization_camembert.CamembertTokenizer",
        "clip.tokenization_clip.CLIPTokenizer",
        "code_llama.tokenization_code_llama.CodeLlamaTokenizer",
        "codegen.tokenization_codegen.CodeGenTokenizer",
        "cohere.tokenization_cohere.CohereTokenizer",
        "deberta.tokenization_deberta.DebertaTokenizer",
        "deberta_v2.tokenization_deberta_v2.DebertaV2Tokenizer",
        "funnel.tokenization_funnel.FunnelTokenizer",
        "gemma.tokenization_gemma.GemmaTokenizer",
        "gpt2.tokenization_gpt2.GPT2Tokenizer",
        "gpt_neox.tokenization_gpt_neox.GPTNeoXTokenizer",
        "herbert.tokenization_herbert.HerbertTokenizer",
        "lasr.tokenization_lasr.LasrTokenizer",
        "llama.tokenization_llama.LlamaTokenizer",
        "mbart.tokenization_mbart.MBartTokenizer",
        "mpnet.tokenization_mpnet.MPNetTokenizer",
        "nllb.tokenization_nllb.NllbTokenizer",
        "nougat.tokenization_nougat.NougatTokenizer",
        "openai.tokenization_openai.OpenAIGPTTokenizer",
        "pegasus.tokenization_pegasus.PegasusTokenizer",
        "qwen2.tokenization_qwen2.Qwen2Tokenizer",
        "qwen3_5.tokenization_qwen3_5.Qwen3_5Tokenizer",
        "reformer.tokenization_reformer.ReformerTokenizer",
        "rembert.tokenization_rembert.RemBertTokenizer",
        "roberta.tokenization_roberta.RobertaTokenizer",
        "seamless_m4t.tokenization_seamless_m4t.SeamlessM4TTokenizer",
        "siglip2.tokenization_siglip2.Siglip2Tokenizer",
        "splinter.tokenization_splinter.SplinterTokenizer",
        "t5.tokenization_t5.T5Tokenizer",
        "tipsv2.tokenization_tipsv2.Tipsv2Tokenizer",
        "videoprism.tokenization_videoprism.VideoPrismTokenizer",
        "whisper.tokenization_whisper.WhisperTokenizer",
        "xglm.tokenization_xglm.XGLMTokenizer",
        "xlm_roberta.tokenization_xlm_roberta.XLMRobertaTokenizer",
        "xlnet.tokenization_xlnet.XLNetTokenizer",
    )
)  # fmt: skip
"""Classes whose source shows it in that version: to read it takes milliseconds."""

_COPIES = frozenset({"transformers.models.mbart50.tokenization_mbart50.MBart50Tokenizer"})
"""Classes that hand a copy on, which the stand-in survives."""


def model_of(cls: Any) -> str | None:
    """The type of model that a class brings; the ones that name none have a list of scores."""
    model = getattr(cls, "model", None)
    return "Unigram" if model is None else getattr(model, "__name__", None)


@functools.cache
def hands_on(cls: Any) -> bool:
    """True if the class's `__init__` only hands vocabulary and merges on."""
    own = cls.__dict__.get("__init__")
    if own is None:
        return False
    base = next(base for base in cls.__mro__[1:] if "__init__" in base.__dict__)
    if base is not TokenizersBackend:
        return _passes_on(own) and hands_on(base)
    name = f"{cls.__module__}.{cls.__qualname__}"
    if transformers.__version__ == KNOWN_VERSION and name in KNOWN | _COPIES:
        module = sys.modules.get(cls.__module__)
        code = getattr(own, "__code__", None)
        if code is not None and code.co_filename == getattr(module, "__file__", None):
            return True
    return shows_handing_on(cls)


def _source_of(function: Any) -> ast.Module | None:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None


def _passes_on(function: Any) -> bool:
    """True if an `__init__` only calls another one with all that it gets."""
    tree = _source_of(function)
    if tree is None or not isinstance(tree.body[0], ast.FunctionDef):
        return False
    body = tree.body[0].body
    if ast.get_docstring(tree.body[0]) is not None:
        body = body[1:]
    lines = [ast.unparse(line) for line in body]
    return lines in (
        ["super().__init__(*args, do_lower_case=do_lower_case, **kwargs)"],
        ["super().__init__(*args, **kwargs)", "self.do_lower_case = do_lower_case"],
    )


def shows_handing_on(cls: Any) -> bool:
    """`hands_on`, from the source of the class."""
    own = cls.__dict__["__init__"]
    model = model_of(cls)
    wanted = {"BPE": {"vocab", "merges"}, "WordPiece": {"vocab"}, "Unigram": {"vocab"}}.get(
        model or ""
    )
    if wanted is None or not wanted <= set(inspect.signature(own).parameters):
        return False
    tree = _source_of(own)
    if tree is None:
        return False
    _Given().visit(tree)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    if any(isinstance(node, ast.Name) and node.id in ("locals", "vars", "globals", "eval", "exec")
           for node in ast.walk(tree)):  # fmt: skip
        return False
    return all(
        _is_handed_on(node, parents) or (model == "Unigram" and _is_looked_up_in(node, parents))
        for node in ast.walk(tree)
        if _is_table(node)
    )


class _Given(ast.NodeTransformer):
    """Takes out of a class what it does without a vocabulary."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        """Leaves the branch of the two that runs."""
        self.generic_visit(node)
        test = node.test
        if (
            isinstance(test, ast.Compare)
            and isinstance(test.left, ast.Name)
            and test.left.id == "vocab"
            and isinstance(test.comparators[0], ast.Constant)
            and test.comparators[0].value is None
        ):
            if isinstance(test.ops[0], ast.IsNot):
                return node.body
            if isinstance(test.ops[0], ast.Is):
                return node.orelse
        return node


def _is_looked_up_in(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    """True where the stand-in of a list answers for the file."""
    parent = parents[node]
    if isinstance(parent, ast.Compare):
        return isinstance(parent.ops[0], (ast.In, ast.NotIn)) and parent.comparators[0] is node
    if isinstance(parent, ast.Call) and parent.args and parent.args[0] is node:
        name = getattr(parent.func, "id", None)
        searched = name == "enumerate" and _is_search(parents[parent], parents)
        return name == "isinstance" or searched
    if isinstance(parent, ast.Attribute) and parent.attr == "index":
        call = parents[parent]
        return isinstance(call, ast.Call) and call.func is parent
    return False


def _is_search(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    """True for `for ... in ... if token == str(unk_token)` of a `next`."""
    if not isinstance(node, ast.comprehension) or len(node.ifs) != 1:
        return False
    call = parents[parents[node]]
    return (
        isinstance(call, ast.Call)
        and getattr(call.func, "id", None) == "next"
        and ast.unparse(node.ifs[0]).endswith("== str(unk_token)")
    )


def _is_table(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id in _NAMES
    if isinstance(node, ast.Attribute):
        return node.attr in _NAMES
    return False


def _is_handed_on(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    parent = parents[node]
    if isinstance(getattr(node, "ctx", None), ast.Store):
        return isinstance(parent, (ast.Assign, ast.AnnAssign))
    if isinstance(parent, ast.Compare):
        only = parent.comparators[0]
        none = isinstance(only, ast.Constant) and only.value is None
        return none and isinstance(parent.ops[0], (ast.Is, ast.IsNot)) and parent.left is node
    value = node
    while isinstance(parent, (ast.IfExp, ast.BoolOp)):
        if isinstance(parent, ast.IfExp) and parent.test is value:
            return False
        if isinstance(parent, ast.BoolOp) and not isinstance(parent.op, ast.Or):
            return False
        value, parent = parent, parents[parent]
    if isinstance(parent, ast.Assign):
        return all(_is_table(target) for target in parent.targets)
    if isinstance(parent, ast.keyword):
        parent = parents[parent]
    if not isinstance(parent, ast.Call):
        return False
    name = getattr(parent.func, "id", getattr(parent.func, "attr", None))
    return name in MODELS


# --- one load


class ModelOptions:
    """The options of a model, which are the class's own; its vocabulary is not."""

    def __init__(self, model: Any) -> None:
        self.__dict__["_model"] = model

    def __getattr__(self, name: str) -> Any:
        """An option of the model.

        Raises:
            NotHandedOnError: It is something else.
        """
        if name not in _OPTIONS:
            raise NotHandedOnError
        return getattr(self.__dict__["_model"], name)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        """Refuses: the model is only read."""
        raise NotHandedOnError


_OPTIONS = ("unk_token", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback")


class Frame:
    """The backend that a class builds around the stand-in, and the file to put under it."""

    def __init__(self, path: str, model: str) -> None:
        """Reads the file.

        Raises:
            NotHandedOnError: Its model is not of the class's type, or it has a component that
                transformers reads in another way.
        """
        self.draft = _native.Draft(path)
        if self.draft.model != model:
            raise NotHandedOnError
        self.vocabulary: Vocabulary | Scores
        self.vocabulary = Scores(self.draft) if model == "Unigram" else Vocabulary()
        self.merges = Merges()
        self.real: tokenizers.Tokenizer | None = None
        self._stages: dict[str, str] = {}
        self._model = ""

    def arguments(self, given: dict[str, Any]) -> dict[str, Any]:
        """What `convert_to_native_format` makes of `given`, with stand-ins."""
        found = {name: value for name, value in given.items() if name != "tokenizer_file"}
        wanted = ("truncation", "padding", "post_processor")
        values = {name: json.loads(self.draft.value(name) or "null") for name in wanted}
        blank = {"type": "WordLevel", "vocab": {"": 0}, "unk_token": ""}
        text = {"version": "1.0", **values, "added_tokens": [], "normalizer": None,
                "pre_tokenizer": None, "decoder": None, "model": blank}  # fmt: skip
        parts = tokenizers.Tokenizer.from_str(json.dumps(text))
        found["post_processor"] = parts.post_processor
        found["tokenizer_padding"] = parts.padding
        found["tokenizer_truncation"] = parts.truncation
        if parts.truncation is not None:
            found["_json_truncation"] = parts.truncation
        if parts.padding is not None:
            found["_json_padding"] = parts.padding
        charsmap = _charsmap(json.loads(self.draft.value("normalizer") or "null"))
        if charsmap is not None:
            found["_spm_precompiled_charsmap"] = charsmap
        found["vocab"] = self.vocabulary
        if self.draft.model == "BPE":
            found["merges"] = self.merges
        return found

    def model(self) -> ModelOptions:
        """What may be asked of the stand-in's model.

        Raises:
            NotHandedOnError: There is none yet.
        """
        if self.real is None:
            raise NotHandedOnError
        return ModelOptions(self.real.model)

    def takes(self, value: Any) -> bool:
        """True for a backend that was built around the stand-in; it becomes the frame's."""
        tokens = _TOKENS
        if isinstance(self.vocabulary, Scores):
            tokens = {token: index for index, (token, _) in enumerate(self.vocabulary.few)}
        if type(value) is tokenizers.Tokenizer and value.get_vocab(False) == tokens:
            self.real = value
            return True
        return False

    def native(self, known: _native.Tokenizer | None) -> _native.Tokenizer:
        """The tokenizer as the frame is now; `known` is what it was at the last look.

        Raises:
            NotHandedOnError: The model is not the stand-in alone, or has changed since.
            PenstockError: The core does not run one of the components.
        """
        if self.real is None or vars(self.real):
            raise NotHandedOnError
        text = self.real.to_str()
        values = json.loads(text)
        stages = {stage: json.dumps(values[stage]) for stage in STAGES}
        model = values["model"]
        vocab, merges = model.get("vocab"), model.get("merges")
        expected: Any = _TOKENS
        if isinstance(self.vocabulary, Scores):
            expected = [list(item) for item in self.vocabulary.few]
        whole = merges in ([list(_MERGE)], [" ".join(_MERGE)]) if merges is not None else True
        if vocab != expected or not whole or values["added_tokens"] or model.get("dropout"):
            raise NotHandedOnError
        if known is None:
            known = self.draft.finish(text)
        elif self._model != json.dumps(model):
            raise NotHandedOnError
        else:
            for stage in STAGES:
                if stages[stage] != self._stages[stage]:
                    tokens = known.get_added_tokens_decoder().values()
                    if stage == "normalizer" and any(token.normalized for token in tokens):
                        raise NotHandedOnError  # by the old one
                    known = known.with_component(stage, stages[stage])
        self._stages, self._model = stages, json.dumps(model)
        return known

    def check_unknown(self, unknown: str) -> None:
        """Looks whether a class that searched the few for its unknown token has found it there.

        Raises:
            NotHandedOnError: It has not, and all tokens may have it.
        """
        scores = self.vocabulary
        if not isinstance(scores, Scores) or scores.looks <= 1:
            return
        place = json.loads(self._model)["unk_id"]
        if place is None or place >= len(scores.few) or scores.few[place][0] != unknown:
            raise NotHandedOnError

    def names(self, attributes: dict[str, Any]) -> Iterator[str]:
        """The attributes that hold a stand-in.

        Raises:
            NotHandedOnError: Another than those of `ATTRIBUTES` does.
        """
        few = self.vocabulary.few if isinstance(self.vocabulary, Scores) else None
        for name, value in attributes.items():
            if value is self.vocabulary or value is self.merges:
                if name not in ATTRIBUTES or (name == "_merges") != (value is self.merges):
                    raise NotHandedOnError
                yield name
            elif few is not None and type(value) is list and value == few:
                if name not in ATTRIBUTES:
                    raise NotHandedOnError
                yield name


def _charsmap(normalizer: Any) -> bytes | None:
    """The character map of a file's normalizer, where transformers looks for one."""
    if not normalizer:
        return None
    if normalizer.get("type", None) == "Sequence":
        parts = normalizer["normalizers"]
    else:
        parts = [normalizer]
    for part in parts:
        if part.get("type") == "Precompiled" and "precompiled_charsmap" in part:
            return base64.b64decode(part["precompiled_charsmap"])
    return None


def tables(native: _native.Tokenizer, name: str) -> Any:
    """What a class keeps of its file: one of `ATTRIBUTES`."""
    if name != "_merges" and model_name(native) != "Unigram":
        return native.get_vocab(with_added_tokens=False)
    model = json.loads(native.to_str())["model"]
    if name != "_merges":
        return [tuple(item) for item in model["vocab"]]
    merges = model["merges"]
    return [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in merges]
