"""Sentence frames of the judge's training pairs, in three lists that never mix.

`train` is what training pairs are made of, `validation` chooses among settings,
and `held` are the phrasings that no training pair uses (a test compares them). In
a frame, [a/b] is one or the other, {x} a phrase with its article and place ("a nodule in the
left upper zone"), {n} the bare noun, {w} a word for normal, {s} a side, {z} a zone.
"""

from __future__ import annotations

__all__ = [
    "ANSWER",
    "BRAIN_PLACE",
    "BRAIN_PLACED",
    "COUNT",
    "EITHER",
    "KIND",
    "LUNG_PLACE",
    "LUNG_PLACED",
    "NEGATIVE",
    "NO",
    "NORMAL_FRAME",
    "POSITIVE",
    "SIDE_PLACE",
    "SIDE_PLACED",
    "WHERE",
    "YES",
    "Frames",
    "frames",
]  # fmt: skip

Frames = dict[str, tuple[str, ...]]


def _listed(text: str) -> tuple[str, ...]:
    """Split frames at "|"; one written "3* ..." counts three times."""
    listed: list[str] = []
    for phrase in text.split("|"):
        times, starred, frame = " ".join(phrase.split()).partition("* ")
        listed += [frame] * int(times) if starred else [times]
    return tuple(listed)


def frames(train: str, validation: str, held: str) -> Frames:
    """Return three lists of frames as one mapping."""
    return {"train": _listed(train), "validation": _listed(validation), "held": _listed(held)}


#: Places put behind a noun, and frames that hold the noun ({n}, without article).
LUNG_PLACE = frames(
    """in the {s} {z} zone | in the {s} {z} lung | in the {s} {z} lung zone | in the {z} zone of the {s} lung | in the
    {z} part of the {s} lung | in the {s} {z} lobe | at the {s} {z} zone | of the {s} {z} zone | located in the {s}
    {z} zone | on the {s} in the {z} zone | in the {z} zone on the {s} | in the {z} {s} lung | over the {s} {z}
    zone | on the {s} side in the {z} zone | in the {s} lung, {z} zone | {s} {z} zone | {z} {s} zone | 3*
    [in/at/over/within/of/projected over/inside/near/across] the {s} {z} [zone/lung/lobe/field/lung zone/lung
    field/part] | 3* [in/at/over/within/of/inside] the {z} [zone/part/third/field/half/portion/area/lobe/region] of
    the {s} [lung/side/hemithorax/chest/lung field] | [on/at/to] the {s} [/side][,/] [in/at/within] the {z}
    [zone/part/third/field/area/region]""",
    """in the {z} region on the {s} side | projecting over the {z} portion of the {s} lung | within the {s} lung, {z}
    area | on the {s}, {z} third | involving the {z} aspect of the {s} lung | seated in the {s} lung's {z} zone""",
    """occupying the {s} lung at its {z} level | {s} lung; {z} zone | about the {z} segment of the {s} lung | where
    the {s} lung has its {z} zone | confined to the {z} zone of the {s} lung""",
)
LUNG_PLACED = frames(
    """{s} {z} zone {n} | {s} {z} lung {n} | {s} {z} lobe {n} | {s} {z} {n} | {s}-sided {n} in the {z} zone | {z} zone
    {n} on the {s} | {s} {z} [field/region/area/part] {n} | {z} [lung/zone/lobe/field] {n} [on the {s}/of the {s}
    side/at the {s}]""",
    "{s}-sided {z} zone {n} | {z} {n} of the {s} lung | {s} sided {z} lung {n}",
    "{z}-zone {s}-lung {n} | {s}, {z} {n}",
)
BRAIN_PLACE = frames(
    """in the {s} {z} lobe | in the {s} {z} region | in the {z} lobe on the {s} | in the {z} region of the {s}
    hemisphere | of the {s} {z} lobe | located in the {s} {z} lobe | on the {s} in the {z} lobe | in the {z} lobe
    of the {s} hemisphere | at the {s} {z} region | {s} {z} lobe | {s} {z} region | {z} lobe, {s} side | 3*
    [in/at/within/of/inside/near/across] the {s} {z} [lobe/region/area/cortex/white matter/part/zone] | 3*
    [in/at/within/of/inside] the {z} [lobe/region/area/part/zone/cortex] of the {s} [hemisphere/side/brain/cerebral
    hemisphere] | [on/at/to] the {s} [/side][,/] [in/at/within] the {z} [lobe/region/area/part]""",
    """affecting the {z} part of the {s} hemisphere | on the {s} side, {z} location | centred on the {s} {z} lobe |
    involving the {z} area of the {s} brain""",
    """{s} hemisphere; {z} lobe | about the {z} lobe of the {s} hemisphere | confined to the {s} {z} lobe | where the
    {s} hemisphere has its {z} lobe""",
)
BRAIN_PLACED = frames(
    """{s} {z} {n} | {s} {z} lobe {n} | {s}-sided {z} {n} | {z} {n} on the {s} | {s} {z} [area/zone/cortex/part] {n} |
    {z} [lobe/region/] {n} [on the {s}/of the {s} side/at the {s}]""",
    "{s} {z} region {n} | {z} {n} of the {s} hemisphere",
    "{z}-lobe {s}-hemisphere {n} | {s}, {z} {n}",
)
SIDE_PLACE = frames(
    """on the {s} | on the {s} side | in the {s} {organ} | of the {s} {organ} | {s} side | to the {s} | at the {s}
    side | on the patient's {s} | {s} | [on/at/to/over] the {s} [/side/hand side] | [in/within/of/inside/over/at]
    the {s} [{organ}/half/{organ}]""",
    "on the patient's {s} side | affecting the {s} {organ} | involving the {s} side | over on the {s}",
    "confined to the {s} {organ} | with the {s} {organ} affected | {s}, that is | towards the {s}",
)
SIDE_PLACED = frames(
    "{s} {n} | {s}-sided {n} | {s} sided {n} | {n} [at/to] the {s}",
    "{s} side {n} | {n} that is {s} sided",
    "{n} - {s} | {s}, {n}",
)

