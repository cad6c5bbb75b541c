"""Values given to names of credentials: `password = "..."`, `API_KEY=...`, `Authorization: Bearer ...`, `//a:pw@host`.

A random-looking value counts only here, beside a word of credentials: alone it is an object id, a checksum or a
test's input. What reads like words counts nowhere: such passwords are those of tests and documentation.
All repetitions are bounded, so that the time is linear in the text.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from itertools import pairwise

from pipeline.script.secrets.placeholders import is_documented, reads_like_words, strange_pairs

PASSWORD, RANDOM, IN_URL = "password", "random value beside a word of credentials", "password in a URL"
MARKS = (b"pass", b"pwd", b"secret", b"token", b"key", b"credential", b"contrase", b"auth")  # one stands in each name
_NAME = (
    rb"(?:(?P<password>password|passwd|passphrase|passcode|(?<![a-z])pass(?![a-z])"
    rb"|(?:db|smtp|mail|user|root|admin|key)[_-]?pass(?![a-z])|pwd|contrase(?:n|\xc3\xb1)a|secret)"
    rb"|(?P<key>(?:api|access|auth|private|priv|service|account|client|db|database|encryption|master|shared)"
    rb"[ _-]?key)"
    rb"|(?P<token>token|credential|authorization|(?<![a-z])auth(?![a-z])))"
)
# Of text in lower case: to ignore case would take twice the time.
GIVEN = re.compile(
    _NAME + rb"(?P<tail>[\w.-]{0,40}+)(?:\[[0-9]{0,5}\]|[\\'\"`)\]]){0,4}+[^\S\n]{0,20}+"
    rb"(?P<operator>:=|=>|->|\?=|!==?|={1,3}|\|\|=|[:=,(>]|(?<=[^\S\n]))[^\S\n(]{0,20}+"
    rb"(?:(?P<scheme>['\"]?(?:bearer|basic|token))[^\S\n]{1,4})?"
    rb"(?:@?[bru]{0,2}\\?(?P<quote>['\"`])(?P<quoted>[^\s'\"`\\][^'\"`\n\\]{4,400})\\?(?P=quote)"
    rb"|(?P<bare>[^\s'\"`(){}\[\]<>,;&\\]{5,400}))"
)
COMPARED = re.compile(
    rb"(?P<quote>['\"])(?P<quoted>[^'\"\n]{5,400})(?P=quote)[^\S\n]{0,5}[!=]={1,2}[^\S\n]{0,5}[\w.]{0,40}?" + _NAME,
    re.IGNORECASE,
)
URL = re.compile(rb"://[^\s:/?#\[\]@!$&'()*+,;=]{0,100}:(?P<password>[^\s:/?#\[\]@!$&'()*+,;=]{3,200})@")
# The value of a name that ends or begins so is not the secret itself.
_ABOUT = re.compile(
    rb"(?:name|path|type|url|uri|file|prompt|label|hash|hashed|digest|sha\d*|md5|length|size|expir\w*|regexp?|pattern"
    rb"|field|header|param\w*|format|class|kind|provider|error|message|help|hint|ref|arn|version|algorithm|method|id)s?$"
    rb"|\.(?:py|rb|erb|js|ts|go|rs|java|php|cs?|h|cpp|html?|css|md|rst|txt|json|ya?ml|xml|sh|lock)$",
    re.IGNORECASE,
)
_HASHED = re.compile(
    rb"(?:hash|hashed|digest|sha[_-]?\d*|md5|checksum|fingerprint|public[ _-]?(?:key)?)[ _-]?$", re.IGNORECASE
)
_REFERENCE = re.compile(
    rb"[$<{%]|^eyJ[\w-]+\.|://|\.\.|\xe2\x80\xa6|\*\*\*|^[./~#]|^0x|^[A-Z][A-Z0-9_]*$|^(?:sha\d+|md5)[:-]|(?i:xxx|example)"
)
_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_SOLID = re.compile(r"[0-9A-Za-z+/=_-]+")
_ESCAPE = re.compile(rb"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})")
_FEWEST = {"password": 7, "key": 8, "token": 16}  # characters; a shorter value is a test's
_BARE = 16  # characters at least of a value without quotes, outside configuration files
_TURNS = 3  # from letters to digits or back; 16 random letters and digits have 4 on average, 32 hex digits 15
_VARIED = 6  # distinct characters


def find_credentials(text: bytes, config_file: bool) -> Iterator[tuple[int, str]]:
    """Yield (offset, rule) of values given to names of credentials in lines of text.

    `config_file`: a value without quotes counts like one with them. Elsewhere it counts only if it looks random.
    """
    lowered = text.lower()
    for start, end in _named(lowered):
        for match in GIVEN.finditer(lowered, start, end):
            if rule := _given(match, text, config_file):
                yield match.start(), rule
        if lowered.find(b"==", start, end) < 0 and lowered.find(b"!=", start, end) < 0:
            continue
        for match in COMPARED.finditer(text, start, end):
            if rule := _judged(match, match["quoted"], loose=True):
                yield match.start(), rule
    for match in URL.finditer(text) if b"://" in text else ():
        if not _harmless(match["password"]):
            yield match.start(), IN_URL


def _named(lowered: bytes) -> Iterator[tuple[int, int]]:
    """(start, end) of each line that may name a credential, of text in lower case."""
    ends = set()
    for mark in MARKS:
        at = lowered.find(mark)
        while at >= 0:
            end = lowered.find(b"\n", at)
            ends.add(end := len(lowered) if end < 0 else end)
            at = lowered.find(mark, end)
    for end in sorted(ends):
        yield lowered.rfind(b"\n", 0, end) + 1, end


def _given(match: re.Match[bytes], text: bytes, config_file: bool) -> str:
    """The rule that a value given to a name meets; empty if it is no secret. The match is of `text` in lower case."""
    if _ABOUT.search(match["tail"]) or _HASHED.search(text, max(0, match.start() - 20), match.start()):
        return ""
    quoted = match["quoted"] is not None
    value = text[slice(*match.span("quoted"))] if quoted else text[slice(*match.span("bare"))].rstrip(b".:")
    scheme = (match["scheme"] or b"").strip(b"'\"")
    if scheme == b"basic":
        return PASSWORD if _basic(value) else ""
    if not quoted and text[match.end() : match.end() + 1] in (b"(", b"["):
        return ""  # a call, an index
    operator = match["operator"]
    if not quoted:
        loose = config_file and operator not in (b"", b">")
    else:
        loose = operator != b"(" or b"." not in match["tail"]
    return _judged(match, value, loose=loose)


def _judged(match: re.Match[bytes], value: bytes, *, loose: bool) -> str:
    """The rule that a value meets; a `loose` one need not look random beside a password's name."""
    if _REFERENCE.search(value) or _UUID.search(value) or is_documented(value):
        return ""
    text = value.decode("utf-8", "replace")
    kind = next(kind for kind in _FEWEST if match[kind])
    if reads_like_words(text) or len(value) < (_FEWEST[kind] if loose else _BARE):
        return ""
    if kind == "password" and loose:
        return PASSWORD
    return RANDOM if looks_random(text) else ""


