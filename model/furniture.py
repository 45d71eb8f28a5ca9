"""The phrases that page furniture is known by, whatever the site: one table, and a few wider patterns.

A phrase that could open a sentence of news ("By signing the accord, ...", "Published by ...") is bound to
what only furniture goes on with.
"""

import re
from dataclasses import dataclass

# Furniture that also stands within a story, and so says little about where the story ends.
LIGHT = frozenset({"caption", "credit", "byline", "date"})

_AGENCY = (
    r"(?:AFP|AP(?: Photo)?|Associated Press|Reuters|TASS|EPA(?:-EFE)?|Getty(?: Images)?|Anadolu(?: Agency)?|"
    r"Xinhua|Shutterstock|iStock|Alamy|Bloomberg|Sputnik|RIA Novosti|dpa|PA(?: Media| Wire)?|UPI|ANSA|EFE|"
    r"Kyodo|Yonhap|AAP|NurPhoto|Flickr|Wikimedia(?: Commons)?|handout|file(?: photo| image)?)"
)
_AGENCIES = rf"{_AGENCY}(?:\s*(?:/|,|-|–|via|and)\s*{_AGENCY})*"
_PICTURE = r"(?:image|photo(?:graph)?|picture|illustration|graphic|video|cover)s?"
_NETWORK = (
    r"(?:facebook|twitter|x|whatsapp|telegram|linkedin|reddit|instagram|youtube|pin(?:terest)?|messenger|"
    r"flipboard|bluesky|threads|rss|tweet|print|e-?mail|save|bookmark|copy(?: link)?|share|like)"
)
_OUTLINE = (
    r"(?:home|news|world|politics|business|economy|opinions?|analysis|sports?|culture|arts|videos?|podcasts?|"
    r"live|tv|radio|weather|science|health|tech(?:nology)?|lifestyle|travel|regions?|latest|"
    r"breaking(?: news)?|war|topics?|more|sections?|interviews?|local|international|news in brief)"
)
_STORIES = r"(?:articles?|stories|story|posts?|news|headlines|content|coverage|reading|links?|videos?|now)"
# A header stands alone, or one story follows it on the same line.
_THEN = r"(?:\s*[:|›»–-]\s*\S.*|\W*)$"
# Does not end as a sentence does; an initial or an abbreviation may stand last.
_OPEN = r"(?!.*[a-z\d]{3}[.!][\"”’)]*$)"
_INITIALS = r"(?:(?:[A-Z]\. ?){1,2}[A-Z][\w'’-]+|[A-Z]\.[A-Z]\.)"
_NAME = r"(?-i:[A-Z][\w.'’-]*,? (?:(?:and|al|de|van|von) )?[A-Z])"


@dataclass(frozen=True)
class Sign:
    """A family of phrases that make a line furniture.

    Attributes:
        kind: The kind of furniture that they name.
        longest: Words beyond which a line is prose that merely begins like furniture.
        pattern: Matched from the start of the line's words, case ignored.
        in_body: Whether it holds between paragraphs of the story too, where a sub-heading may look like it.
    """

    kind: str
    longest: int
    pattern: re.Pattern[str]
    in_body: bool = True


def _sign(kind: str, longest: int, *phrases: str, in_body: bool = True) -> Sign:
    return Sign(kind, longest, re.compile("|".join(phrases), re.IGNORECASE), in_body)


