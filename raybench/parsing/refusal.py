"""Whether a response declines to answer, and how.

Rules are anchored: a refusal opens the text, in the first person (or without a
subject), with a verb of helping or looking. Radiology prose that hedges
("cannot exclude pneumothorax", "unable to assess due to rotation") is a
finding, not a refusal, and so is an answer that follows a disclaimer. English
and Chinese. No error rate has been published for any such list (metrics.md 4.4).

>>> refusal("I cant help you with that. Is there anything else I can help you with?")
Refusal(type='policy', rule='cannot_help')
>>> refusal("I cannot exclude a small pneumothorax.") is None
True
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from raybench.parsing.normalise import has_content, plain

__all__ = ["Refusal", "RefusalType", "refusal"]

RefusalType = Literal["policy", "inability", "missing_image", "deferral", "empty", "degenerate"]

#: A refusal opening with more than this many characters of answer after it is an answer.
CONTENT_CHARS = 80
#: A text that only sends the reader to a doctor is at most this long.
_DEFERRAL_CHARS = 300


class Refusal(NamedTuple):
    """How a response declines: its type, and the rule that fired."""

    type: RefusalType
    rule: str


#: Only a response's opening can refuse (judging.md section 6).
_OPENING_CHARS = 300

# Quantifiers that could share characters are possessive ("*+"): a hostile text costs linear time.
_CANNOT = (
    r"(?:cannot|can ?not|can'?t|could ?n'?t|won'?t|will not|wouldn'?t|do ?n[o']?t have the (?:ability|capacity) to"
    r"|(?:am|are|'?m|'?re) ?(?:currently |simply )?(?:unable to|incapable of|not capable of"
    r"|not (?:able|allowed|permitted|authori[sz]ed|programmed|equipped|qualified|going) to))"
)
_SORRY = (
    r"(?:(?:oh|well|hello|hi|unfortunately|regrettably"
    r"|(?:i'?m |i am |we'?re |we are )?(?:so |very |really |truly )?sorry(?: (?:about|for) (?:that|the|any)(?: \w+)?)?"
    r"|i (?:sincerely )?apologi[sz]e|my apologies|apologies)\b[\s,.!:;]*+(?:(?:but|however)\b)?+[\s,]*+)*+"
)
_AN_AI = r"(?:as|i'?m|i am) (?:just |only )?an? (?:[\w-]{1,20}[ ,]+){0,4}(?:ai|model|assistant|chatbot)\b"
_OPENING = rf"\W*{_SORRY}(?:{_AN_AI}[^.!?]{{0,60}}?[\s,.]+(?:(?:and|so|but)\b)?[\s,]*)?"
_I = r"(?:i|we)(?: |(?='))(?:also |really |truly |simply |just |currently )?"
_I_CANNOT = rf"{_I}{_CANNOT}\s+(?:really |directly |visually |be able to )?"
_IMAGE = r"(?:images?|pictures?|photos?|scans?|x-?rays?|radiographs?|attachments?|files?|figures?|mri|ct)\b"
_HELP = r"(?:help|assist|comply|fulfil|engage|do th[ai][ts]|support|accommodate|continue|discuss|respond|answer)"
_GIVE = r"(?:provid|giv|offer|mak|diagnos|advis|generat|shar|issu)(?:e|ing)?"
_LOOK = r"(?:analy[sz]|interpret|process|read|review|evaluat|look|describ|comment)(?:e|ing)?"
_WHOSE = r"(?:(?:the|any|an|a|your|this|that|these|attached|uploaded|provided|medical|actual) )*+"
_APOLOGY = r"(?=(?:i'?m |i am |we are )?(?:so |very |really )?sorry|i apologi|my apologies|apologies|unfortunately)"

_ENGLISH: tuple[tuple[RefusalType, str, str], ...] = (
    (
        "missing_image",
        "image_unseen",
        rf"{_OPENING}(?:{_I_CANNOT}|{_I}(?:do|did) ?n[o']?t\s+(?:actually )?)"
        rf"(?:see|view|seeing|viewing|access|open|find|receive|have)\s+(?:access to )?{_WHOSE}{_IMAGE}"
        r"(?! (?:of|showing|evidence|features|signs?)\b)",
    ),
    (
        "missing_image",
        "image_not_provided",
        rf"{_OPENING}(?:it (?:seems|appears|looks like) (?:that )?)?(?:there (?:is|was|are) )?no (?:\w+ )?{_IMAGE} "
        r"(?:(?:is|are|was|were|has been|have been) )?(?:provided|attached|uploaded|included|shared)",
    ),
    (
        "missing_image",
        "image_asked_for",
        rf"{_OPENING}(?:please|(?:could|can) you(?: please)?) (?:provide|upload|attach|share|send)\b"
        rf"[^.?!]{{0,30}}\b{_IMAGE}",
    ),
    (
        "policy",
        "must_refuse",
        rf"{_OPENING}{_I}(?:must|have to|need to|will have to)? ?(?:respectfully |politely )?(?:refuse|decline)\b",
    ),
    ("policy", "not_comfortable", rf"{_OPENING}{_I}(?:am not|'?m not|do ?n[o']?t feel) comfortable\b"),
    (
        "policy",
        "not_appropriate",
        rf"{_OPENING}it(?: is| would be|'?s) (?:not appropriate|inappropriate|unethical|not ethical) (?:for me )?to\b",
    ),
    (
        "policy",
        "cannot_help",
        rf"{_OPENING}(?:{_I_CANNOT}|(?:(?:and )?cannot|can'?t|unable to|not able to)\s+){_HELP}\b",
    ),
    ("policy", "cannot_provide", rf"{_OPENING}(?:{_I_CANNOT}|(?:and )?(?:cannot|can'?t)\s+){_GIVE}\b"),
    (
        "policy",
        "not_a_doctor",
        rf"{_OPENING}(?:i'?m|i am) not a [\w\s-]{{2,40}}?(?:,? and|,? so|[.,])(?: i)? {_CANNOT} (?:{_GIVE}|{_LOOK})\b",
    ),
    ("inability", "cannot_look", rf"{_OPENING}{_I_CANNOT}{_LOOK}\b"),
    (
        "inability",
        "not_a_capability",
        rf"{_OPENING}{_I}do ?n[o']?t have (?:the )?(?:abilit|capabilit|capacity|expertise|vision|visual)",
    ),
    ("inability", "as_an_ai", rf"\W*{_SORRY}{_AN_AI}[^.!?]{{0,80}}?\b{_I}(?:{_CANNOT}|do ?n[o']?t|lack)\b"),
    (
        "inability",
        "sorry_cannot",
        rf"\W*{_APOLOGY}{_OPENING}{_I_CANNOT}(?!exclude|rule out|identify|see|detect|appreciate|visuali[sz]e|find)",
    ),
)

_SORRY_ZH = r"\W*(?:(?:很|非常)?(?:抱歉|对不起|不好意思)\W*)?(?:但)?"
_IMAGE_ZH = r"(?:图像|图片|影像|照片|附件)"

_CHINESE: tuple[tuple[RefusalType, str, str], ...] = (
    (
        "missing_image",
        "image_unseen",
        rf"{_SORRY_ZH}我?(?:(?:无法|不能|没有|没|未能)(?:直接)?(?:看到|查看|收到|访问|打开|看见)|看不到)"
        rf"(?:您|你)?(?:提供|上传|发送)?的?(?:任何)?{_IMAGE_ZH}(?![学中上里])",
    ),
    (
        "missing_image",
        "image_not_provided",
        rf"{_SORRY_ZH}(?:您|你)?(?:似乎)?(?:没有|未|并未)(?:提供|上传)(?:任何)?{_IMAGE_ZH}",
    ),
    ("missing_image", "image_asked_for", rf"{_SORRY_ZH}请(?:您|你)?(?:提供|上传|发送)(?:一张|相关|的)*{_IMAGE_ZH}"),
    (
        "inability",
        "as_an_ai",
        rf"{_SORRY_ZH}(?:我是|作为)(?:一个|一名|一款)?\w{{0,6}}(?:ai|人工智能|语言模型|模型|助手)[^。!?]{{0,30}}(?:无法|不能)",
    ),
    ("policy", "refuse", rf"{_SORRY_ZH}我?(?:必须|只能|不得不)?拒绝"),
    (
        "policy",
        "cannot_help",
        rf"{_SORRY_ZH}(?:我|本模型)?(?:无法|不能|不可以|没办法|不便)(?:为您|为你|给您|给你|直接|对此|就此)?"
        r"(?:帮助|帮|提供|回答|协助|满足|给出|作出|做出|诊断|处理|完成|讨论)",
    ),
    (
        "inability",
        "cannot_look",
        rf"{_SORRY_ZH}我(?:无法|不能|没办法)(?:直接|对此)?(?:分析|解读|解释|识别|描述|判断)(?:图|医学|影像|这|该|您|你)",
    ),
    ("inability", "sorry_cannot", r"\W*(?:很|非常)?(?:抱歉|对不起|不好意思)[^。!?]{0,20}(?:无法|不能)(?!排除|除外)"),
)

_RULES = tuple((kind, rule, re.compile(pattern)) for kind, rule, pattern in (*_ENGLISH, *_CHINESE))
_DEFERRAL = re.compile(
    rf"\W*{_SORRY}(?:please |you should "
    r"|i (?:would |strongly )?(?:recommend|suggest|advise)(?: that)?(?: you)?(?: to)? "
    r"|it is (?:best|important|recommended|advisable) (?:that you |to ))*"
    r"(?:consult|consulting|see|seek|contact|speak (?:to|with)|ask)\b[^.!?]{0,60}"
    r"\b(?:doctor|physician|radiologist|professionals?|specialist|provider|medical (?:advice|attention|help))\b"
    r"|\W*请?(?:您|你)?(?:应该|务必|及时)?(?:咨询|联系|就医|求助)[^。]{0,20}(?:医生|医师|专业人士|医疗机构)"
)
_FINDING = re.compile(
    r"\b(?:image|scan|x-?ray|radiograph|mri|ct) (?:shows?|demonstrates?|reveals?)\b"
    r"|\bthere (?:is|are) (?:an?|no)\b|[图影]像显示"
)
_TURN = re.compile(
    r"\b(?:but|however|that said|nevertheless|nonetheless|still|although)\b[\s,:]*|(?:但是|但|不过|然而)[,\s]*"
    r"|(?<=[.!?]) (?=(?:(?:based on|in|on|from|looking at) )?"
    r"(?:the|this) (?:image|scan|x-?ray|radiograph|mri|ct|picture)\b|it appears|there (?:is|are)\b)"
)
_OFFER = re.compile(
    r"(?:i|we)(?: can|'?d| would| could|'?m| am|'?ll| will) (?:be |try |also |still )*"
    r"(?:happy|glad|here|help|assist|offer|provide (?:some )?general|answer|discuss|suggest|recommend|try)\b"
    r"|(?:please|feel free|if you|you (?:should|can|may)|i (?:strongly )?(?:recommend|suggest|advise))\b"
    r"|(?:我可以|如果您|如果你|请|建议)"
)
_LOOP = re.compile(r"(.{1,60}?)\1{7,}\W*$", re.DOTALL)
#: Only this much of the end is searched for a loop, and a loop is at least this long.
_LOOP_WINDOW, _LOOP_CHARS = 1500, 40


def refusal(text: str) -> Refusal | None:
    """Return how a response declines, or None if it is an answer (right, wrong or unreadable).

    Args:
        text: the final part of a response; reasoning is not looked at.
    """
    if not has_content(text):
        return Refusal("empty", "no_content")
    cleaned = " ".join(plain(text).split())
    opening = cleaned[:_OPENING_CHARS]
    if _loops(cleaned):
        return Refusal("degenerate", "loop")
    for kind, rule, pattern in _RULES:
        match = pattern.match(opening)
        if match:
            return None if _answers_after(cleaned[match.end() :]) else Refusal(kind, rule)
    if len(cleaned) <= _DEFERRAL_CHARS and _DEFERRAL.match(cleaned) and not _FINDING.search(cleaned):
        return Refusal("deferral", "see_a_doctor")
    return None


def _answers_after(rest: str) -> bool:
    """Say whether an answer of more than CONTENT_CHARS follows the refusal's opening."""
    for turn in _TURN.finditer(rest):
        content = rest[turn.end() :]
        if len(content) > CONTENT_CHARS and not _OFFER.match(content):
            return True
    return False


def _loops(text: str) -> bool:
    """Say whether one phrase repeated at least eight times makes up half of the text's end."""
    window = text[-_LOOP_WINDOW:]
    loop = _LOOP.search(window)
    if loop is None:
        return False
    length = loop.end() - loop.start()
    return length >= _LOOP_CHARS and 2 * length >= len(window)
