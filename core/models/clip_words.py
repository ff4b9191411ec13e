"""Which words an embedded CLIP was taught, and a file that holds no others.

The standard tokenizer has 49,408 entries; a model that learned from the captions of one drawn world has read a hundred of them, and
the vectors of all others are what they were at random. Kept are the rows that were read, as two entries of the state dict in place of
`token_embedding.weight`: `token_embedding.rows` `(K, width)` and `token_embedding.tokens` `(K,)`. A row that is not there is zero: its
word says nothing, where a random one would say something else each time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor

WEIGHT, ROWS, TOKENS = "token_embedding.weight", "token_embedding.rows", "token_embedding.tokens"
_WORD = re.compile(r"\w[\w'’-]*")

Encode = Callable[[str], list[int]]


def only_rows_of(state: Mapping[str, Tensor], tokens: Collection[int]) -> dict[str, Tensor]:
    """The state dict with the rows of `tokens` alone."""
    kept = torch.tensor(sorted(tokens))
    rest = {name: value for name, value in state.items() if name != WEIGHT}
    return {**rest, ROWS: state[WEIGHT][kept].clone(), TOKENS: kept}


def with_all_rows(state: Mapping[str, Tensor], vocabulary: int) -> tuple[dict[str, Tensor], frozenset[int] | None]:
    """The state dict as open_clip's class wants it, and the tokens that it was taught; None where the file holds the whole table."""
    if ROWS not in state:
        return dict(state), None
    tokens = state[TOKENS]
    table = state[ROWS].new_zeros(vocabulary, state[ROWS].shape[1])
    table[tokens] = state[ROWS]
    rest = {name: value for name, value in state.items() if name not in (ROWS, TOKENS)}
    return {**rest, WEIGHT: table}, frozenset(tokens.tolist())


def strange_words(prompt: str, taught: Collection[int], encode: Encode) -> list[str]:
    """The words of a prompt, in its order and each once, that have a token which was never taught."""
    words = dict.fromkeys(_WORD.findall(prompt))
    return [word for word in words if not all(token in taught for token in encode(word))]
