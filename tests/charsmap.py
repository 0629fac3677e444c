"""A small charsmap in SentencePiece's binary form, for the `Precompiled` normalizer."""

from __future__ import annotations

import base64
import struct

RULES = {
    "\t": " ",
    "\n": " ",
    "\r": " ",
    "\u0001": "",
    "\u007f": "",
    "\u00a0": " ",
    "\u00ad": "",
    "\u00bd": "1/2",
    "\u00e9": "e",
    "e\u0301": "\u00e9",
    "a\u0301": "",
    "\u0301\u0301": "\u0302",
    "\u200b": "",
    "\u200d": " ",
    "\u2026": "...",
    "\u3000": " ",
    "\u30ab": "\u304b",
    "\ufb01": "fi",
    "\uff21": "A",
    "\uff11": "1",
    "\ufe0f": "",
    "\U0001f44d": "+",
    "\u1100\u1161": "\uac00",
    "\u0e33": "\u0e4d\u0e32",
    "\u0928\u093c": "\u0929",
    "\r\n": "\n",
}
"""Replacements of every kind: longer, shorter, nothing at all, of whole graphemes and of parts."""


def charsmap(rules: dict[str, str] = RULES) -> str:
    """The base64 of a charsmap with these rules."""
    replacements = b""
    trie: dict[int, object] = {}
    for key, text in rules.items():
        node = trie
        for byte in key.encode():
            node = node.setdefault(byte, {})  # type: ignore[assignment]
        node[0] = len(replacements)
        replacements += text.encode() + b"\0"
    units = double_array(trie)
    blob = struct.pack(f"<{len(units)}I", *units)
    return base64.b64encode(struct.pack("<I", len(blob)) + blob + replacements).decode()


def double_array(trie: dict[int, object]) -> list[int]:
    """Units of a double array: bits 0-7 a label, 8 whether a value follows, 10 and up where."""
    units = [0] * (1 << 16)
    used = {0}
    work: list[tuple[dict[int, object], int]] = [(trie, 0)]
    first = 1
    while work:
        node, at = work.pop()
        labels = sorted(node)
        # The children of the node at `at` lie at `at ^ offset ^ label`.
        while True:
            base = at ^ first
            if base < len(units) and all((base ^ label) not in used for label in labels):
                break
            first += 1
        offset, first = first, 1
        units[at] |= offset << 10
        for label in labels:
            place = base ^ label
            used.add(place)
            child = node[label]
            if label == 0:
                units[at] |= 1 << 8
                units[place] = 1 << 31 | child  # type: ignore[operator]
            else:
                units[place] = label
                work.append((child, place))  # type: ignore[arg-type]
    return units[: max(used) + 1]
