"""Compile the market's integer functions with numba; there is no second, slow version of them.

Integer arithmetic only: a division by zero raises, nothing is reordered, results are equal on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from types import FunctionType
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.registry import CPUDispatcher

F = TypeVar("F", bound=Callable[..., Any])


class CodeFiles(IndexDataCacheFile):  # type: ignore[misc]  # numba has no types
    """Machine code on disk, in a file for each signature and state of the function's source.

    numba numbers the files of a function and keeps an index beside them. Two processes that compile one function for
    two signatures at once may then give both the same number, and one is later given the other's machine code.
    """

    def save(self, key: Any, data: Any) -> None:
        """Keep what was compiled for a signature; numba writes beside and renames."""
        self._save_data(self._name(key), (key, data))

    def load(self, key: Any) -> Any:
        """What was compiled for a signature; None if nothing was, or its file is damaged."""
        try:
            kept, data = self._load_data(self._name(key))
        except Exception:  # whatever a damaged file makes of unpickling
            return None
        return data if kept == key else None

    def _name(self, key: Any) -> str:
        known = repr((self._version, self._source_stamp, key)).encode()
        return str(self._data_name_pattern.format(number=int.from_bytes(sha256(known).digest()[:8])))


class Compiled(CPUDispatcher):  # type: ignore[misc]  # numba has no types
    """A function as Python calls it. Compiled functions call `inner`, which lacks what takes Python's objects apart.

    That part is a third of what there is to compile, and only few functions are ever called by Python.
    """

    def __init__(self, function: FunctionType, locals: Any = None, targetoptions: Any = None) -> None:
        super().__init__(function, locals, targetoptions)
        bare = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
        self.inner = CPUDispatcher(_copy_function(function), locals, {**targetoptions, **bare})
        for dispatcher in (self, self.inner):
            _cache(dispatcher)

    @property
    def _numba_type_(self) -> Any:
        """What compiled functions take this one for."""
        return self.inner._numba_type_


def compiled(function: F) -> F:
    """Compile `function` to machine code on first use and cache it on disk; its type stays the same for mypy.

    Where numba finds no folder that it can write to, every process compiles it anew.
    """
    return cast(F, Compiled(cast(FunctionType, function), targetoptions={"nopython": True}))


def _copy_function(function: FunctionType) -> FunctionType:
    """The same under another name, by which numba keeps its machine code apart."""
    copy = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__qualname__, copy.__module__ = f"{function.__qualname__}.inner", function.__module__
    return copy


def _cache(dispatcher: CPUDispatcher) -> None:
    try:
        cache = FunctionCache(dispatcher.py_func)
    except RuntimeError:
        return  # no folder that numba can write to
    locator, name = cache._impl.locator, cache._impl.filename_base
    cache._cache_file = CodeFiles(locator.get_cache_path(), name, locator.get_source_stamp())
    dispatcher._cache = cache


@compiled
def fill(target: npt.NDArray[Any], values: npt.NDArray[Any]) -> None:
    """Write values into an array of their length, such as a slice.

    `target[:] = values` is the same, but numba then compiles what would tell that the lengths differ: text and all.
    """
    if target.size != values.size:  # compiled code has no bounds: it would write past the end
        raise ValueError("fill: expected two arrays of one length")
    for i in range(values.size):
        target[i] = values[i]


def integer(value: int) -> int:
    """`value` as an int64, for constants that are passed to compiled functions.

    To numba every plain Python constant has a type of its own, for which it compiles the function again.
    """
    return cast(int, np.int64(value))


ZERO = integer(0)
