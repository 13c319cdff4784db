"""Words of the judge's training pairs: findings and diagnoses with their synonyms, places, numbers, kinds of image."""

from __future__ import annotations

__all__ = [
    "COMPLAINTS", "CONCEPTS", "DETAIL", "DIAGNOSES", "FILLERS", "IMAGE_KINDS", "NEW_WORDS", "NORMAL", "NUMBERS",
    "REGIONS", "TERMS",
    "UNANSWERABLE", "ZONES",
]  # fmt: skip

#: Field -> finding -> nouns; "~" marks what takes no article. The first is the benchmark's own word.
CONCEPTS: dict[str, dict[str, tuple[str, ...]]] = {
    "cxr": {
        "opacity": ("opacity", "consolidation", "infiltrate", "airspace opacity", "~airspace disease",
                    "~patchy shadowing", "hazy opacity", "patch of consolidation", "lung opacity", "density"),
        "nodule": ("nodule", "lung nodule", "pulmonary nodule", "solitary nodule", "coin lesion", "round nodule",
                   "small round lesion", "nodular lesion", "nodular opacity"),
        "effusion": ("effusion", "pleural effusion", "~pleural fluid", "~fluid in the pleural space",
                     "~fluid at the base", "fluid collection", "~blunting of the costophrenic angle", "~hydrothorax"),
        "cardiomegaly": ("~cardiomegaly", "enlarged heart", "~enlargement of the heart", "~cardiac enlargement",
                         "large heart", "big heart", "~heart enlargement", "~an increased heart size",
                         "enlarged cardiac silhouette", "widened heart shadow"),
        "pneumothorax": ("pneumothorax", "collapsed lung", "~air in the pleural space", "~free pleural air"),
        "oedema": ("~pulmonary oedema", "~pulmonary edema", "~lung oedema", "~vascular congestion"),
        "fracture": ("rib fracture", "broken rib", "fractured rib", "fracture"),
        "atelectasis": ("~atelectasis", "~volume loss", "~collapse of the lobe", "~lobar collapse"),
        "emphysema": ("~emphysema", "~hyperinflation", "~overinflated lungs", "~copd"),
        "hernia": ("hiatus hernia", "hiatal hernia", "hernia"),
    },
    "mri": {
        "tumour": ("tumour", "tumor", "brain tumour", "mass", "neoplasm", "space occupying mass",
                   "mass lesion", "brain tumor", "malignant mass", "ring enhancing mass", "growth"),
        "haemorrhage": ("haemorrhage", "hemorrhage", "bleed", "~bleeding", "haematoma", "hematoma", "~blood",
                        "intracerebral haemorrhage", "intracranial bleed", "~intracerebral hemorrhage"),
        "lesion": ("lesion", "white matter lesion", "white matter spot", "~white matter disease", "plaque",
                   "~white matter change", "spot in the white matter", "small lesion", "bright spot"),
        "infarct": ("infarct", "stroke", "~ischaemia", "infarction", "ischaemic stroke"),
        "atrophy": ("~atrophy", "~brain atrophy", "~volume loss of the brain", "~shrinkage of the brain"),
        "hydrocephalus": ("~hydrocephalus", "~enlarged ventricles", "~dilated ventricles"),
        "abscess": ("abscess", "brain abscess", "~pus"),
        "aneurysm": ("aneurysm", "vascular malformation"),
    },
}  # fmt: skip
#: Nouns that no training pair has.
NEW_WORDS: dict[str, tuple[str, ...]] = {
    "opacity": ("~opacification", "area of increased density"),
    "nodule": ("rounded nodular density", "spherical nodule"),
    "effusion": ("~fluid around the lung", "collection of pleural liquid"),
    "cardiomegaly": ("~an oversized heart", "~a heart that is too large"),
    "tumour": ("tumorous growth", "~neoplastic mass"),
    "haemorrhage": ("~haemorrhagic bleeding", "~a blood clot"),
    "lesion": ("~lesional changes", "~plaques in the white matter"),
}  # fmt: skip
DETAIL = ("small", "large", "mild", "subtle", "moderate", "slight", "marked", "faint", "tiny", "obvious", "focal")

