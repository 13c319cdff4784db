"""Words of any script: what overlap is counted in where white space is no word boundary.

>>> character_tokens("右肺CT: 2.5cm结节")
['右', '肺', 'ct', '2', '5cm', '结', '节']
"""

from __future__ import annotations

import re

__all__ = ["character_tokens", "has_han"]

_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_CHINESE = re.compile(f"[{_HAN}]")
_TOKEN = re.compile(rf"[{_HAN}]|(?:(?![{_HAN}])[^\W_])+")


def character_tokens(text: str) -> list[str]:
    """Return each Han character, and each run of other letters and digits, in lower case."""
    return _TOKEN.findall(text.lower())


def has_han(text: str) -> bool:
    """Say whether a text has a Chinese character."""
    return bool(_CHINESE.search(text))
