"""Find page furniture: bylines, dates, captions, calls to action, notices, links and tags.

Each rule matches the full text of a segment. The rules favour precision over recall: text that they
miss stays a paragraph. A dateline at the beginning of a paragraph belongs to the paragraph. They
cover English, common forms of German, French and Spanish, and the dates that `cells` reads.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from paratopic.project.scripts import CLOSERS, QUESTIONS, STOPS, n_words
from paratopic.reading.cells import day_in_words

BYLINE = "byline"
DATE = "date alone"
CAPTION = "caption or credit"
CALL = "call to action"
NOTICE = "notice"
LINK = "link alone"
TAGS = "categories"

# Longer texts match no rule.
MOST_CHARACTERS = 600

_NAME = r"(?:[^\W\d_a-z][\w.'’-]*|de|der|van|von|al|bin)"
_PERSON = rf"{_NAME}(?: {_NAME}){{1,3}}"
_PEOPLE = rf"{_PERSON}(?:(?:,|,? (?:and|AND|und|et|y)| &) {_PERSON})*"
_PLACE = rf"{_NAME}(?: {_NAME}){{0,2}}(?:, {_NAME}(?: {_NAME}){{0,2}})?"
_AGENCY = (
    r"(?:The )?(?:Reuters|REUTERS|AP|Associated Press|AFP|Agence France-Presse|Bloomberg|CNN|NPR|"
    r"BBC(?: News| Sport)?|UPI|Xinhua|Kyodo|Yonhap|EFE|dpa|ANSA|TASS|AAP|PA Media)"
)
_ROLE = (
    r"(?:[\w'’&-]+ ){0,5}(?i:correspondents?|editors?|reporters?|writers?|columnists?|"
    r"contributors?|bureau|desk|analyst)(?: (?:in|at|for) [\w .'’-]+)?"
)
_EMAIL = r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
_CREDIT = (
    r"(?:[Aa]dditional )?(?:[Rr]eporting|[Ww]riting|[Ee]diting|[Cc]ompiled|[Tt]ranslated)"
    rf"(?: and (?:reporting|writing|editing))? by (?:{_PEOPLE}|{_NAME})(?: (?:in|from) {_PLACE})?"
)
_MONTH = (
    r"(?:Jan(?:uary|\.)?|Feb(?:ruary|\.)?|Mar(?:ch|\.)?|Apr(?:il|\.)?|May|June?\.?|July?\.?|"
    r"Aug(?:ust|\.)?|Sept?(?:ember|\.)?|Oct(?:ober|\.)?|Nov(?:ember|\.)?|Dec(?:ember|\.)?)"
)
_DATE = (
    r"(?:(?:(?:Mon|Tue|Tues|Wed|Wednes|Thu|Thurs|Fri|Sat|Satur|Sun)(?:day|\.)?,? )?"
    rf"(?:{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?(?:,? \d{{4}})?|"
    rf"\d{{1,2}}(?:st|nd|rd|th)? {_MONTH}(?:,? \d{{4}})?|"
    r"\d{4}-\d\d-\d\d|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}))"
)
_CLOCK = (
    r"(?:,| at| [|·•–-])? ?\d{1,2}[:.]\d\d(?: ?[AaPp]\.?[Mm]\.?)?"
    r"(?: (?:GMT|UTC|BST|CES?T|[ECMP][DS]?T|IST|JST))?"
)
_STAMP = rf"{_DATE}(?:{_CLOCK})?"
_DASH = r"(?: ?[-–—|·•])"
_IMAGE = r"(?:Photo|Photograph|Image|Picture|Illustration|Video|Foto|Imagen)"
_SOCIAL = r"(?:Facebook|Twitter|X|LinkedIn|WhatsApp|Telegram|Reddit|Instagram|Bluesky|YouTube)"

# Reason and maximum number of words → pattern of the full text. These rules apply everywhere.
_EVERYWHERE = {
    (BYLINE, 60): rf"\(?{_CREDIT}(?:[;,.]? (?:and )?{_CREDIT})*\.?\)?\.?",
    (BYLINE, 20): rf"(?:Written |Reported )?[Bb]y {_PEOPLE},? {_ROLE}",
    (BYLINE, 16): rf"(?:Written |Reported )?[Bb]y {_PEOPLE}(?:,| for|{_DASH}) {_AGENCY}",
    (BYLINE, 12): rf"(?:[Bb]y )?{_PERSON}(?: ?[,|–—:(-])? ?{_EMAIL}\)?",
    (BYLINE, 6): rf"(?:(?:Contact|E-?mail)(?: the (?:author|reporter|writer))?:? )?{_EMAIL}",
    (DATE, 16): (
        r"(?:First |Last )?(?:[Pp]ublished|[Uu]pdated|[Pp]osted|[Mm]odified)(?: on| at)?:? "
        rf"{_STAMP}|{_PLACE}, {_STAMP} \({_AGENCY}\){_DASH}?"
    ),
    (DATE, 5): r"\d{1,2}[ -]min(?:ute)?s? read",
    (CAPTION, 70): (
        r"(?:FILE PHOTO\b|FILE ?[-–—:] |(?:Image|Media) (?:source|caption)[,:]).+|"
        rf".*(?:\b(?:AP Photo|REUTERS)/{_PERSON}|/(?:Reuters|AFP)|(?:/|\bvia |: |\()Getty Images)"
        r"[)\]]?\.?"
    ),
    # The last alternative matches 'The yard in May. Image: Harbour Press.'
    (CAPTION, 60): (
        rf"{_IMAGE}s?(?: ?(?:credits?|source|caption))? ?: .+|(?:Credit|Caption): .+|"
        rf"(?:.*[.!?”\"')\]] )[(\[]?(?:{_IMAGE}|Credit|Crédit|Bild)s? ?: "
        r"[^.!?:]{2,60}[)\]]?\.?"
    ),
    (CAPTION, 30): rf"(?:{_IMAGE}s? by|{_IMAGE} courtesy(?: of)?:?) {_NAME}.*",
    (CALL, 40): (
        r"(?:(?:Please )?(?:Sign up|Subscribe)\b.*"
        r"\b(?:newsletters?|e-?mails?|alerts?|briefings?|inbox|podcast|channel)|"
        r"Get .*\b(?:newsletters?|(?:in|to) your inbox))\b.*"
    ),
    (CALL, 30): (
        r"(?:Read|Watch|Listen|See|Learn) (?:more|next|also|now)"
        r"(?: ?[:|–—-] ?.*| (?:about|on|at|from|here)\b.*)?[.…»>→]?|"
        r"(?:See also|Also read|More on this(?: story)?|Related (?:articles?|stories|story|links)|"
        r"Related(?= ?[:|])|You may also like|Most (?:read|viewed)|Recommended (?:for you|stories)|"
        r"Editor[s'’]+ picks?|What to read next|"
        r"Lesen Sie (?:auch|mehr)|Mehr zum Thema|(?:À l|L)ire aussi|Lea también)(?: ?[:|] ?.*)?"
    ),
    (CALL, 25): rf"(?:Follow|Join|Find|Like) (?:us|@\w+|our [\w ]+) on (?:our )?{_SOCIAL}\b.*",
    (CALL, 15): r"(?:Click here|Leave a (?:comment|reply))\b.*|Listen to this (?:article|story).*",
    (CALL, 10): (
        r"(?:Share|Tweet|Email|Print|Save|Copy)(?: or save)? (?:this|the) "
        r"(?:article|story|page|post|link)(?: (?:on|via|with) .*)?[.!:]?|"
        rf"Share (?:on|via) (?:{_SOCIAL}|[Ee]-?mail)"
    ),
    (CALL, 6): (
        r"(?:Story|Article) continues below(?: (?:the )?advertisement)?\.?|"
        r"Continue reading(?: the main story| below)?[.…»→]*|Skip (?:to|past) [\w ]+"
    ),
    (CALL, 3): r"(?:Sign up|Subscribe|Log in)(?: now| today| here)?[.!]?",
    (CALL, 2): r"Advertisement|ADVERTISEMENT|Sponsored [Cc]ontent|Paid [Pp]ost|Back to top",
    (NOTICE, 60): (
        r"(?:©|\([cC]\) ?\d{4}|Copyright (?:©|\(c\)|\d{4})|"
        r"(?:We|This (?:web)?site) uses? cookies\b).*"
    ),
    (NOTICE, 40): (
        r"(?:This|The) (?:article|story|piece) (?:was )?(?:first |originally )"
        r"(?:published|appeared) (?:in|on|at|by)\b.*"
    ),
    (NOTICE, 15): (
        r"(?:.*[.,|–-] ?)?(?:All rights reserved|Alle Rechte vorbehalten|Tous droits réservés|"
        r"Todos los derechos reservados)\.?|Our Standards: .*Trust Principles.*"
    ),
    (LINK, 1): r"[(<]?(?:https?://|www\.)\S+",
    # Categories at the end of a page of a wiki.
    (TAGS, 60): r"(?:Hidden c|C)ategor(?:y|ies): .*[^.!?…\"'”’»)]",
}

# These rules apply only between the first segment (the title, say) and the first body paragraph.
_OPENING = {
    (BYLINE, 14): (
        rf"(?:Written |Reported |Words )?(?:[Bb]y|BY|Von|Par|Por):? {_PEOPLE}(?:{_DASH} {_STAMP})?"
    ),
    (DATE, 12): rf"(?:{_PLACE},?{_DASH}? )?{_STAMP}{_DASH}?",
}

_EVERYWHERE_RULES = {key: re.compile(rule) for key, rule in _EVERYWHERE.items()}
_OPENING_RULES = {key: re.compile(rule) for key, rule in _OPENING.items()}

_MARKDOWN = re.compile(r"^(?:#{1,6} |[-*•|] )?[*_]*|[*_]*$")  # marks around a text
_SENTENCE_END = re.compile(rf"[.!?{STOPS}{QUESTIONS}][{CLOSERS}]*$")
_TITLE_WORDS = 12  # a longer text is no title if it ends like a sentence


def reasons(texts: Sequence[str], headings: Collection[int] = ()) -> list[str]:
    """Give the reason why each text is page furniture, such as "byline"; "" for other text.

    `texts` are those of an article's segments, in order and each on one line. `headings` has the
    indices of those that are headings for certain; those with a Markdown mark may be left out. The
    rules for names and dates between title and first paragraph do not apply to headings.

    >>> reasons(["Talks Open", "By Jane Doe", "MADRID, Sept 15 (Reuters) – They met.", "© 2031"])
    ['', 'byline', '', 'notice']
    """
    all_reasons: list[str] = []
    opening = False  # whether the first body paragraph is still to come
    for number, text in enumerate(texts):
        reason = _reason(text, _EVERYWHERE_RULES)
        if opening and not reason and number not in headings and not text.startswith("#"):
            reason = _reason_at_opening(text)
            # Several dates are the headings of a chronicle.
            later = (texts[n] for n in range(number + 1, len(texts)))  # a slice would be a copy
            if reason == DATE and DATE in map(_reason_at_opening, later):
                reason = ""
        all_reasons.append(reason)
        is_body = not reason and n_words(text) > _TITLE_WORDS and _SENTENCE_END.search(text)
        opening = not is_body and (opening or number == 0)
    return all_reasons


def _reason_at_opening(text: str) -> str:
    return _reason(text, _OPENING_RULES) or (DATE if day_in_words(text) else "")


def _reason(text: str, rules: Mapping[tuple[str, int], re.Pattern[str]]) -> str:
    """The reason of the first rule that matches a text without Markdown marks; "" for none.

    `rules` has the reason and maximum number of words → pattern of the whole text.
    """
    if len(text) > MOST_CHARACTERS:
        return ""
    bare = _MARKDOWN.sub("", text)
    n_words = len(bare.split())
    for (reason, max_words), rule in rules.items():
        if n_words <= max_words and rule.fullmatch(bare):
            return reason
    return ""
