"""Sentence segmentation with exact offsets.

Two steps, both of linear cost. First the lines of a text are grouped into passages: a headline, a list item,
a paragraph that may be hard-wrapped. Then every end mark inside a passage is judged: by the rules below where
the library sentencex fails on news, by sentencex everywhere else. A text is only ever changed by putting one
code point in the place of another, so every offset is an offset into the text as it was given.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator

import sentencex  # type: ignore[import-untyped]

from model.spans import Span


def _words(table: str) -> frozenset[str]:
    return frozenset(table.split())


_WHITE = "".join(char for char in map(chr, range(0x3001)) if char.isspace())
# No white space to Python, but nothing to read: soft hyphen, zero-width characters, direction marks, BOM.
_BIDI = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_BLANK = _WHITE + _BIDI + "\u00ad\u180e\u200b\u200c\u200d\u2060\ufeff"
_TO_SPACES = str.maketrans(dict.fromkeys(_WHITE + "\u200b", " "))
# sentencex is quadratic in the full stops of Chinese, which has no spaces; the rules need no help there.
_LONG_CHUNK = re.compile(r"(?<![^ ])[^ ]{200,}+")
# It ends no sentence inside quotation marks, brackets, emails or bullet points, and takes no lone surrogate.
_FOR_SENTENCEX = str.maketrans(
    dict.fromkeys('"“”„«»‹›‚‛‘‟《》「」`()（）[]{}<>@*•◦▪▫■□●○⁃⁌⁍◆◇★☆➤➢➣▶▸►', " ")
    | {"'": "’"}
    | dict.fromkeys(map(chr, range(0xD800, 0xE000)), "x")
)

# ---- Passages: which line breaks end a sentence ----

_BULLET = re.compile(r"(?:[-*+•▪◦‣●■▶◀➤>–—]|#{1,6})\s")
_ENUMERATOR = re.compile(r"\(?(?:\d{1,2}|[A-Za-z])[.)]\s")
_ADDRESS_LINE = re.compile(r"<?(?:https?://|www\.|[\w.+-]{1,64}@)\S+")
_LINE_END = re.compile(r"""[.!?:…؟۔।։።‼⁇⁈⁉。！？]["'’”»)\]*]*\Z""")
# Feeds wrap at 60 to 80 columns, mail at up to 120. A longer line is a paragraph, a shorter one not wrapped.
_WRAP_WIDTHS = range(40, 121)


def _paragraphs(text: str) -> Iterator[list[Span]]:
    """Yield the lines between two blank lines, each without its outer white space."""
    lines: list[Span] = []
    offset = 0
    for line in text.splitlines(keepends=True):
        start = offset + len(line) - len(line.lstrip(_BLANK))
        end = offset + len(line.rstrip(_BLANK))
        offset += len(line)
        if start < end:
            lines.append(Span(start, end))
        if lines and (start >= end or line.endswith("\u2029")):
            yield lines
            lines = []
    if lines:
        yield lines


def _looks_like_title(line: str) -> bool:
    """Tell whether all the longer words of a line are capitalised, and there are at least four of them."""
    words = [word for word in line.split() if len(word) > 3 and word[0].isalpha()]
    return len(words) > 3 and not any(word[0].islower() for word in words)


def _passages(text: str) -> Iterator[Span]:
    """Yield the parts of a text that no sentence reaches beyond; a line break inside one is a mere wrap."""
    for spans in _paragraphs(text):
        lines = [span.of(text) for span in spans]
        width = max(map(len, lines))
        # A line was wrapped only if the next line's first word would not have fitted on it.
        full = [
            len(line) + 1 + len(below[: width + 1].split(None, 1)[0]) > width
            for line, below in zip(lines, lines[1:], strict=False)
        ]
        finished = [_LINE_END.search(line[-9:]) is not None for line in lines]
        votes = [is_full for is_full, is_finished in zip(full, finished, strict=False) if not is_finished]
        is_wrapped = width in _WRAP_WIDTHS and 2 * sum(votes) >= len(votes)
        start = spans[0].start
        for i, (line, below) in enumerate(zip(lines, lines[1:], strict=False)):
            # With few lines to judge by, a full line may be a headline above a shorter one.
            wraps = is_wrapped and full[i] and (sum(votes) > 2 or not _looks_like_title(line))
            runs_on = below[0].islower() and (full[i] or not finished[i])
            if _BULLET.match(below) or line.startswith("#") or _ADDRESS_LINE.fullmatch(below):
                ends = True
            elif _ENUMERATOR.match(below):
                ends = not wraps or _ENUMERATOR.match(line) is not None
            else:
                ends = not (wraps or runs_on or line.endswith(","))
            if ends:
                yield Span(start, spans[i].end)
                start = spans[i + 1].start
        yield Span(start, spans[-1].end)


