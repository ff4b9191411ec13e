"""The token that stands for the target image (Ruiz et al., "DreamBooth", CVPR 2023, section 3.1): a rare entry of the vocabulary.

A byte-pair vocabulary is ordered by how often its entries were merged, so an entry's number is its rank among all words that the encoder
knows. A rare entry may still be a word with a meaning, which then leaks into every picture. What looks like a word is told from the
vocabulary itself: its letters follow one another as those of the common words do.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any

from core.types import ShiftlabError

DEFAULT_TOKEN = "ohwx"  # rank 47,993 of 49,408 in CLIP's vocabulary, and no word of any language
COMMON_SHARE = 0.8  # of the vocabulary: entries before that are words that people use
ODDEST_SHARE = 0.05  # so many of the common words have letters as odd as those of a token without a meaning
SHORTEST_WORD = 4  # letters of a word from which letter pairs are counted; shorter entries are mostly abbreviations
WORD_END = "</w>"
LETTERS = 26
LEAKS = {"sks": "“sks” is the name of a rifle and is reported to bring soldiers and weapons into the pictures."}
INSTEAD = f"A rare token without a meaning is safer, such as “{DEFAULT_TOKEN}”."


def token_warning(token: str, tokenizer: Any) -> str:
    """A sentence on what this token would bring into the pictures, empty where nothing speaks against it.

    tokenizer: of the text-to-image model. Raises ShiftlabError where the text encoder reads it as anything but one token.
    """
    parts = tokenizer.tokenize(token)
    if len(parts) != 1:
        read = " + ".join(part.removesuffix(WORD_END) for part in parts) or "nothing"
        raise ShiftlabError(
            f"The text encoder reads the token “{token}” as {read}, and it must be one token. Take a rare one, such as “{DEFAULT_TOKEN}”."
        )
    words = _words(tokenizer)
    word, rank = parts[0].removesuffix(WORD_END), words.ranks.get(parts[0], 0)
    if word in LEAKS:
        return f"{LEAKS[word]} {INSTEAD}"
    if rank < words.common:
        return f"“{token}” is a common word to the text encoder (rank {rank:,}), and its meaning stays in the pictures. {INSTEAD}"
    if not (word.isascii() and word.isalpha()) or words.oddness(word) < words.limit:
        return f"“{token}” reads like a word or a name, and its meaning may show in the pictures. {INSTEAD}"
    return ""


class Words:
    """What a vocabulary (entry → rank) says of words: from which rank on they are rare, and how their letters follow one another.

    limit: the oddness of the oddest common words.
    """

    def __init__(self, ranks: Mapping[str, int]) -> None:
        self.ranks, self.common = ranks, COMMON_SHARE * len(ranks)
        whole = (entry.removesuffix(WORD_END) for entry, rank in ranks.items() if entry.endswith(WORD_END) and rank < self.common)
        words = [word for word in whole if len(word) >= SHORTEST_WORD and word.isascii() and word.isalpha()]
        self._pairs = Counter(pair for word in words for pair in pairwise(f"^{word}$"))
        self._letters = Counter(letter for word in words for letter in f"^{word}")
        oddness = sorted(self.oddness(word) for word in words)
        self.limit = oddness[int((1.0 - ODDEST_SHARE) * (len(oddness) - 1))] if oddness else 0.0

    def oddness(self, word: str) -> float:
        """−log p of a letter given the one before it, the mean over the word and its end; half a count stands for pairs never seen."""
        unseen = 0.5
        chances = [(self._pairs[pair] + unseen) / (self._letters[pair[0]] + unseen * (LETTERS + 1)) for pair in pairwise(f"^{word}$")]
        return -sum(math.log(chance) for chance in chances) / len(chances)


@lru_cache(maxsize=2)
def _words(tokenizer: Any) -> Words:
    return Words(tokenizer.get_vocab())