# The first that matches decides, so the narrow ones stand before the wide ones.
_SIGNS = (
    _sign(
        "other_furniture",
        14,
        r"(?:(?:\d+|no) )?comments\W*(?:\d+\W*)?$|1 comment$|comments are closed",
        r"[\d.,]+[km]? (?:shares|views|likes)$",
        r"rate this\b.{0,20}$|.{0,20}\b\d+ votes?$|note: only a member|please follow our comment",
        r"(?:leave|post|add|write) an? (?:comment|reply)\b",
        r"view (?:all )?(?:\d+ )?comments",
        r"join the (?:conversation|discussion)$",
        r"your e-?mail address will not be published",
    ),
    _sign(
        "other_furniture",
        70,
        r"(?:we|this (?:web ?)?site|our (?:web ?)?site)\b.{0,60}\b(?:uses? cookies|your privacy)\b",
        r"cookies? (?:settings|policy|preferences|notice)",
        r"(?:accept|reject|allow|manage|decline)(?: all)?(?: cookies| preferences| settings| choices)?$",
        r"i (?:accept|agree)$",
    ),
    _sign(
        "other_furniture",
        8,
        r"\W*(?:advertise?(?:ment|ing)s?|paid content|continue reading below)\b[\w\s.,:–-]{0,50}$",
        r"(?:skip )?ads?\W*$",
        r"(?:article|story) continues below",
        r"(?:sponsored|promoted)(?: (?:content|links?|stories|posts?))?$",
        r"scroll (?:down )?(?:to|for)\b",
    ),
    _sign(
        "other_furniture",
        20,
        r"0?0:00(?:\s*/\s*\d{1,2}:\d\d(?::\d\d)?)?$|\d{1,2}:\d\d\s*/\s*\d{1,2}:\d\d$",
        r"(?:close|loading|mute)\W*$|(?:now )?play(?:ing)?(?: video| audio)?$",
        r"listen(?: to this (?:article|story))?\W*(?:\d+ min\w*)?$",
        rf"(?:powered|translated) by\b{_OPEN}",
        r"(?:your browser|this video)\b.{0,60}\b(?:play|support|availab)",
        r"this (?:article|story|text|interview|transcript) (?:was|has been) (?:automatically|machine|"
        r"first published|originally published|edited for|condensed|updated)",
        r"(?:support|fund) (?:our|independent) journalism|donate(?: now)?$",
        r"log in (?:to|or)\b|.{0,60}\blog in or register\b|click here\b|already a (?:member|subscriber)",
        r"become a (?:member|subscriber|patron)(?: of (?:our|the)\b.{0,40}| today| now)?\W*$",
        r"(?:download|get) (?:our|the) (?:\w+ )?app\b",
    ),
    _sign(
        "other_furniture",
        6,
        r"(?:original (?:url|article|link|source)|source url|permalink|url|link)\s*:|source\s*:\s*<?https?:",
        r"<?(?:https?://|www\.)\S{4,2000}$",
    ),
    _sign("caption", 70, rf"{_PICTURE} caption\b|file (?:photo|picture|image)\s*[:-]"),
    _sign(
        "credit",
        14,
        rf"\(?(?:{_PICTURE} ?)?(?:source|credits?|courtesy(?: of)?|(?<=\w )by)?\s*[:,©/|]?\s*"
        rf"\(?{_AGENCIES}\)?\.?$",
        rf"source\s*:\s*\w{_OPEN}|{_PICTURE}\s*(?:source|credits?|courtesy|by)\b[:,]?(?:\s|$){_OPEN}",
        rf"\(?(?:{_PICTURE}|credits?)\s*[:©]\s*\w",
        rf"\(?with (?:material|inputs?|files|reporting|reports) from\b{_OPEN}",
    ),
    _sign(
        "byline",
        30,
        rf"\(?(?:additional )?(?:reporting|writing|editing|edited) by {_NAME}",
        rf"(?:written|words|compiled|translated|posted|published|interview|text)(?: by|:) {_NAME}{_OPEN}",
        r"authors?\s*:\s*\w|(?:from )?our correspondent$|(?:staff|news) (?:writer|reporter|desk)s?$",
    ),
    _sign(
        "byline",
        8,
        rf"(?-i:{_INITIALS}(?:\s*[/&,]\s*{_INITIALS})*$|\({_INITIALS}/ ?{_AGENCY}\)$)",
        in_body=False,
    ),
    _sign(
        "newsletter",
        45,
        r"newsletters?$|enter your (?:e-?mail|name)|(?:your )?e-?mail address\W*$",
        r"unsubscribe\b|subscribed?$",
        r"by (?:signing|subscribing|clicking|entering|continuing|submitting|registering)\b.{0,60}\byou\b"
        r".{0,20}\b(?:agree|accept|consent|confirm|acknowledge)",
        r"enjoying (?:this|our) (?:article|story|content|site|coverage)",
        r"(?:[^.?!]{3,60}[?!] )?(?:sign up|subscribe|register|get|receive|join|stay|never miss|don.t miss)\b"
        r".{0,120}\b(?:newsletters?|in-?box|e-?mails?|subscri\w+|delivered (?:\w+ )?(?:to|into) you|"
        r"straight to you|(?:news|text|daily) alerts)\b",
        r"sign(?: |ing )up (?:for|to)\b|our .{0,40}\bnewsletter\b",
        r"(?:sign up|subscribe)(?:\s+(?:now|today|here|free|for free|to .{1,60}))?\W*$",
    ),
    _sign(
        "author_box",
        60,
        r"(?:the )?(?:views?|opinions?)(?: and (?:views|opinions))? expressed (?:in this|here|above|"
        r"are (?:those|solely)|by the (?:author|writer)|do not)",
    ),
    _sign(
        "author_box",
        20,
        r"follow (?:(?:him|her|them) (?:on|at|@)|@\w)",
        r"follow (?!us\b).{2,40} on (?:twitter|x|facebook|instagram|telegram|bluesky)\b",
        r"about the authors?\W*$|more (?:articles|stories) by\b|@\w{3,20}$",
    ),
    _sign(
        "copyright",
        60,
        r"copyright\b.{0,40}(?:©|\(c\)|\d{4})|©|\(c\)\s|.{0,120}\ball rights (?:are )?reserved",
        r"(?:reproduction|republication)\b.{0,60}\b(?:prohibited|forbidden|permission)",
        r"(?:all|any|our) (?:materials?|content) .{0,60}\b(?:may|can|must)\b.{0,60}"
        r"\b(?:published|reproduced|copied)",
    ),
    _sign(
        "address",
        30,
        r"(?:tel(?:ephone)?|phone|fax|e-?mail|address|hotline|contacts?)\s*(?:\([^()]{1,30}\)\s*)?[.:]",
        r"p\.? ?o\.? box\b|[\w.+-]{1,60}@[\w-]{1,60}\.[\w.]{2,60}$|\+\d[\d \-()]{7,20}$",
    ),
    _sign(
        "address",
        30,
        r".{0,90}\bhotline\b.{0,60}\+?\d[\d \-()]{4}|.{0,60}\b\d+ \w+ (?:street|avenue|road|square)\b",
        in_body=False,
    ),
    _sign(
        "navigation",
        40,
        r"(?:tags?|topics?|keywords|filed under|categor(?:y|ies)|posted in)\s*:\s*\S",
        r"in this (?:story|article)\s*:\s*\S",
        rf"{_OPEN}.{{0,120}}\b(?:no|\d+) comments? on\b",
        r"(?:related )?(?:topics|tags)\W*$",
    ),
    _sign(
        "related",
        40,
        r"(?:also |must[- ])?read (?:more|also|next|this|here)\b(?:[^.]{0,40}[:|›»–-]\s*\S.*|"
        r"(?: here| (?:on|about) [^.]{0,60})?\W*$)",
        rf"(?:related|recommended|trending|popular|featured|similar)(?: {_STORIES})?{_THEN}",
        rf"must[- ](?:read|watch|see)\b{_OPEN}",
        rf"(?:(?:see|read|watch) (?:also|next|now)|also read|don.t miss|up next){_THEN}",
        rf"in case you missed it{_THEN}",
        r"(?:what to read next|in pictures|in other news|watch|listen|gallery|video)\s*[:|›»–-]\s*\S",
        r"keep reading$",
        r"more (?:on|from|about) [^.]{2,40}$",
        rf"(?:more|top|other|latest|recent|today.s) {_STORIES}\W*$",
        r"(?:previous|next) (?:article|post|story)\W*(?-i:[A-Z]).*|continue reading \w.{0,150}$",
        r"(?:you (?:may|might)|we think you.ll) (?:also )?(?:like|enjoy|be interested)\b",
        r"editor.{0,3} (?:picks?|choice)\W*$",
        r"(?:most|more) (?:read|popular|viewed|shared|watched|recent)\b[^.]{0,30}$",
    ),
    _sign(
        "navigation",
        9,
        r"share(?: (?:this|on|via|with|article|story|page|now)\b[^.]{0,50}|\s*[:|].*)?$|follow us\b",
        r"skip to\b.{0,30}$|you are here\b",
        rf"{_NETWORK}(?:\W+(?:this|article|page|story|and|on|via|{_NETWORK}))*\W*$",
        r"(?:about|contact|advertise)(?: with)? us\W*$|(?:log|sign)[ -]?(?:in|out|up)$",
        r"(?:back|return|go|scroll) to (?:the )?(?:top|home ?page|main)\b.{0,20}$",
        r"(?:terms|privacy|conditions)(?: (?:of|&|and|use|service|policy|notice|privacy|conditions))+\W*$",
        r"(?:menu|search|careers|imprint|privacy|site ?map|edition)\W*$",
        r"(?:toggle|open|close) (?:menu|navigation|search)$",
        r"(?:previous|next|older|newer)(?: (?:articles?|posts?|story|page|entries))?\W*$",
        r"(?:view|show|load|see) (?:more|all)\W*$|download (?:as |the )?(?:pdf|article|report)\W*$",
    ),
    # What a counter of readers leaves, or the number of a chapter.
    _sign("other_furniture", 1, r"\d{1,5}[km]?$", in_body=False),
    _sign("navigation", 8, rf"{_OUTLINE}(?:\s*[|/›»>·•,&]\s*[\w' ]{{2,30}})*$", in_body=False),
)