# ---- Sentences: which end marks end a sentence ----

_NEAR = 60  # Code points read before and after a mark: enough for titles and names, and a bound on the cost.
# A mark; what is glued to it (more marks, closing quotes, brackets, emoji) or, in old feeds, a closing quote
# set apart; the gap. Nothing after the mark can fail or be tried twice, so that the scan is linear.
_MARK = re.compile(r"""(?P<mark>[.!?…؟۔।։።‼⁇⁈⁉。！？])(?P<tail>[^\w\s]*+(?:[ ]["”’»)\]]++(?=[ ]))?+)(?P<gap>[ ]*+)""")
_WORD_BEFORE = re.compile(r"(?:\w+\.)*\w+\Z")
_WORD_AFTER = re.compile(r"[\W_]*+(\w+)")
_MORE_MARKS = re.compile(r"[”’»)\]]*[.!?…,;]")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_ADDRESS = re.compile(r"(?:[^\w\s]+ )?(?:\.?[#@]\w|<?https?://|www\.|(?:[a-z0-9-]+\.)+[a-z]{2,}/)", re.I)
_IN_ADDRESS = re.compile(r"://|@|www\.")

# Words that open sentences, hardly ever names: "in the U.S. The" ends a sentence, "the U.S. Army" does not.
_OPENERS = _words("""
    the this that these those there then they their he she his her it its we our you your i my on at as by
    for from with without after before since while when where why how what who which whose if but and or nor
    yet so however although though because despite during among between according meanwhile moreover instead
    also both neither either every each some many most much several such all no not nobody none nothing now
    today yesterday tomorrow later earlier last next more other others to in a an another one two three
""")
# A title never ends a sentence, even before a name that sentencex takes for an opener ("Rep. Will Hurd").
_TITLES = _words("""
    Mr Mrs Ms Mx Messrs Dr Drs Prof Rev Fr Hon Sr Sra St Mt Ft Gen Gens Lt Lieut Col Cols Maj Brig Capt Cmdr
    Cdr Cpl Sgt Pvt Pte Pfc Adm Amb Gov Govs Sen Sens Rep Reps Pres Supt Insp Det vs e.g i.e a.k.a cf viz al
    approx incl ret Ret res Res resp est Est
""")
# These end a sentence, but not before a number or a month; sentencex errs on both sides.
_NUMBERED = _words("""
    No Nos Art Arts Fig Figs Ch Vol Sec p pp Jan Feb feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec Mon Tue
    Tues Wed Thu Thur Thurs Fri Sat Sun
""")
_MONTH = re.compile(r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)")
# Everyday words, abbreviations to sentencex, which ignores case.
_PLAIN_WORDS = _words("may me no re miss ill id art fed ken la op")
# What follows "6 a.m." in the same sentence: "Tuesday", "EST", "(0300 GMT)", "Moscow time".
_AFTER_CLOCK = re.compile(
    r"\(|\d|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|[A-Z]{2,5}\b|(?:[A-Z]\w+ ){1,2}[Tt]ime\b"
    r"|Eastern|Pacific|Central"
)
# `"Is this a truce?" Rami Abdel Rahman asked`; but not `said the`, which begins a statement of its own.
_SPEECH = re.compile(
    r"[A-Z][\w.'’-]* (?:[\w.'’-]+ ){0,5}"
    r"(?:said|says|asked|asks|added|told|cried|shouted|wondered|replied|wrote|tweeted)\b"
    r"(?! (?:the|that|he|she|it|they|there|his|her|its|their)\b)"
)
_ENUMERATED = re.compile(r"(?:\A|:\s)\W*(?:\d{1,2}|[A-Z])\Z")
_GLUED_BEFORE = re.compile(r"""(?:[a-z]{2}|\d{4}|[)\]”’"'])\Z""")
_GLUED_AFTER = re.compile(r"[A-Z](?:[a-z]| )")
_CLOSERS = "\"'”’“»)]"


