"""Hypothesis strategies for text that tokenizers get wrong."""

from __future__ import annotations

from hypothesis import strategies as st

from tests import random_text

any_character = st.characters(exclude_categories=["Cs"])
"""Any code point that UTF-8 can carry, unassigned ones included."""

hard_piece = st.sampled_from(
    random_text.CONTRACTIONS
    + random_text.BLANKS
    + random_text.NUMBERS
    + random_text.COMPOSED
    + random_text.WORDS
    + random_text.PUNCTUATION
    + random_text.SPECIALS
    + random_text.SPECIAL_LOOKALIKES
)

character_of_any_category = st.sampled_from(sorted(random_text.characters_by_category())).flatmap(
    lambda category: (
        st.sampled_from(random_text.characters_by_category()[category])
        if category != "Cs"
        else st.just("")
    )
)

run = st.builds(
    lambda piece, count: piece * count,
    st.sampled_from(["a", " ", "\n", "0", "!", "\u0301", "\u4e2d", "ab", "'s", "\t", " a", "\r\n"]),
    st.integers(2, 200),
)

text = st.lists(
    st.one_of(
        hard_piece, hard_piece, hard_piece, character_of_any_category, st.text(any_character), run
    ),
    max_size=14,
).map("".join)
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
