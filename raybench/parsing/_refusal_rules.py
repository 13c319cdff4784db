"""The patterns by which `refusal` tells a response that declines, English and Chinese, in the order they are tried.

Every pattern is matched at the start of the response's opening, in plain lower
case (`normalise.plain`: straight apostrophes, full-width marks folded). English
wants the first person, or no subject where the verb is one of helping; a bare
"unable to assess" or "cannot exclude" is a radiologist's, not a refusal.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Literal, NamedTuple

__all__ = ["ANSWER", "DEFERRALS", "FINDING", "OFFER", "TURN", "RefusalType", "Rules", "rules"]

RefusalType = Literal["policy", "inability", "no_image", "deferral", "empty", "degenerate"]

# Quantifiers that could share characters are possessive ("*+"): a hostile text costs linear time.
_CANNOT = (
    r"(?:cannot|can ?not|can'?t|could ?n'?t|won'?t|will not|wouldn'?t|do ?n[o']?t have the (?:ability|capacity) to"
    r"|(?:am|are|'?m|'?re) ?(?:currently |simply )?(?:unable to|incapable of|not capable of"
    r"|not (?:able|allowed|permitted|authori[sz]ed|programmed|equipped|qualified|trained|going|in a position) to"
    r"|prohibited from|forbidden to))"
)
_SORRY = (
    r"(?:(?:oh|well|hello|hi|unfortunately|regrettably"
    r"|(?:i'?m |i am |we'?re |we are )?(?:so |very |really |truly )?sorry(?: (?:about|for) (?:that|the|any)(?: \w+)?)?"
    r"|i (?:sincerely )?apologi[sz]e|my apologies|apologies|(?:thank you|thanks)\b[^.!?]{0,60}+"
    r"|that'?s an? \w+ question|i (?:understand|appreciate|realize)\b[^.!?,]{0,80}+"
    r")\b[\s,.!:;]*+(?:(?:but|however)\b)?+[\s,]*+)*+"
)
_AN_AI = (
    r"(?:as|i'?m|i am) (?:just |only )?an? (?:[\w-]{1,20}[ ,]+){0,4}"
    r"(?:ai|artificial intelligence|model|assistant|chatbot)\b"
)
_OPENING = rf"\W*{_SORRY}(?:{_AN_AI}[^.!?]{{0,60}}?[\s,.]+(?:(?:and|so|but)\b)?[\s,]*)?"
_I = r"(?:i|we)(?: |(?='))(?:also |really |truly |simply |just |currently )?"
_HOW = r"(?:really |directly |visually |be able to |responsibly |ethically |safely |legally |in good conscience )?"
_I_CANNOT = rf"{_I}{_CANNOT}\s+{_HOW}"
_IMAGE = r"(?:images?|pictures?|photos?|scans?|x-?rays?|radiographs?|attachments?|files?|figures?|mri|ct)\b"
_HELP = (
    r"(?:help(?! but\b)|assist|comply|fulfill?|engage|do th[ai][ts]|support (?:th[ai][ts]|your) request|accommodate"
    r"|continue|discuss|respond|answer)"
)
_GIVE = r"(?:provid|giv|offer|mak|diagnos|advis|generat|shar|issu)(?:e|ing)?\b(?! out\b)"
_LOOK = r"(?:analy[sz]|inspect|examin|interpret|process|read|review|evaluat|look|describ|comment)(?:e|ing)?"
_WHOSE = r"(?:(?:the|any|an|a|your|this|that|these|attached|uploaded|provided|medical|actual) )*+"
_APOLOGY = r"(?=(?:i'?m |i am |we are )?(?:so |very |really )?sorry|i apologi|my apologies|apologies|unfortunately)"
_BOXES = r"(?:bounding[ -]?box(?:es)?|box(?:es)?|coordinates?|annotations?)\b"
_SEEMS = r"(?:it (?:seems|appears|looks)(?: that| like| as if| as though)? )?"
_SENT = r"(?:upload|load|attach|provid|includ|shar|sen[dt]|receiv|display|open|access|com(?:e|ing) through|available)"

_ENGLISH: tuple[tuple[RefusalType, str, str], ...] = (
    (
        "no_image",
        "image_unseen",
        rf"{_OPENING}(?:{_I_CANNOT}|{_I}(?:do|did|have) ?n[o']?t\s+(?:actually )?)"
        rf"(?:see|view|seeing|viewing|access|open|find|received?|have)\s+(?:access to )?{_WHOSE}{_IMAGE}"
        r"(?! (?:of|showing|evidence|features|signs?)\b)",
    ),
    (
        "no_image",
        "image_not_provided",
        rf"{_OPENING}{_SEEMS}(?:there (?:(?:is|was|are)|(?:seems|appears) to be) )?no (?:\w+ )?{_IMAGE} "
        r"(?:(?:is|are|was|were|has been|have been) )?(?:provided|attached|uploaded|included|shared)"
        rf"|{_OPENING}there does ?n[o']?t (?:seem|appear) to be an?y? (?:\w+ )?{_IMAGE}",
    ),
    (
        "no_image",
        "image_not_there",
        rf"{_OPENING}{_SEEMS}(?:the|your|this|that) {_IMAGE}(?: you \w+)? "
        rf"(?:(?:(?:did|was|is|has|could|can|does) ?(?:n[o']?t|not)|cannot|failed to)(?: be| been)? {_SENT}"
        r"|(?:(?:appears|seems) to be|is) missing\W*$)",
    ),
    (
        "no_image",
        "image_not_sent",
        rf"{_OPENING}{_SEEMS}you (?:(?:have|did|had) ?(?:n[o']?t|not)|forgot to)(?: actually)? "
        rf"(?:provid|upload|attach|includ|shar|sen[dt])(?:ed?)?\s+(?:me )?{_WHOSE}{_IMAGE}",
    ),
    (
        "no_image",
        "image_needed",
        rf"{_OPENING}(?:without (?:\w+ing |access to |being able to see ){{0,2}}{_WHOSE}"
        rf"(?:images?|pictures?|photos?|x-?rays?|radiographs?|attachments?|files?|figures?)\b[^.!?]{{0,20}}"
        rf"\b{_I}{_CANNOT}(?! (?:exclude|rule out|be (?:sure|certain)))"
        rf"|{_I}(?:would |will |'?d |'?ll )?(?:need|have|require) (?:to (?:see|view|look at|examine) )?{_WHOSE}{_IMAGE}"
        r" (?:to|in|first|before|so)\b)",
    ),
    (
        "no_image",
        "image_asked_for",
        rf"{_OPENING}(?:please|(?:could|can) you(?: please)?) (?:provide|upload|attach|share|send)\b"
        rf"[^.?!]{{0,30}}\b{_IMAGE}",
    ),
    (
        "inability",
        "no_boxes",
        rf"{_OPENING}{_I_CANNOT}(?:draw|generat|produc|return|output|provid|giv|creat|predict|mark|plac|localiz)\w*"
        rf"\s+[^.!?]{{0,30}}?\b{_BOXES}",
    ),
    (
        "policy",
        "must_refuse",
        rf"{_OPENING}{_I}(?:must|have to|need to|will have to)? ?(?:respectfully |politely )?(?:refuse|decline)\b",
    ),
    (
        "policy",
        "rather_not",
        rf"{_OPENING}{_I}(?:'?d |would )(?:rather not|prefer not to)"
        rf" (?:say|speculate|{_HELP}|{_GIVE}|{_LOOK})",
    ),
    ("policy", "not_comfortable", rf"{_OPENING}{_I}(?:am not|'?m not|do ?n[o']?t feel) comfortable\b"),
    (
        "policy",
        "not_appropriate",
        rf"{_OPENING}(?:it (?:is|would be)|it'?s|it'?d be) (?:(?:not |in)(?:appropriate|responsible|right|safe|ethical)"
        rf"|unethical|irresponsible) (?:for me )?to (?:speculate|{_HELP}|{_GIVE}|{_LOOK})"
        rf"|{_OPENING}it (?:is ?n[o']?t|would ?n[o']?t be|would not be) (?:appropriate|responsible|right|safe|ethical)"
        rf" (?:for me )?to (?:speculate|{_HELP}|{_GIVE}|{_LOOK})",
    ),
    (
        "policy",
        "guidelines",
        rf"{_OPENING}(?:(?:this|that|it|your|doing so|answering)\b[\w\s]{{0,30}}"
        r"(?:\b(?:violat|go(?:es)? against|is against|breach|conflict)|'s against)\w*[\w\s]{0,30}"
        r"|my [\w\s]{0,30}?)\b(?:guidelines?|polic(?:y|ies)|rules|principles|programming|terms of \w+)\b",
    ),
    (
        "inability",
        "cannot_answer_from_it",
        rf"{_OPENING}{_I_CANNOT}answer\b[^.!?]{{0,40}}?\b(?:from|based on|using|with) {_WHOSE}{_IMAGE}",
    ),
    (
        "policy",
        "cannot_help",
        rf"{_OPENING}(?:{_I_CANNOT}|(?:(?:and )?cannot|can'?t|unable to|not able to)\s+){_HELP}\b",
    ),
    ("policy", "cannot_provide", rf"{_OPENING}(?:{_I_CANNOT}|(?:and )?(?:cannot|can'?t)\s+){_GIVE}"),
    (
        "policy",
        "not_something",
        rf"{_OPENING}(?:that|this|it)(?:'?s| is) (?:not something|nothing) {_I}(?:can|could|am)\b",
    ),
    (
        "policy",
        "not_allowed",
        rf"{_OPENING}{_I}(?:am|are|'?m|'?re) not (?:allowed|permitted|authori[sz]ed|programmed) to\b",
    ),
    (
        "policy",
        "not_a_doctor",
        rf"{_OPENING}(?:i'?m|i am) not a [\w\s-]{{2,40}}?(?:,? and|,? so|[.,])(?: i)? {_CANNOT} (?:{_GIVE}|{_LOOK}\b)",
    ),
    (
        "policy",
        "beyond_what_i_do",
        rf"{_OPENING}(?:(?:medical )?diagnos|provid|giv|offer|mak)ing\b[^.!?]{{0,50}}"
        r"\b(?:beyond|outside|not something)\b[^.!?]{0,20}\b(?:i|my)\b",
    ),
    ("inability", "cannot_look", rf"{_OPENING}{_I_CANNOT}{_LOOK}\b"),
    (
        "inability",
        "not_a_capability",
        rf"{_OPENING}(?:{_I})?(?:(?:do|does) ?n[o']?t have|lack) (?:(?:the|any|enough|sufficient|necessary|medical) )*"
        r"(?:abilit|capabilit|capacity|expertise|qualification|training|vision|visual)",
    ),
    (
        "inability",
        "beyond_my_abilities",
        rf"{_OPENING}(?:my [\w\s]{{0,20}}(?:capabilit|abilit|skill|training)\w*\s+(?:(?:do|does) ?n[o']?t|are limited)"
        r"|[^.!?]{0,80}\b(?:beyond|outside)(?: of)? (?:the scope of )?my (?:capabilit|abilit|expertise|scope|training"
        r"|knowledge|current))",
    ),
    (
        "inability",
        "as_an_ai",
        rf"\W*{_SORRY}{_AN_AI}(?:(?!\bi (?:can )?(?:see|observe|note)\b)[^.!?]){{0,80}}?"
        rf"\b(?:{_I}|(?:and|so|which|that|who)\s+)(?:{_CANNOT}|do ?n[o']?t|lack)"
        r"(?!\s+(?:exclude|rule out|see (?:any|an?) |identify))",
    ),
    (
        "inability",
        "does_not_know",
        rf"{_OPENING}{_I}(?:honestly )?(?:do ?n[o']?t know|have no idea|{_CANNOT} (?:tell|say|know))"
        r"(?: the answer(?: to (?:this|that|your) question)?| what (?:this|it|that) is)?\W*$",
    ),
    (
        "inability",
        "sorry_cannot",
        rf"\W*{_APOLOGY}{_OPENING}{_I_CANNOT}"
        r"(?!exclude|rule out|identify|see|detect|appreciate|visuali[sz]e|find|help but)",
    ),
)

_SORRY_ZH = r"\W*(?:(?:很|非常)?(?:抱歉|对不起|不好意思)\W*)?(?:但)?"
_IMAGE_ZH = r"(?:图像|图片|影像|照片|附件)"
_AI_ZH = r"(?:(?:我是|作为)(?:一个|一名|一款)?\w{0,6}(?:ai|人工智能|语言模型|模型|助手)[^。!?]{0,30}?)?"
_GIVE_ZH = r"(?:帮助|帮|提供|回答|协助|满足|给出|给予|作出|做出|诊断(?![为出])|处理(?![图影医])|完成|讨论)"
_FOR_YOU_ZH = r"(?:为您|为你|给您|给你|直接|对此|就此)?"

_CHINESE: tuple[tuple[RefusalType, str, str], ...] = (
    (
        "no_image",
        "image_unseen",
        rf"{_SORRY_ZH}我?(?:(?:无法|不能|没有|没|未能)(?:直接)?(?:看到|查看|收到|访问|打开|看见)|看不到)"
        rf"(?:您|你)?(?:提供|上传|发送)?的?(?:任何)?{_IMAGE_ZH}(?![学中上里])",
    ),
    (
        "no_image",
        "image_not_provided",
        rf"{_SORRY_ZH}(?:您|你)?(?:似乎)?(?:没有|未|并未)(?:提供|上传)(?:任何)?{_IMAGE_ZH}",
    ),
    (
        "no_image",
        "image_not_there",
        rf"{_SORRY_ZH}(?:(?:您的|该|此)?{_IMAGE_ZH}(?:无法|不能|未能|没有|未)(?:成功)?(?:显示(?!清|出)|加载|打开|上传|提供)"
        rf"|(?:没有|缺少|缺乏|无){_IMAGE_ZH},?(?:所以|因此)?我?(?:无法|不能)(?:回答|判断|诊断|分析))",
    ),
    ("no_image", "image_asked_for", rf"{_SORRY_ZH}请(?:您|你)?(?:先)?(?:提供|上传|发送)[^。!?,]{{0,12}}?{_IMAGE_ZH}"),
    (
        "policy",
        "refuse",
        rf"{_SORRY_ZH}(?:我(?:必须|只能|不得不)?|必须|只能|不得不)拒绝|{_SORRY_ZH}拒绝(?:回答|提供|作答|诊断)",
    ),
    (
        "policy",
        "cannot_help",
        rf"{_SORRY_ZH}(?:(?:根据|按照|出于|由于)[^。!?,]{{0,15}}(?:规定|政策|准则|原因|考虑|规范),)?{_AI_ZH}"
        rf"(?:(?:这个|该|此|您的|你的)?(?:问题|请求|要求))?(?:我|本模型)?(?:无法|不能|不可以|没办法|不便|不予)"
        rf"{_FOR_YOU_ZH}{_GIVE_ZH}",
    ),
    (
        "policy",
        "guidelines",
        rf"{_SORRY_ZH}(?:该|此|这个|您的|你的)(?:请求|问题|要求|内容)[^。!?]{{0,6}}(?:违反|不符合)",
    ),
    (
        "inability",
        "as_an_ai",
        rf"{_SORRY_ZH}(?:我是|作为)(?:一个|一名|一款)?\w{{0,6}}(?:ai|人工智能|语言模型|模型|助手)[^。!?]{{0,30}}"
        r"(?:无法|不能|没有能力|不具备)(?!排除|除外)",
    ),
    (
        "inability",
        "cannot_look",
        rf"{_SORRY_ZH}我(?:无法|不能|没办法)(?:直接|对此)?(?:分析|解读|解释|识别|描述|判断)(?:图|医学|影像|这|该|您|你)",
    ),
    (
        "inability",
        "not_a_capability",
        rf"{_SORRY_ZH}我?(?:目前)?(?:没有|不具备|缺乏)[^。!?,]{{1,15}}能力|{_SORRY_ZH}我?没有能力",
    ),
    ("inability", "does_not_know", rf"{_SORRY_ZH}我?不(?:知道|清楚)(?:答案)?\W*$"),
    ("inability", "sorry_cannot", r"\W*(?:很|非常)?(?:抱歉|对不起|不好意思)[^。!?]{0,20}(?:无法|不能)(?!排除|除外)"),
)


class Rules(NamedTuple):
    """The refusals: `each` in the order they are tried, and `any`, which matches where one of them does."""

    each: tuple[tuple[RefusalType, str, re.Pattern[str]], ...]
    any: re.Pattern[str]


@cache
def rules() -> Rules:
    """Return the compiled rules; compiling takes longer than most imports, so the first text pays for it."""
    every = (*_ENGLISH, *_CHINESE)
    each = tuple((kind, rule, re.compile(pattern)) for kind, rule, pattern in every)
    return Rules(each, re.compile("|".join(pattern for _, _, pattern in every)))


_SOMEONE = r"(?:doctor|physician|radiologist|clinician|professional|specialist|expert|provider)s?\b"
_AN_EXPERT = rf"(?:an? |your |the )?(?:[\w-]+ ){{0,4}}{_SOMEONE}"
_DEFERRALS = (
    rf"\W*{_SORRY}(?:for an? [^,.!?]{{1,50}}, )?(?:please |you (?:should|may want to|need to) "
    r"|i (?:would |strongly |'?d )?(?:recommend|suggest|advise)(?: that)?(?: you)?(?: to)? "
    r"|it(?:'?s| is) (?:always )?(?:best|important|recommended|advisable|necessary|essential) (?:that you |to )"
    r"|you (?:are|'?re) advised to )*"
    r"(?:consult|consulting|see|seek|seeking|contact|speak (?:to|with)|talk to|ask|refer to)\b[^.!?]{0,60}"
    rf"\b(?:{_SOMEONE}|medical (?:advice|attention|help|care|opinion)\b)",
    rf"\W*{_SORRY}(?:this|the|these|your|such) (?:image|scan|x-?ray|case|question|study|radiograph|picture)s?"
    rf" (?:should|must|needs? to|has to|have to|can only) be [^.!?]{{0,30}}\bby {_AN_EXPERT}",
    rf"\W*{_SORRY}this (?:should|must|needs? to) be [^.!?]{{0,30}}\bby {_AN_EXPERT}",
    rf"\W*{_SORRY}(?:only {_AN_EXPERT} can|{_AN_EXPERT} (?:should|must|needs? to|has to|would need to"
    r"|is (?:needed|required)))\b",
    rf"\W*{_SORRY}(?:an? |the )?(?:[\w-]+ ){{0,3}}(?:diagnosis|interpretation|evaluation|assessment|answer|analysis)"
    rf" (?:requires?|needs?|must be|should be|can only be)[^.!?]{{0,40}}\b{_SOMEONE}",
    r"\W*(?:建议|请|需要|应该|应当|务必|最好|推荐)*(?:您|你|患者)?(?:应该|应当|务必|最好|尽快|及时|立即|尽早|先|去|到|前往|向)*"
    r"(?:正规)?(?:医院)?(?:(?:咨询|联系|求助|寻求|请教)[^。]{0,20}(?:医生|医师|专业人士|医疗机构|专家|医疗帮助)"
    r"|(?:就医|就诊|看医生)(?=[\W]|$)|由[^。]{0,8}(?:医生|医师)(?:评估|诊断|解读|判断))",
    r"\W*(?:这)?需要?由[^。]{0,12}(?:医生|医师)[^。]{0,8}(?:评估|诊断|解读|判断)",
)
#: A text that only sends the reader to a doctor.
DEFERRALS = re.compile("|".join(_DEFERRALS))

#: What a text that gives an answer says, wherever it stands.
FINDING = re.compile(
    r"\b(?:image|scan|x-?ray|radiograph|mri|ct) (?:shows?|demonstrates?|reveals?)\b"
    r"|\bthere (?:is|are) (?:an?|no)\b|[图影]像显示"
)
#: Where a response turns from its opening to something else.
TURN = re.compile(
    r"\b(?:but|however|that said|nevertheless|nonetheless|still|although)\b[\s,:]*|(?:但是|但|不过|然而)[,\s]*"
    r"|(?<=[.!?]) (?=(?:(?:based on|in|on|from|looking at) )?"
    r"(?:the|this) (?:image|scan|x-?ray|radiograph|mri|ct|picture|answer)\b|it appears|there (?:is|are)\b"
    r"|(?:yes|no)\W*$|(?:my )?answer\b)"
)
#: What follows a turn and offers other help instead of an answer.
OFFER = re.compile(
    r"(?:i|we)(?: can|'?d| would| could|'?m| am|'?ll| will) (?:be |try |also |still )*"
    r"(?:happy|glad|here|help|assist|offer|provide (?:some )?general|answer|discuss|suggest|recommend|try)\b"
    r"|(?:please|feel free|if you|you (?:should|can|may)|i (?:strongly )?(?:recommend|suggest|advise))\b"
    r"|(?:我可以|如果您|如果你|请|建议)"
)
#: What follows a turn and is an answer, however short.
ANSWER = re.compile(
    r"(?:(?:the|my|a|one|most|likely|possible|best) )*(?:answer|guess|impression|diagnosis|findings?)(?: \w+){0,3}?"
    r"(?: is| are| would be|:)"
    r"|(?:yes|no)(?=\s*[.,;:!]|\s*$)"
    r"|(?:(?:based on|in|on|from|looking at) )?(?:the|this) (?:image|scan|x-?ray|radiograph|mri|ct|picture)\b"
    r"[^.]{0,30}?\b(?:shows?|demonstrates?|reveals?|suggests?|appears?|there (?:is|are))\b"
    r"|there (?:is|are) (?!no (?:way|image)|nothing i)"
    r"|(?:it|this) (?:looks|appears|seems|is (?:most |very |more )?(?:likely|probably|consistent|suggestive))\b"
    r"|(?:这|该|此)?(?:图像?|影像|图片)(?:显示|提示|可见)|答案|(?:很|最)?可能是"
)
