"""CLIP's standard tokenizer as transformers' class, built from the vocabulary that open_clip ships: nothing is fetched.

The vocabulary is OpenAI's (Radford et al. 2021): 256 bytes, the same at a word's end, 48,894 merges and two special tokens, 49,408 in all.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from open_clip.tokenizer import bytes_to_unicode, default_bpe
from transformers import CLIPTokenizer

WORD_END = "</w>"
START, END = "<|startoftext|>", "<|endoftext|>"
VOCABULARY = 49_408
MERGES = VOCABULARY - 2 * 256 - 2  # the file holds more than CLIP uses


def clip_vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """(token → id, merges in their order) of CLIP's byte pair encoding."""
    lines = gzip.decompress(Path(default_bpe()).read_bytes()).decode("utf-8").split("\n")
    merges = [(first, second) for first, second in (line.split() for line in lines[1 : MERGES + 1])]  # the first line is a version
    letters = list(bytes_to_unicode().values())
    tokens = [*letters, *(letter + WORD_END for letter in letters), *("".join(merge) for merge in merges), START, END]
    return {token: id for id, token in enumerate(tokens)}, merges


def clip_tokenizer(max_length: int = 77) -> CLIPTokenizer:
    """The tokenizer of every Stable Diffusion 1.x; max_length tokens with start and end, to which prompts are cut and filled up."""
    vocabulary, merges = clip_vocabulary()
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=max_length)


def save_clip_tokenizer(folder: Path, max_length: int) -> None:
    """The tokenizer as the files that Stable Diffusion's folders have (vocab.json, merges.txt), which all versions read."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, merges = clip_vocabulary()
    special = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": max_length, "do_lower_case": True, **special}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *(" ".join(merge) for merge in merges)]) + "\n", encoding="utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
