"""Runs examples of docstrings as ``python -m asyncio`` would: with await at the prompt."""

import ast
import contextlib
import doctest
import inspect
import io
import sys
import traceback
import types

_FLAGS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
_CHECKER = doctest.OutputChecker()
_PARSER = doctest.DocTestParser()


def documented(thing):
    """Return the docstrings of a module or class and of what it defines, in order."""
    texts = [(thing.__name__, thing.__doc__ or "")]
    if inspect.isclass(thing):
        bases = [base for base in thing.__bases__ if base is not object]
        texts = [text for base in bases for text in documented(base)] + texts
    home = getattr(thing, "__module__", thing.__name__)
    for name, member in vars(thing).items():
        function = getattr(member, "fget", None) or getattr(member, "__func__", member)
        is_own = getattr(function, "__module__", None) == home
        if inspect.isfunction(function) and is_own:
            texts.append((f"{thing.__name__}.{name}", inspect.getdoc(function) or ""))
    return texts


def count_examples(text):
    return len(_PARSER.get_examples(text))


async def run_examples(name, text, names):
    """Run every example of a text, among ``names``, and complain of the first wrong."""
    for example in _PARSER.get_examples(text, name):
        got = await _run_one(example, name, names)
        if example.exc_msg is not None:
            is_right = got.endswith(example.exc_msg)
        else:
            is_right = _CHECKER.check_output(example.want, got, _FLAGS)
        assert is_right, (
            f"{name}, line {example.lineno + 1}:\n{example.source}"
            f"expected:\n{example.want}got:\n{got}"
        )


async def _run_one(example, name, names):
    code = compile(
        example.source, f"<{name}>", "single", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    hook, sys.displayhook = sys.displayhook, sys.__displayhook__
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            result = types.FunctionType(code, names)()
            if inspect.iscoroutine(result):
                await result
    except Exception as error:
        if example.exc_msg is None:
            raise
        return "".join(traceback.format_exception_only(error))
    finally:
        sys.displayhook = hook
    return output.getvalue()
