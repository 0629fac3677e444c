"""Hypothesis strategies for text that tokenizers get wrong."""

from __future__ import annotations

from hypothesis import strategies as st

from tests import random_text

any_character = st.characters(exclude_categories=["Cs"])
"""Any code point that UTF-8 can carry, unassigned ones included."""

hard_piece = st.sampled_from(
    [
        *random_text.CONTRACTIONS,
        *random_text.BLANKS,
        *random_text.NUMBERS,
        *random_text.COMPOSED,
        *random_text.WORDS,
        *random_text.PUNCTUATION,
        *random_text.SPECIALS,
        *random_text.SPECIAL_LOOKALIKES,
        *random_text.characters_of_every_category(8),
        *(piece * count for piece in random_text.RUNS for count in (3, 16, 33, 130)),
    ]
)
"""One list, not a tree of strategies: hypothesis draws from it several times faster."""

text = st.lists(hard_piece | st.text(any_character, max_size=3), max_size=14).map("".join)
"""Hostile text: what every property is checked on."""

texts = st.lists(text, max_size=12)

words = st.lists(text, max_size=8)
"""A text that is already split into words."""

added_token_flags = st.fixed_dictionaries(
    {
        "single_word": st.booleans(),
        "lstrip": st.booleans(),
        "rstrip": st.booleans(),
        "normalized": st.booleans(),
    }
)