POSITIVE = frames(
    """2* {x} | there is {x} | there is {x} on this image | {x} is present | {x} is seen | {x} is visible | {x} can be
    seen | {x} is noted | {x} is identified | {x} is demonstrated | {x} is shown | the image shows {x} | the image
    demonstrates {x} | the scan shows {x} | the scan reveals {x} | the picture shows {x} | this shows {x} | it
    shows {x} | this is {x} | it is {x} | i see {x} | i can see {x} | we see {x} | we can see {x} | you can see {x}
    | there appears to be {x} | there seems to be {x} | the finding is {x} | findings: {x} | finding: {x} |
    impression: {x} | the abnormality is {x} | the main finding is {x} | the main abnormality is {x} | the most
    striking finding is {x} | what stands out is {x} | evidence of {x} | there is evidence of {x} | signs of {x} |
    there are signs of {x} | features of {x} | consistent with {x} | this is consistent with {x} | in keeping with
    {x} | compatible with {x} | suggestive of {x} | the findings suggest {x} | the patient has {x} | the patient is
    suffering from {x} | most likely {x} | probably {x} | likely {x} | looks like {x} | it looks like {x} | this
    represents {x} | on this image, {x} is seen | in the image there is {x} | in this picture one sees {x} | the
    appearance is that of {x} | diagnosis: {x} | the diagnosis is {x} | positive for {x} | notable for {x} | {x},
    as seen here | {x} on this view | {x} and nothing else | only {x} | just {x} | 4* [the/this]
    [image/scan/picture/film/study/radiograph/x-ray/examination/slice/view]
    [shows/demonstrates/reveals/displays/depicts/presents/exhibits/contains/features/indicates/suggests/confirms]
    {x} | 4* {x} [is/was/has been]
    [seen/noted/found/identified/observed/visualised/recognised/demonstrated/detected/discovered/noticed/reported/
    spotted]
    | 2* {x} [can/could/may] be
    [seen/noted/found/identified/observed/visualised/recognised/demonstrated/detected/discovered/noticed/reported/
    spotted]
    |
    [seen/noted/found/identified/observed/visualised/recognised/demonstrated/detected/discovered/noticed/reported/
    spotted]:
    {x} | [clearly/obviously/evidently/definitely/certainly/apparently/in my view/i believe/as it seems/without
    question/no doubt/surely/undoubtedly/plainly], {x} | {x},
    [clearly/obviously/evidently/definitely/certainly/apparently/in my view/i believe/as it seems/without
    question/no doubt/surely/undoubtedly/plainly] | [clearly/obviously/evidently/definitely/certainly/apparently/in
    my view/i believe/as it seems/without question/no doubt/surely/undoubtedly/plainly] there is {x} |
    [i/we/one/you] [see/find/notice/observe/recognise/identify/detect/note/spot/perceive] {x} | [i/we]
    [believe/think/suspect/suppose/conclude/would say] [it is/this is/there is/that it is] {x} | [my/the/our]
    [impression/conclusion/diagnosis/opinion/verdict/assessment/answer/finding/result] is {x} |
    [impression/conclusion/assessment/result/opinion/report/finding/observation] - {x} | this [must/should/could
    well/has to] be {x} | [evidence/signs/features/indications/appearances/proof] [of/indicating/pointing to] {x} |
    [typical/characteristic/diagnostic/suggestive/indicative] of {x} | the [picture/pattern/appearance/finding]
    [fits/matches/is typical of/speaks for/points to/argues for] {x} | [it/this/everything/the picture] [speaks
    for/points towards/suggests/indicates/means] {x} | [a case of/an example of/an instance of] {x} | the
    [patient/man/woman/person] [has/shows/presents with/suffers from/is affected by] {x} | there [exists/is
    found/remains/is also seen/is to be seen] {x} | one [can/may] see {x} | {x} [stands out/draws attention/is
    striking/is obvious/is there/is what i see/is the finding/is the abnormality/is the main finding] | what [i/we]
    see is {x} | what the image shows is {x} | what is seen is {x} | [here/in this image/on this view] [lies/is/we
    have/you have] {x}""",
    """{x} is evident | summary: {x} | the exam is positive for {x} | the reading would be {x} | one can make out {x}
    | my reading is {x} | {x} catches the eye | what we have here is {x} | the examination discloses {x} | i would
    call this {x} | {x} is apparent | conclusion: {x} | the study is remarkable for {x} |
    the radiologist would report {x} | here we are dealing with {x} | it all points to {x}""",
    """{x} [would explain the picture/is hard to overlook] | my eyes fall on {x} | let me name it: {x} | if you ask
    me, {x} | i can make out {x} | no question about it, {x} | reported as {x} | the key observation here concerns
    {x} | all in all this amounts to {x} | {x} strikes the eye at once | a reader should note {x} | on inspection,
    {x} becomes visible | the trouble here is {x} | {x} came up on this exam""",
)
NEGATIVE = frames(
    """2* no {n} | there is no {n} | there isn't any {n} | there is not {x} | no {n} is seen | no {n} is present | no
    {n} can be seen | no {n} is visible | no {n} is identified | no {n} on this image | {n} is absent | {n} is not
    present | {n} is not seen | {n} is not visible | {n} not seen | no evidence of {n} | there is no evidence of
    {n} | no sign of {n} | no signs of {n} | without {n} | without evidence of {n} | negative for {n} | i see no
    {n} | i do not see {x} | i don't see any {n} | we see no {n} | i cannot see any {n} | the image does not show
    {x} | the image shows no {n} | the scan doesn't show {x} | it shows no {n} | this is not {x} | it is not {x} |
    it isn't {x} | the patient does not have {x} | the patient has no {n} | free of {n} | absence of {n} | not {x}
    | {n} can be excluded | {n}: none | {n}: absent | no indication of {n} | not suggestive of {n} | there was no
    {n} | 3* [the/this] [image/scan/picture/film/study/radiograph/x-ray/examination/slice/view] [does
    not/doesn't/did not/fails to] [show/demonstrate/reveal/display/depict/contain/indicate/suggest] [{x}/any {n}] |
    2* [the/this] [image/scan/picture/film/study/radiograph/x-ray/examination/slice/view]
    [shows/demonstrates/reveals/displays/depicts/presents/exhibits/contains/features/indicates/suggests/confirms]
    no {n} | 3* no {n} [is/was/has been]
    [seen/noted/found/identified/observed/visualised/recognised/demonstrated/detected/discovered/noticed/reported/
    spotted]
    | 2* {n} [is/was/has] not [been/]
    [seen/noted/found/identified/observed/visualised/recognised/demonstrated/detected/discovered/noticed/reported/
    spotted]
    | 2* {n} [can not/cannot/could not/can't] be
    [seen/noted/found/identified/observed/visualised/recognised/demonstrated/detected/discovered/noticed/reported/
    spotted]
    | 2* no {n} can be
    [seen/noted/found/identified/observed/visualised/recognised/demonstrated/detected/discovered/noticed/reported/
    spotted]
    | 2* {n} is not
    [seen/noted/found/identified/observed/visualised/recognised/demonstrated/detected/discovered/noticed/reported/
    spotted]
    | [i/we/one] [do not/don't/did not/cannot/can't/could not]
    [see/find/notice/observe/recognise/identify/detect/note/spot] [{x}/any {n}] | [i/we]
    [see/find/notice/observe/detect] no {n} | {n} [is lacking/is missing/is not there/does not exist/is
    excluded/was excluded/has not occurred/is unlikely] | [lack/absence/exclusion] of {n} |
    [excluding/excludes/lacking/lacks/denies/rules out/ruling out/not showing/missing] {n} | the
    [patient/man/woman/person] [is free of/is without/does not have/shows no/does not suffer from] {n} | [nothing
    like/nothing that looks like/nothing in the way of/not a trace of/not any/never any/hardly any] {n} | there
    [is/are/was] [neither sign nor trace of/no suggestion of/no hint of/no trace of/no indication of/nothing to
    indicate/nothing resembling/not a sign of] {n} | [devoid of/clear of/free from/without any/without signs of/in
    the absence of] {n} | this [can not/cannot/can't/does not seem to] be {x} | [rule out/exclude] {n} |
    [unremarkable/normal] with [no/absent] {n} | {n} [? no/: no/- no/: not seen/: negative] | there
    [isn't/wasn't/aren't] {x}""",
    """{n} is not evident | the exam is negative for {n} | nor is there {x} | nothing to suggest {n} | {n} is ruled
    out | i find no trace of {n} | the study lacks {n} | {n} is nowhere to be seen | one cannot make out any {n} |
    the radiologist would not report {x}""",
    """{n} was searched for but not found | i looked for {n} and found none | not a single {n} anywhere | {n} does not
    come into question | whatever this is, it is not {x} | as for {n}, there is none | of {n} there is nothing to
    be seen | i can rule {n} out | {n} may be ruled out | the exam came back negative for {n}""",
)
NORMAL_FRAME = frames(
    """normal | it is normal | normal study | a normal {image} | this is a normal {image} | the {image} is {w} | the
    image is {w} | the scan is {w} | 2* {w} | no abnormality | no abnormalities | no abnormality is seen | there is
    no abnormality | no abnormal finding | no finding | no findings | none | nothing | nothing abnormal | nothing
    abnormal is seen | no acute abnormality | no disease | there is nothing abnormal | i see no abnormality |
    everything looks normal | everything is normal | it looks normal | normal appearance | the {organs} {is} {w} |
    the {organs} {is} normal | normal {organs} | no pathology | no pathological finding | [nothing/no change/no
    lesion/no finding] [of note/of importance/worth mentioning/to report/to see] | [the/this]
    [image/scan/picture/film/study/radiograph/x-ray/examination/slice/view] [is/looks/appears/seems/was] {w} |
    [all/everything] [looks/is/appears/seems] [normal/fine/well/in order/as it should be/unremarkable/all right] |
    the {organs} {is} [fine/free of disease/well/unremarkable/without disease/as expected] | [no/without]
    [sign/signs/evidence/trace] of [disease/abnormality/pathology/illness] | [i/we/one] [see/find/notice/detect]
    [nothing/no abnormality/no disease/nothing wrong/nothing unusual] | [i/we] [do not/don't/cannot]
    [see/find/notice/detect] [any abnormality/anything abnormal/any disease/anything] |
    [healthy/normal/unremarkable] [patient/subject/person/organ/anatomy/image/scan/examination/picture] | no
    [abnormality/pathology/disease/lesion] [is/was/has been]
    [seen/noted/found/identified/observed/visualised/recognised/demonstrated/detected/discovered/noticed/reported/
    spotted]""",
    """nothing wrong | a perfectly normal examination | there is nothing to worry about, all is normal | i find
    nothing abnormal here | appearances are {w} | no disease is apparent | the {organs} {is} without any abnormal
    change""",
    """as normal as can be | i cannot fault this {image} | there is no disease to report here | nothing here deserves
    a remark | the {organs} {is} just as one would wish | a {w} result all round""",
)
YES = frames(
    """3* yes | yes it is | yes, it does | yes there is | yes, that is right | correct | true | that is true |
    affirmative | indeed | certainly | definitely | it is | there is | it does | present | yes, clearly | yes,
    definitely | yes, i think so | i think so | that is correct | right | yep | positive | of course | the answer
    is yes | i would say yes | answer: yes | yes, [clearly/obviously/evidently/definitely/certainly/apparently/in
    my view/i believe/as it seems/without question/no doubt/surely/undoubtedly/plainly] |
    [clearly/obviously/evidently/definitely/certainly/apparently/in my view/i believe/as it seems/without
    question/no doubt/surely/undoubtedly/plainly] yes | yes, [it/that/this/there] [is/does/was] | yes, [that's/this
    is/it's] [right/true/correct/so] | [i/we] [would say/believe/think/suppose/say/assume] [yes/so/it is/it does] |
    [that/this/it] is [right/true/so/correct/the case here/what i see] | [the/my/our]
    [answer/reply/verdict/response/conclusion] [is/:] yes | [exactly/quite so/quite
    right/agreed/sure/yeah/aye/confirmed/it certainly is/it surely does] | [yes/yeah/yep], [no question/that is
    so/i can confirm/sure/one can say so/i see it]""",
    """the answer would be yes | absolutely | yes, without a doubt | yes indeed, it is so | that is the case | i
    believe the answer is yes""",
    """yes, that i can confirm | it would seem so, yes | the answer has to be yes | you are right, yes | true enough |
    yes, as you suspected""",
)
NO = frames(
    """3* no | no it is not | no, it isn't | no, it does not | no there is not | no, there isn't | no, that is wrong |
    false | that is false | incorrect | not true | negative | not present | absent | not at all | it is not | there
    is not | it does not | no, not here | no, definitely not | no, i don't think so | i don't think so | certainly
    not | definitely not | nope | none | the answer is no | i would say no | answer: no | no,
    [clearly/obviously/evidently/definitely/certainly/apparently/in my view/i believe/as it seems/without
    question/no doubt/surely/undoubtedly/plainly] not |
    [clearly/obviously/evidently/definitely/certainly/apparently/in my view/i believe/as it seems/without
    question/no doubt/surely/undoubtedly/plainly] not |
    [clearly/obviously/evidently/definitely/certainly/apparently/in my view/i believe/as it seems/without
    question/no doubt/surely/undoubtedly/plainly] no | no, [it/that/this/there] [is not/does not/isn't/doesn't/was
    not] | no, [that's/this is/it's] [wrong/false/not true/not so/incorrect] | [i/we] [would
    say/believe/think/suppose/say/assume] [no/not] | [i/we] [do not/don't/would not/wouldn't]
    [believe/think/suppose/say/assume] so | [that/this/it] is [wrong/false/not so/incorrect/not right/not the case
    here/not what i see] | [the/my/our] [answer/reply/verdict/response/conclusion] [is/:] no | [not really/not
    quite/never/nay/nah/denied/it certainly is not/it surely does not/on the contrary] | [no/nope/nah], [no
    question/that is not so/i can exclude that/not here/one cannot say so/i do not see it]""",
    """it is not true | the answer would be no | absolutely not | no, without a doubt | no, it is not so | that is not
    the case | i believe the answer is no""",
    """no, that i can deny | it would seem not, no | the answer has to be no | you are mistaken, no | far from it, no
    | no, contrary to what you suspected""",
)
#: Short answers of any kind.
ANSWER = frames(
    """4* {x} | it is {x} | it's {x} | this is {x} | that is {x} | the answer is {x} | answer: {x} | {x} i think | i
    think {x} | i think it is {x} | i would say {x} | i believe it is {x} | probably {x} | most likely {x} | it
    looks like {x} | it appears to be {x} | it seems to be {x} | the image shows {x} | it must be {x} | clearly {x}
    | {x}, clearly | {x} as far as i can see | i see {x} | here it is {x} | in this image it is {x} | result: {x} |
    final answer: {x} | [clearly/obviously/evidently/definitely/certainly/apparently/in my view/i believe/as it
    seems/without question/no doubt/surely/undoubtedly/plainly] {x} | {x},
    [clearly/obviously/evidently/definitely/certainly/apparently/in my view/i believe/as it seems/without
    question/no doubt/surely/undoubtedly/plainly] | [i/we]
    [see/find/notice/recognise/identify/read/believe/suppose/assume/conclude/guess] {x} | [my/the/our]
    [impression/conclusion/opinion/verdict/assessment/guess/choice/answer/reply/response] [is/would be/:] {x} |
    [this/it/that] [must/should/has to/could well/seems to/appears to/ought to] be {x} | [the/this]
    [image/scan/picture/film/study/radiograph/x-ray/examination/slice/view]
    [shows/demonstrates/reveals/displays/depicts/presents/exhibits/contains/features/indicates/suggests/confirms]
    {x} | [here/in this image/on this view/in this case] [it is/we have/you see/i see] {x} | what [i/we/you]
    [see/have] is {x} | [i/we] [would/will/shall] [say/answer/choose/reply/take] {x} | it [was/is/remains] {x} |
    {x} [is right/is correct/is what i see/is the answer/is my conclusion/i suppose/i guess]""",
    """it would be {x} | {x} is my answer | {x} it is | judging by the picture, {x} | i'd go with {x} | the correct
    choice is {x}""",
    """{x} would be my pick | put me down for {x} | in a word: {x} | all signs say {x} | the reply you want is {x} | i
    settle on {x}""",
)
WHERE = frames(
    """3* {x} | it is {x} | it lies {x} | it is located {x} | located {x} | it can be seen {x} | it is seen {x} | the
    {n} is {x} | the {n} lies {x} | the {n} is located {x} | the {n} is seen {x} | the {n} can be found {x} | i see
    it {x} | the location is {x} | location: {x} | position: {x} | the {n} appears {x} | the answer is {x} | i
    think it is {x} | it is found {x} | the finding is {x} | the abnormality is {x} | i would say {x} | {x} i
    believe | [it/this/that] [is/was/lies/sits/appears/is seen/was found/can be found/must be/seems to
    be/projects/is visible/is present] {x} | the [{n}/{n}/finding/abnormality/change/lesion in question]
    [is/was/lies/sits/appears/was found/is visible/is present/projects/can be seen/occurs/is placed] {x} |
    [clearly/obviously/evidently/definitely/certainly/apparently/in my view/i believe/as it seems/without
    question/no doubt/surely/undoubtedly/plainly] {x} | [i/we/one/you] [see/find/notice/spot/locate/place] [it/the
    {n}/this] {x} | [my/the] [answer/conclusion/impression/place/site/position/location] [is/:/would be] {x} |
    [seen/found/visible/present/lying/placed/noted/detected] {x} | {x} [i think/i suppose/it seems/as far as i can
    tell/is where it is/is the place/is the location] | [this/that/it] must be {x}""",
    """one sees it {x} | you will find it {x} | the {n} is situated {x} | look {x} | its position is {x} | the {n} is
    to be found {x}""",
    """there it is, {x} | the {n} makes its home {x} | i would point {x} | to be precise, {x} | search for the {n} {x}
    and you will see it | it takes up space {x}""",
)
COUNT = frames(
    """2* {x} | {x} {n} | there are {x} {n} | there is {x} {n} | {x} {n} are seen | {x} {n} can be seen | i count {x}
    | i count {x} {n} | i see {x} {n} | i can see {x} | the number is {x} | number of {n}: {x} | the image shows
    {x} {n} | the scan shows {x} {n} | in total {x} | it shows {x} {n} | the answer is {x} | exactly {x} | {x} {n}
    in all | [the/this] [image/scan/picture/film/study/radiograph/x-ray/examination/slice/view]
    [shows/demonstrates/reveals/displays/depicts/presents/exhibits/contains/features/indicates/suggests/confirms]
    {x} {n} | {x} {n} [is/was/has been]
    [seen/noted/found/identified/observed/visualised/recognised/demonstrated/detected/discovered/noticed/reported/
    spotted]
    | [i/we/one/you] [see/find/notice/count/spot/detect/identify] {x} {n} | [the/my/our]
    [number/total/sum/answer/count] [is/would be/:/comes to] {x} | there [must be/seem to be/appear to
    be/were/exist] {x} {n} | {x} [i think/i suppose/all told/altogether/in number/as far as i can see] | {x}
    [different/distinct/visible/single] {n} | a [total/sum] of {x} {n}""",
    """{x} {n} were found | one can make out {x} {n} | altogether there are {x} | {x} separate {n} have
    been detected""",
    """the tally is {x} | {x} {n}, no more and no fewer | i arrive at {x} | {x} {n} came up on this exam | i got to
    {x} when counting""",
)
KIND = frames(
    """2* {x} | it is {x} | this is {x} | this is a {x} image | a {x} image | {x} image | it's a {x} scan | {x}
    sequence | the contrast is {x} | the image is {x} | it was acquired as {x} | the answer is {x} | i think it is
    {x} | this looks like {x} | [this/that/it] [is/was/looks like/appears to be/seems to be/must be/should be]
    [a/an] {x} [image/scan/picture/study/slice/examination] | [this/that/it] [is/was/looks/appears/seems/must be]
    {x} | [clearly/obviously/evidently/definitely/certainly/apparently/in my view/i believe/as it seems/without
    question/no doubt/surely/undoubtedly/plainly] {x} | [i/we] [see/have/recognise/read/think it is/believe it
    is/would say] {x} | [my/the] [answer/conclusion/impression/type/kind] [is/:/would be] {x} |
    [taken/acquired/made/done/obtained/recorded] [as/with/by/in] {x} | {x} [i think/i suppose/judging from the
    contrast/as far as i can see/of course]""",
    """we see a {x} image | a {x} picture | it was taken as {x} | judging by the look, {x} | what you see here is {x}
    | it must have been {x}""",
    """to me that is clearly {x} | by its look, {x} | {x} would be my pick | in a word: {x} | it belongs to the {x}
    type""",
)