def looks_random(text: str) -> bool:
    """Letters and digits mixed as a generator does it, or letters in pairs that words do not hold.

    >>> looks_random("Zk29xQ0vTt7RmA1c"), looks_random("curve25519.PrivateKeyV2"), looks_random("mzQkVxTjHwGbXqLp")
    (True, False, True)
    """
    if len(set(text)) < _VARIED or not text.isascii():
        return False
    turns = sum(a.isdigit() != b.isdigit() for a, b in pairwise(text) if a.isalnum() and b.isalnum())
    strange = strange_pairs(text)
    if turns >= _TURNS:
        return turns >= len(text) / 5 or strange > 0
    return _SOLID.fullmatch(text) is not None and strange >= max(2, len(text) / 12)


def _harmless(password: bytes) -> bool:
    plain = _ESCAPE.sub(b"", password)
    return (
        bool(_REFERENCE.search(plain)) or is_documented(password) or reads_like_words(plain.decode("utf-8", "replace"))
    )


def _basic(value: bytes) -> bool:
    """Whether base64 of 'user:password' holds a password that does not read like words."""
    try:
        _, colon, password = base64.b64decode(value + b"=" * (-len(value) % 4)).partition(b":")
    except (binascii.Error, ValueError):
        return False
    return bool(colon) and not _harmless(password)
