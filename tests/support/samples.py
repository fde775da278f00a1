"""Bodies that the gateway answers: IBKR's published examples and recordings, shortened."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from bezant_server.cpapi import document

_FOLDER = Path(__file__).parents[1] / "fixtures" / "cpapi"

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def sample(name: str) -> Any:
    """A body as the server reads it: `portfolio/recorded_account`."""
    return document.parse((_FOLDER / f"{name}.json").read_bytes())


@st.composite
def spoiled(draw: st.DrawFn, name: str) -> Any:
    """A body in which one place, anywhere, holds any JSON value instead."""
    body = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    place = draw(st.sampled_from(list(_places(body))))
    value = draw(ANY_JSON)
    if not place:
        return document.parse(json.dumps(value).encode())
    body = copy.deepcopy(body)
    target = body
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    return document.parse(json.dumps(body).encode())


def _places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _places(member, (*here, name))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _places(member, (*here, index))