ZONES = {
    "upper": ("upper", "upper", "upper", "apical", "superior", "top"),
    "middle": ("middle", "middle", "middle", "mid", "central"),
    "lower": ("lower", "lower", "lower", "basal", "inferior", "bottom"),
}
REGIONS = {
    "frontal": ("frontal",), "parietal": ("parietal",), "occipital": ("occipital",), "temporal": ("temporal",),
    "cerebellar": ("cerebellar",), "deep": ("deep",),
}  # fmt: skip
NORMAL = (
    "normal",
    "unremarkable",
    "healthy",
    "within normal limits",
    "clear",
    "free of abnormality",
    "without abnormality",
)
NUMBERS = {
    1: ("1", "one", "a single one", "only one", "just one", "a single", "one only"),
    2: ("2", "two", "two of them", "a pair", "a total of 2"),
    3: ("3", "three", "three of them", "a total of three"),
    4: ("4", "four", "four of them", "a total of 4"),
    5: ("5", "five", "five of them"),
    6: ("6", "six", "six of them"),
}
IMAGE_KINDS: dict[str, tuple[str, ...]] = {
    "t1": ("t1", "t1-weighted", "t1 weighted", "t1w"), "t2": ("t2", "t2-weighted", "t2 weighted", "t2w"),
    "flair": ("flair", "flair", "fluid attenuated inversion recovery", "t2 flair"),
    "xray": ("x-ray", "chest x-ray", "radiograph", "chest radiograph", "cxr", "plain film", "chest film", "xray"),
    "mri": ("mri", "brain mri", "magnetic resonance imaging", "mr", "mri of the brain", "magnetic resonance"),
    "ct": ("ct", "ct scan", "computed tomography", "cat scan"), "us": ("ultrasound", "sonography", "us"),
    "axial": ("axial", "transverse", "axial plane"), "coronal": ("coronal", "coronal plane"),
    "sagittal": ("sagittal", "sagittal plane"), "frontal_view": ("frontal", "pa", "frontal view", "pa view"),
    "lateral_view": ("lateral", "lateral view"),
    "chest": ("chest", "thorax", "the chest", "lungs", "the thorax"), "brain": ("brain", "head", "the brain",
    "the head"),
    "abdomen": ("abdomen", "belly", "the abdomen"), "pelvis": ("pelvis", "the pelvis"), "spine": ("spine", "the spine"),
}  # fmt: skip