# Words about a picture that end in who made it.
CREDITED = re.compile(
    rf".{{8,}}?(?:[(\[]\s*(?:(?:{_PICTURE}|file)\b\s*(?:credits?\b|courtesy\b|by\b|source\b|[:/©|,–-])|"
    rf"credits?\b|courtesy\b|file(?: photo| image| picture)?\s*(?=[)\]]))[^()\[\]]{{0,80}}[)\]]|"
    rf"©\s*(?!\d)[^.!?\"”]{{2,50}}|"
    rf"\b{_PICTURE}(?: credits?| by| courtesy of)?\s*[:©/]\s*[^.!?\"”]{{2,60}})\s*$",
    re.IGNORECASE,
)
# The same with the agency's bare name, as wire copy also ends.
AGENCY_LAST = re.compile(
    rf".{{8,}}?(?:[(\[]\s*(?:{_AGENCIES}|[A-Z][\w. ]{{1,30}}/ ?[A-Z][\w. ]{{1,30}})\s*[)\]]|"
    rf"[/|©]\s*{_AGENCIES}|[\w)][.!?”\"]\s+{_AGENCIES})\s*$"
)
_ROLE = (
    r"(?:editor|reporter|correspondent|journalist|columnist|writer|author|fellow|professor|lecturer|analyst|"
    r"researcher|historian|contributor|director|institute|institution|think[- ]tank|agency|outlet|website|"
    r"publication|newspaper|magazine|broadcaster|organi[sz]ation|platform|network|ambassador|diplomat|"
    r"scholar|novelist|student)"
)
# Who somebody is. That it is a note on the author, not a sentence of the story, is for other evidence to say.
BIOGRAPHY = re.compile(
    r"(?P<who>[A-Z][\w.'’-]*(?: [\w.'’&-]+){0,5}?),? (?:(?:reports|writes|teaches|covers)\b|"
    rf"(?:is|was) (?:an?|the|one of|[A-Z]\w+['’]s)(?: [\w'’,&/.-]+){{0,9}}? {_ROLE}s?\b"
    r"(?: (?:of|at|for|with) (?:the )?(?P<house>[A-Z][\w.'’&-]*(?: [A-Z][\w'’&-]*){0,4}))?)"
)
CONTACT = re.compile(
    r"@\w{3,}|\bfollow (?:him|her|them|us|me)\b|\b(?:contacted|reached) (?:at|on|via)\b|"
    r"\b(?:write to|contact|e-?mail) (?:him|her|them|us|me|at)\b",
    re.IGNORECASE,
)
COMMENTS = re.compile(
    r"(?:\d+ |no |reader |your )?comments?(?:\s*\(?\d+\)?)?\W*$|"
    r"(?:leave|post|add|write) an? (?:comment|reply)\b|join the (?:conversation|discussion)",
    re.IGNORECASE,
)
# What stands between the words of one reader and the next.
COMMENT = re.compile(
    r"(?:log in to )?(?:reply|report|upvote|likes? ?\d*)\W*$|.{2,40} (?:says|wrote):$|\d+ \w+ ago$",
    re.IGNORECASE,
)


def sign_of(words: str, size: int) -> Sign | None:
    """Find the phrase that makes a line furniture.

    Args:
        words: A line's words, without Markdown.
        size: How many they are.

    Returns:
        The first sign of the table that matches, or None.
    """
    # The bound on characters keeps every search linear, also on a line without spaces.
    if len(words) > 800:
        return None
    return next((sign for sign in _SIGNS if size <= sign.longest and sign.pattern.match(words)), None)
