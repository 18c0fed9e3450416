"""Modules that a library imports whether it needs them or not: loaded at the first use of something in them."""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_swapping = threading.Lock()


def postpone(*names: str) -> None:
    """Has `import name` cost nothing until something of that module is used; by whomever, it then is the real one.

    A module that is loaded already, or is not installed, stays so. The standard library's LazyLoader is no help:
    until Python 3.12 the import statement itself makes it load.
    """
    for name in names:
        if name not in sys.modules and (spec := find_spec(name)) is not None:
            stand_in = _Postponed(name)
            stand_in.__spec__ = spec
            sys.modules.setdefault(name, stand_in)


class _Postponed(ModuleType):
    """In `sys.modules` until it is asked for anything; who holds it longer is passed on to the real module."""

    def __getattr__(self, attribute: str) -> Any:
        with _swapping:  # or the second of two threads would throw out what the first has loaded
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), attribute)