#: Kind -> diagnosis -> names.
DIAGNOSES: dict[str, dict[str, tuple[str, ...]]] = {
    "cxr": {
        "heart failure": ("heart failure", "cardiac failure", "congestive heart failure", "chf",
        "failure of the heart"),
        "pneumonia": ("pneumonia", "lung infection", "chest infection", "infection of the lung"),
        "lung tumour": ("lung tumour", "lung cancer", "lung tumor", "bronchial carcinoma", "tumour of the lung"),
        "granuloma": ("granuloma", "benign granuloma", "calcified granuloma"),
        "pleurisy": ("pleurisy", "pleuritis", "inflammation of the pleura"),
        "tuberculosis": ("tuberculosis", "tb"), "asthma": ("asthma",), "pulmonary embolism": ("pulmonary embolism",
        "pe"),
    },
    "mri": {
        "glioma": ("glioma", "glial tumour", "primary brain tumour", "glial tumor"),
        "abscess": ("abscess", "brain abscess", "cerebral abscess"),
        "metastasis": ("metastasis", "brain metastasis", "metastatic disease", "a metastasis", "secondary tumour"),
        "hypertensive haemorrhage": ("hypertensive haemorrhage", "hypertensive bleed", "hypertensive hemorrhage",
                                     "bleeding due to high blood pressure", "haemorrhage from hypertension"),
        "traumatic haemorrhage": ("traumatic haemorrhage", "traumatic bleed", "traumatic hemorrhage",
                                  "haemorrhage after trauma", "bleeding from a head injury"),
        "multiple sclerosis": ("multiple sclerosis", "ms", "demyelinating disease"),
        "small vessel disease": ("small vessel disease", "microvascular disease", "microangiopathy",
                                 "small vessel ischaemia", "cerebral small vessel disease"),
        "meningioma": ("meningioma",), "stroke": ("stroke", "infarction"),
        "alzheimer's disease": ("alzheimer's disease",),
    },
}  # fmt: skip
COMPLAINTS = (
    "cough and fever", "weight loss", "breathlessness", "no complaints", "optic neuritis", "a first seizure",
    "a head injury", "fever", "lung cancer", "high blood pressure",
)  # fmt: skip
#: What may follow a diagnosis.
REASONS = ("given the history", "as the history suggests", "most likely", "because of the finding", "in this patient")
#: Question no image answers -> what a model may invent.
UNANSWERABLE: dict[str, tuple[str, ...]] = {
    "What is the patient's name?": ("john smith", "the patient's name is mary", "mr jones", "anna", "peter miller"),
    "When was this image taken?": ("in 2019", "yesterday", "on 3 may 2021", "last week", "it was taken on monday"),
    "In which hospital was this image taken?": (
        "st mary's hospital",
        "in the city hospital",
        "general hospital",
        "mayo clinic",
    ),
    "Who reported this image?": (
        "dr brown",
        "it was reported by dr lee",
        "the chief radiologist",
        "a radiologist named kim",
    ),
    "What medicine does the patient take?": (
        "aspirin",
        "the patient takes ibuprofen",
        "antibiotics",
        "insulin",
        "a beta blocker",
    ),
    "What is the patient's blood pressure?": (
        "120/80",
        "140 over 90",
        "the blood pressure is high",
        "130/85 mmhg",
        "normal",
    ),
}
#: Short answers of any kind, for comparing words that mean nothing else here.
TERMS = (
    "liver", "kidney", "spleen", "stomach", "pancreas", "gallbladder", "bladder", "aorta", "trachea", "ribs", "spine",
    "clavicle", "diaphragm", "appendix", "colon", "rectum", "thyroid", "skin", "eye", "orbit", "sinus", "cerebellum",
    "brainstem", "ventricle", "thalamus", "pons", "air", "fat", "bone", "water", "contrast", "metal", "pacemaker",
    "catheter", "tube", "stent", "screw", "surgery", "cyst", "polyp", "stone", "ulcer", "scar", "calcification",
    "swelling", "ascites", "appendicitis", "diverticulitis", "cholecystitis", "pancreatitis", "cirrhosis", "hepatitis",
    "sarcoidosis", "lymphoma", "melanoma", "sarcoma", "carcinoma", "osteoma", "thrombosis", "embolism", "stenosis",
    "dissection", "perforation", "obstruction", "torsion", "dislocation", "sprain", "arthritis", "osteoporosis",
    "scoliosis", "infection", "inflammation", "necrosis", "fibrosis", "oedema of the brain", "midline shift",
    "white", "black", "grey", "bright", "dark", "round", "oval", "irregular", "smooth", "spiculated", "large", "small",
    "thick", "thin", "high", "low", "anterior", "posterior", "medial", "lateral", "proximal", "distal", "supine",
    "erect",
    "male", "female", "adult", "child", "old", "young", "acute", "chronic", "benign", "malignant", "diffuse", "focal",
    "right atrium", "left ventricle", "left kidney", "right kidney", "duodenum", "jejunum", "oesophagus", "femur",
    "tibia",
)  # fmt: skip
_PLAIN = """
able about across add added adds after again age agree agrees all allow allows almost along already also although
altogether always amount anyway apart appear area around as aside ask asked asks aspect at away basis became because
become becomes before began begin beginning begins behind believe belong belongs best better beyond bit book boundary
box breath brief briefly bring brings brought build by call called calls came care careful carefully carried carries
carry case cause certain chance cheap check checked checks choice circle claim class clean clearly close closely clue
cold colour column come comes comment common commonly compare compares complete completely concern condition consider
considerably considers constant constantly context continue corner correctly course cover create curious current
currently daily day deal decide decides definitely degree describe describes detail different direct direction
directly discuss doctor down draw draws drew dry during early easily easy edge effect effort element end ended ends
entire entirely equal especially essentially even evening eventually every exact exactly exam example expect expects
expert explain explains extra eye fact fair fairly fall familiar family famous fast feature feeling figure fill fills
film final finally firmly first fit fits flat follow followed follows for foreign form formal fortunately frame
frankly freely frequently fresh friend friendly from full fully funny further future game garden general generally
gentle gently get gets give given gives glad gladly glance go goal goes good got gradually grand great greatly ground
group grow guess guesses habit hand happen happens happy hard he hear hears heavy held help helpful helps hence her
here his history hold holds home honest honestly hope hot hour house however huge human idea ideal if imagine
immediately important in include includes indeed initial initially inner instant interest into involve involves issue
it item its job join joins journey judge just keen keep keeps kept key kind knew know knowledge knows lamp language
largely last late lately later lazy lead leads learn leave leaves led legal let lets letter level life light like
likewise limit line listen literally little live local locally long look looked looks lose lot love lucky made main
mainly major make makes man manner market material matter matters me mean meaning means meant meanwhile measure
medical meet meets memory mention mentions merely message met method mind minute modern moment money month more
moreover morning most mostly mountain mouth move movement moves much music my name named namely names natural
naturally nature near nearly neat necessary need needed needs new news next nice nicely night notably note notion now
number object obviously occasion occasionally occur occurs odd of off offer offers office often old on once only onto
open opens opinion order ordinary origin original originally other our out outer over overall own page pain paper part
partly party pass passes past path patient pattern pay people per perfectly period person personally phase phrase pick
picks piece place places plain plainly plan plant play pleasant point points polite poor popular position power
practically practice precise precisely prefer present presumably pretty previous previously price primarily private
problem process produce produces product profile promptly proper properly proud prove proves provide public pull pure
purpose push put puts quality quick quickly quiet quietly quite raise raises ran range rapid rare rate rather reach
reaches read reader readily reads ready real realise really reason recall receive receives recent recently recommend
record refer refers reflect reflects regard regular regularly relate related relates relation relatively rely remain
remained remains remember remind replies reply report reports represent require requires respect rest rests result
return returns rich rise river road role room rough roughly royal rule run runs sad safe said same sample say says
scale scene school science score search searches season secret section seem seems select send sense separate series
serious seriously serve serves service set sets settle settles shade shape share sharp she sheet shop short show sight
silent similar simple simply since sit site sits skill slightly slow slowly smart so social soft solid solve somehow
sometimes somewhat soon sort sound source space speak speaks special specific specifically spend split spread stage
stand standard stands start started starts state states station stay stayed stays step still stone stood stop story
strange street strict strictly strong strongly structure student study style subject such sudden suddenly suffer sum
support suppose sure surely surface surprise sweet system table take taken takes talk tall task teach teacher team
technical technically tell tells term test tests text than that their them then there therefore these they thing think
thinks this thorough thoroughly those though thought through thumb thus ticket time tired title to today together told
tone tonight too tool topic total totally touch tough toward track trade travel treat trial tried tries trip truly
trust truth try turn turned turns twice typical typically under understand unique unlike until up upon us use used
useful user uses usual usually utterly value various vast very via view village visibly visit visual voice wait walk
wall want wants warm watch water way weak week weekly weight well went what when where whether which while who whole
wide widely wild win window winner wise wish with wonder wonderful word work worked works world write writer writes
year yearly yesterday yet you young your youth
"""
#: Words thrown into training candidates, so that unknown words are no evidence of anything.
FILLERS = (
    "of course", "in fact", "for sure", "at first glance", "as expected", "by the way", "in this case",
    "in particular", "at present", "to my eye", "on balance", "at this level", "on closer look", "in part",
    "so to speak", "after all", "in general", "as a result", "clear enough", "remain so", *_PLAIN.split(),
)  # fmt: skip