#: Two answers at once, {x} and {y}: wrong by the protocol's rule on hedges.
EITHER = frames(
    """{x} or {y} | either {x} or {y} | it could be {x} or {y} | {x}, or maybe {y} | {x} or possibly {y} | it is {x}
    or else {y} | possibly {x}, possibly {y} | could be {x}, could also be {y} | {x} versus {y} | {x} / {y} | {x},
    alternatively {y} | it might be {x} but it might also be {y} | maybe {x}, maybe {y} | {x}; differential: {y} |
    both {x} and {y} are possible | [could/might/may] be {x} or {y} | [perhaps/maybe/possibly/probably] {x},
    [perhaps/maybe/possibly/or perhaps/but maybe] {y} | {x} and {y} are [both possible/equally likely/the
    options/to be considered] | [i am undecided/i cannot decide/hard to decide/undecided] between {x} and {y} |
    [i/we] [think/believe] {x} or {y} | {x} [vs/or alternatively/or otherwise/or rather/or also/and or] {y} |
    [either/whether] {x} or {y} | if not {x} then {y} | [consider/differential diagnosis:/options:] {x}, {y} | {x}
    but [also/possibly/perhaps] {y}""",
    """{x}, if not {y} | {x} unless it is {y} | somewhere between {x} and {y} | i waver between {x} and {y} | one of
    {x} and {y} | {x} is as likely as {y}""",
    """a toss-up between {x} and {y} | {x}? or is it {y}? | torn between {x} and {y} | {x} one moment, {y} the next""",
)
