"""Word tables of the VQA evaluation (Antol et al. 2015, visualqa.org/evaluation), which medical scorers took over.

Facts only: which marks are punctuation, which words are numbers or articles,
and which contractions get a lost apostrophe back. The published contraction
table has 120 keys. All but three lack exactly one apostrophe of their full
form, so the full forms are listed and the keys derived: "cant" -> "can't",
"couldn'tve" and "couldnt've" -> "couldn't've". The three: "let's" and "she's"
stand for themselves, and "somebody'd" loses its apostrophe.

>>> CONTRACTIONS["dont"], CONTRACTIONS["couldnt've"], "couldntve" in CONTRACTIONS
("don't", "couldn't've", False)
>>> len(CONTRACTIONS)
120
"""

from __future__ import annotations

__all__ = ["ARTICLES", "CONTRACTIONS", "NUMBERS", "PUNCTUATION"]

PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
ARTICLES = frozenset({"a", "an", "the"})
NUMBERS = {
    "none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9", "ten": "10",
}  # fmt: skip

_FULL_FORMS = (
    "ain't", "aren't", "can't", "couldn't", "couldn't've", "could've", "didn't", "doesn't", "don't", "hadn't",
    "hadn't've", "hasn't", "haven't", "isn't", "mightn't", "mightn't've", "might've", "mustn't", "must've",
    "needn't", "not've", "oughtn't", "shan't", "shouldn't", "shouldn't've", "should've", "wasn't", "weren't",
    "won't", "wouldn't", "wouldn't've", "would've", "he'd", "he'd've", "he's", "I'd've", "I'm", "I've", "it'd",
    "it'd've", "it'll", "she'd've", "they'd", "they'd've", "they'll", "they're", "they've", "we'd've", "we've",
    "you'd", "you'd've", "you'll", "you're", "you've", "y'all", "y'all'll", "y'all'd've", "how'd", "how'll",
    "how's", "that's", "there'd", "there'd've", "there're", "there's", "what'll", "what're", "what's", "what've",
    "when's", "where'd", "where's", "where've", "who'd", "who'd've", "who'll", "who's", "who've", "why'll",
    "why're", "why's", "somebody'd've", "somebody'll", "somebody's", "someone'd", "someone'd've", "someone'll",
    "someone's", "something'd", "something'd've", "something'll", "ma'am", "o'clock", "'ow's'at", "'twas",
)  # fmt: skip

#: Word -> what it becomes. Keys with a capital ("Im") are never met, since texts are lower-cased first.
CONTRACTIONS = {
    full[:i] + full[i + 1 :]: full for full in _FULL_FORMS for i, character in enumerate(full) if character == "'"
} | {"let's": "let's", "she's": "she's", "somebody'd": "somebodyd"}