def _ends_sentence(flat: str, begin: int, mark: re.Match[str]) -> bool | None:
    """Judge whether the sentence that began at `begin` ends at a mark; None leaves it to sentencex."""
    at, end, tail = mark.start(), mark.end(), mark["tail"]
    before, after = flat[max(begin, at - _NEAR) : at], flat[end : end + _NEAR]
    follower = _WORD_AFTER.match(after)
    if follower is None:  # Only more marks or emoji follow.
        return False
    if mark["mark"] in "。！？":
        return True
    next_word = follower[1]
    found = _WORD_BEFORE.search(before)
    word = found[0].strip("_") if found else ""
    if not mark["gap"]:  # A lost space, unless in an address, an abbreviation or a number.
        if not _GLUED_AFTER.match(after) or not _GLUED_BEFORE.search(before) or tail.strip(_CLOSERS):
            return False
        chunk = flat[max(0, at - 300) : at].rsplit(" ", 1)[-1]
        return word not in _TITLES and not _IN_ADDRESS.search(chunk)
    if any(char in ",;:" for char in tail) or before.endswith(("[", "(")):  # `?",` or "[...]"
        return False
    if _ADDRESS.match(after):
        return True
    if _MORE_MARKS.match(after):
        return False
    is_full_stop = mark["mark"] == "." and not tail.startswith("..")
    if next_word[0].islower():
        # Careless typing ("They left. then we came."), unless it is `"Stop." he said`.
        careless = is_full_stop and not tail and word.isalpha() and word.islower() and len(word) > 3
        return None if careless and word not in _TITLES else False
    if is_full_stop:
        verdict = _full_stop_ends_sentence(before, word, after, next_word)
        return True if verdict is None and tail.startswith(".") else verdict
    if word == "Yahoo":
        return False
    opens = next_word.lower() in _OPENERS
    if before.endswith(" ") and mark["mark"] in ".…":  # Dots set apart stand for words left out.
        return opens or before.rstrip()[-1:] in ".!?"
    return opens or not (tail.endswith(tuple(_CLOSERS)) and _SPEECH.match(after))


def _full_stop_ends_sentence(before: str, word: str, after: str, next_word: str) -> bool | None:
    """Judge a full stop by the abbreviation it may belong to; None leaves it to sentencex."""
    if _ENUMERATED.search(before):
        return False
    if word.isupper() and len(word) > 1 and "." not in word:
        if not next_word.isupper():  # "Washington, DC.", "World War II."
            return True
        word = word.capitalize()  # "MR. ERDOGAN"
    if word in _TITLES:
        return False
    if word in _NUMBERED:
        return not (next_word[0].isdigit() or _MONTH.match(next_word))
    if word.lower() in ("a.m", "p.m"):
        return not _AFTER_CLOCK.match(after)
    if _INITIALS.fullmatch(word):  # "U.S.", "J. K. Haddad", "plan B."
        return (next_word.lower() in _OPENERS or next_word in ("Mr", "Mrs", "Ms")) and after[0] not in "-–—"
    return True if word.lower() in _PLAIN_WORDS else None


def _trimmed(text: str, start: int, end: int) -> Span:
    part = text[start:end]
    return Span(end - len(part.lstrip(_BLANK)), start + len(part.rstrip(_BLANK)))


def split_sentences(text: str) -> list[Span]:
    """Find the sentences of a text.

    A blank line always ends a sentence; a single line break does so around headlines and list items, not in
    hard-wrapped prose. Each sentence inside a quotation is a sentence. Closing quotes and brackets belong to
    the sentence they close, a dateline to the one it opens. Long sentences are not cut.

    Args:
        text: Any string, in any language; the rules for abbreviations are those of English news.

    Returns:
        Spans in the order of the text. They do not overlap, none is empty, none begins or ends with white
        space or an invisible character such as a BOM, and only such characters lie between them.
    """
    sentences = []
    for passage in _passages(text):
        flat = passage.of(text).translate(_TO_SPACES)
        starts = [0]
        readable = _LONG_CHUNK.sub(lambda chunk: "x" * len(chunk[0]), flat)
        for piece in sentencex.segment("en", readable.translate(_FOR_SENTENCEX)):
            starts.append(starts[-1] + len(piece))
        begin = 0
        for mark in _MARK.finditer(flat):
            verdict = _ends_sentence(flat, begin, mark)
            if verdict is None:
                # sentencex may see the next sentence begin behind an opening quote.
                following = bisect_right(starts, mark.start())
                verdict = following < len(starts) and starts[following] <= mark.end() + 3
            if verdict:
                sentences.append(_trimmed(text, passage.start + begin, passage.start + mark.end()))
                begin = mark.end()
        sentences.append(_trimmed(text, passage.start + begin, passage.end))
    return sentences
