"""Jinja templates and expressions over the fields of a row."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from penstock.errors import MissingDependencyError, TaskError

if TYPE_CHECKING:
    from penstock.evaluation._task import Row


class Templates:
    """Renders the templates of one task; every failure names the task and the row."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._environment = _environment()

    def text(self, template: str, row: Row, index: int) -> str:
        """Renders a template."""
        return str(self._call(_compiled, template, row, index))

    def value(self, expression: str, row: Row, index: int) -> Any:
        """Evaluates an expression."""
        if expression in row:  # also where a name is no identifier
            return row[expression]
        return self._call(_compiled_expression, expression, row, index)

    def _call(self, compile_: Any, source: str, row: Row, index: int) -> Any:
        import jinja2

        try:
            return compile_(source)(row)
        except jinja2.TemplateSyntaxError as error:
            raise TaskError(f"{source!r} is no template: {error}", self._task) from error
        except jinja2.UndefinedError as error:
            message = f"{source!r}: {error.message}; the row has {', '.join(sorted(row))}"
            raise TaskError(message, self._task, index) from error
        except (jinja2.TemplateError, TypeError, ValueError, LookupError) as error:
            message = f"{source!r}: {type(error).__name__}: {error}"
            raise TaskError(message, self._task, index) from error


@lru_cache(maxsize=1)
def _environment() -> Any:
    try:
        import jinja2
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as error:
        message = "tasks need jinja2: pip install 'penstock[evaluate]'"
        raise MissingDependencyError(message) from error
    # Prompts are text for models, not HTML.
    return ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        extensions=["jinja2.ext.loopcontrols"],
    )


@lru_cache(maxsize=256)
def _compiled(source: str) -> Any:
    template = _environment().from_string(source)
    return lambda row: template.render(**row)


@lru_cache(maxsize=256)
def _compiled_expression(source: str) -> Any:
    import jinja2

    call = _environment().compile_expression(source, undefined_to_none=False)

    def value(row: Row) -> Any:
        result = call(**row)
        if isinstance(result, jinja2.Undefined):
            str(result)  # raises, with the name of what is missing
        return result

    return value
