"""Secrets: every documented form is found wherever it stands, values count beside words of credentials, ids do not."""

import hashlib
import json
import random
import re
import string
from collections import defaultdict
from re import _parser

import pytest
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.plugins.base import RegexBasedDetector
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.planted import DATA, made_up, planted
from pipeline.script.secrets import credentials, find_secrets, secret_filter
from pipeline.script.secrets.placeholders import is_placeholder_text, reads_like_words
from pipeline.script.secrets.token_formats import formats

RNG = random.Random(7)
HEX = "0123456789abcdef"
LOWER = string.ascii_lowercase + string.digits


def token(length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(RNG.choices(alphabet, k=length))


# assembled here, so that no scanner takes this file for a leak
SECRETS = {
    "artifactory": f'"AKC{token(12)}"',
    "aws": "AKIA" + token(16, string.ascii_uppercase),
    "aws secret": f"aws_secret_key = '{token(40)}'",
    "azure": "AccountKey=" + token(86) + "==",
    "basic auth": "https://admin:" + "k9" + token(8) + "@example.org/",
    "discord": "M" + token(24) + "." + token(6) + "." + token(27),
    "github": "ghp_" + token(36),
    "gitlab": "glpat-" + token(20),
    "ibm cloud": f"ibm_cloud_iam_api_key = {token(44)}",
    "ibm cos": f"cos_hmac_secret_access_key = {token(48, HEX)}",
    "jwt": "eyJhbGciOiJIUzI1NiJ9" + ".eyJ4Ijo0Mn0." + token(43),
    "mailchimp": token(32, HEX) + "-us12",
    "npm": "//registry.npmjs.org/:_authToken=npm_" + token(36),
    "openai": "sk-" + token(20) + "T3BlbkFJ" + token(20),
    "private key": "-----BEGIN RSA PRIVATE " + "KEY-----",
    "pypi": "pypi-AgEIcHlwaS5vcmc" + token(80),
    "sendgrid": "SG." + token(22) + "." + token(43),
    "slack": "xoxb-" + "1234567890-" + token(24, LOWER),
    "softlayer": f"sl_api_key = {token(64, LOWER)}",
    "square": "sq0csp-" + token(43),
    "stripe": "sk_live_" + token(24),
    "telegram": "110201543:" + token(35),
    "twilio": "AC" + token(32, LOWER),
    "keyword": "password = 'hunter2" + "xq'",
}
PLANTED = defaultdict(list)
for kind, *where in planted():
    PLANTED[kind].append(where)


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_found(kind):
    assert secret_filter([b"harmless", f"    {SECRETS[kind]}".encode()]) == (False, "secret")


def test_every_kind_of_detect_secrets_has_a_line_here():
    plugins = [kind() for kind in get_mapping_from_secret_type_to_class().values()]
    patterns = [plugin for plugin in plugins if isinstance(plugin, RegexBasedDetector)]
    missed = [p.secret_type for p in patterns if not any([*p.analyze_string(line)] for line in SECRETS.values())]
    # version numbers look like addresses; Cloudant is a form of ours
    assert missed == ["Cloudant Credentials", "Public IP (ipv4)"]


@pytest.mark.parametrize("kind", PLANTED)
def test_a_token_of_a_documented_form_is_found_wherever_it_stands(kind):
    missed = [
        (form, place)
        for form, place, line, path in PLANTED[kind]
        if kind not in {rule for _, rule in find_secrets([b"before", line, b"after"], path)}
    ]
    assert not missed


def test_there_are_many_kinds_each_with_its_source():
    entries = json.loads(DATA.read_text())["formats"]
    assert len(entries) >= 25
    assert all(re.match(r"https://[\w.-]+/", entry["source"]) and entry["forms"] for entry in entries)
    assert len({entry["kind"] for entry in entries}) == len(entries)


def repeats(pattern: re.Pattern[bytes]):
    """The largest count of each repetition of a pattern."""
    stack = [_parser.parse(pattern.pattern, pattern.flags)]
    while stack:
        for operation, argument in stack.pop():
            if "REPEAT" in str(operation):
                yield argument[1]
                stack.append(argument[2])
            elif str(operation) == "BRANCH":
                stack += argument[1]
            elif str(operation) in ("SUBPATTERN", "ASSERT", "ASSERT_NOT"):
                stack.append(argument[-1])


def test_no_pattern_can_run_away():
    patterns = [form.pattern for forms in formats() for form in forms]
    patterns += [credentials.GIVEN, credentials.COMPARED, credentials.URL]
    assert len(patterns) > 200
    assert max(count for pattern in patterns for count in repeats(pattern)) <= 4_000


PIECES = (
    "Password PWD Api_Key TOKEN auth Secret CONTRASE\u00d1A Bearer basic = == != := => ( ' \" ` [0] \\ . : K9tZ Qx7 \n"
)


@given(st.lists(st.sampled_from([*PIECES.split(" "), " ", "hunter2xQ"]), max_size=24).map("".join))
def test_lower_case_finds_what_ignoring_case_does(text: str) -> None:
    line = text.encode()
    ignoring = re.compile(credentials.GIVEN.pattern, re.IGNORECASE)
    assert [m.span() for m in credentials.GIVEN.finditer(line.lower())] == [m.span() for m in ignoring.finditer(line)]
    assert not credentials.COMPARED.search(line) or b"==" in line or b"!=" in line


@pytest.mark.parametrize(
    "line",
    [
        "x = 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'",
        f"blob = '{token(64, HEX)}'",
        f"assert id == '{token(40, HEX)}'",
        f"sha256: {token(64, HEX)}",
        f'"integrity": "sha512-{token(86)}=="',
        f"x = '{token(40)}'",
        f"rev: {token(40, HEX)}",
        f"- uses: actions/checkout@{token(40, HEX)}",
        f'tokens = ["{token(12)}"]',
        f"https://x.org/{token(40, HEX)}.png",
        f"password_hash = '{token(40, HEX)}'",
        f'"hashed_secret": "{token(40, HEX)}"',
        f"PublicKeyToken={token(16, HEX)}",
        "x = '123e4567-e89b-12d3-a456-426614174000'",
        "password = '123e4567-e89b-12d3-a456-426614174000'",
        f'"lib/password.rb": "{token(40, HEX)}"',
        f"etag = '{token(32, HEX)}'",
        "version 1.2.3.4",
        "",
        "import secrets",
        "x = 'abcdefghijklmnopqrstuvwxyz'",
        f"cache-key: v1-{token(40, HEX)}",
        f"data:image/png;base64,{token(200)}",
    ],
)
def test_object_ids_checksums_and_data_are_no_secrets(line):
    assert secret_filter([line]) == (True, "")
    assert secret_filter([line], b"conf/app.yml") == (True, "")


@pytest.mark.parametrize(
    "line",
    [
        "password = 'password'",
        'secret_key = "secret-key"',
        "app_secret = 'YOUR_APP_SECRET'",
        "SECRET_KEY = 'dev'",
        "http://user:pass%20pass@host/",
        "password = os.environ['PASSWORD']",
        "password = '${PASSWORD}'",
        "app.secret_key = 'testkey'",
        "password: {{ vault.password }}",
        "password=<password>",
        "PASSWORD='p@ssw0rd'",
        "secret = 'not-a-very-good-secret'",
        "password = 's3cr3t'",
        "client_secret: 'notsosecret'",
        "pwd: 12345678",
        "token = curve25519.PrivateKeyV2(x)",
        "token := jwtTestEC256PrivateKey",
        "secret: ${{ secrets.PYPI_TOKEN }}",
        "password_field = 'input-24b'",
        "API_KEY=xxxxxxxxxxxxxxxxxxxx",
        "https://user:password@example.org",
        "http://a:b@c",
        "Authorization: Bearer <token>",
        "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "api_key: '...'",
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + "x" * 36,
        "AIza" + "a" * 35,
        "sk-ant-api03-" + "." * 40,
        "-----BEGIN RSA PRIVATE " + "KEY-----\\n...",
        "hf_" + "abcdefghijklmnopqrstuvwxyzabcdefgh",
        "eyJhbGciOiJub25lIn0" + ".eyJmb28iOiJiYXIiLCJleHAiOjE1MDB9." + token(43),  # {"foo": "bar", "exp": 1500}
        "access_token=2YotnFZFEjr1" + "zCsicMWpAA",  # RFC 6749
    ],
)
def test_placeholders_and_words_are_no_secrets(line):
    assert secret_filter([line]) == (True, "")


@pytest.mark.parametrize(
    "line",
    [
        "password = 'k9Xq2Lm7'",
        '"password": "k9Xq2Lm7",',
        "<password>q8Zk29xQ0vTt7RmA1c</password>",
        "db.pass='x7Kq-92z'",
        f"API_KEY={token(32)}",
        f"api-key: {token(32)}",
        f"set_token('{token(32)}')",
        f"Authorization: Bearer {token(40)}",
        f"--password {token(24)}",
        f"if ('{token(20)}' == secret)",
        f"?access_token={token(40, HEX)}&x=1",
        "Authorization: Basic YWRtaW46azlYcTJMbTc=",
        "postgres://app:k9Xq2Lm7@db/app",
        f'("api_key", "{token(32)}")',
        f"const token = `{token(40)}`;",
        f"contraseña = '{token(12)}'",
        f'secretAccessKey: \\"{token(40)}\\"',
    ],
)
def test_a_random_value_beside_a_word_of_credentials_is_found(line):
    assert secret_filter([line]) == (False, "secret")


@pytest.mark.parametrize("path", [b"conf/app.yml", b".env", b"a/.env.local", b"setup.cfg", b"x.properties", b"X.TOML"])
def test_configuration_files_need_no_quotes(path):
    line = [b"password: hunter2xq"]
    assert secret_filter(line, b"app.py") == (True, "")
    assert secret_filter(line, path) == (False, "secret")


def test_a_remark_does_not_excuse_a_secret():
    assert not secret_filter([SECRETS["stripe"] + "  # pragma: allowlist secret"])[0]


def test_a_secret_deep_in_a_long_line_is_found():
    assert not secret_filter(["x " * 30_000 + SECRETS["github"] + " y" * 30_000])[0]
    assert not secret_filter(["x" * 60_000 + "," + SECRETS["keyword"] + "y" * 60_000])[0]
    assert secret_filter(["x " * 100_000])[0]


def test_a_token_may_be_longer_than_its_form():
    assert not secret_filter(["ghp_" + token(250)])[0]
    assert not secret_filter(["X=sk-ant-api03-" + token(93) + "AA"])[0]


def test_base64_of_a_certificate_holds_no_token_by_chance():
    rng = random.Random(5)
    alphabet = string.ascii_letters + string.digits + "+/"
    lines = ["".join(rng.choices(alphabet, k=64)) for _ in range(20_000)]
    assert [*find_secrets([line.encode() for line in lines])] == []
    assert secret_filter(["AKC" + token(61)])[0]


def test_what_only_contains_the_start_of_a_form_is_none():
    assert secret_filter(["disk-" + token(30, LOWER)])[0]
    assert secret_filter([token(30) + "AKIA" + token(30)])[0]
    assert secret_filter(["SK" + token(40, LOWER)])[0]


def test_the_line_of_each_finding_is_told_and_never_its_value():
    lines = ["\u0130\u0130\u0130 \u00df", "", SECRETS["aws"], "two\nlines", SECRETS["slack"], "end"]
    assert {line for line in lines if secret_filter([line]) != (True, "")} == {SECRETS["aws"], SECRETS["slack"]}
    assert [*find_secrets([b"a", SECRETS["aws"].encode()])] == [(1, "AWS access key id")]


@given(st.lists(st.sampled_from([b"", b"harmless", *(line.encode() for line in SECRETS.values())]), max_size=6))
def test_what_a_line_holds_is_told_by_the_line_alone(lines):
    together = {number for number, _ in find_secrets(lines)}
    assert together == {number for number, line in enumerate(lines) if [*find_secrets([line])]}


def test_nothing_is_verified_over_the_network(monkeypatch):
    import socket

    def refuse(*arguments: object) -> None:
        raise AssertionError("network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert not any(secret_filter([line])[0] for line in SECRETS.values())


@pytest.mark.parametrize("value", ["keykeykey7x", "hunter2xq", "xkqzvbn", "dev4q7z"])
def test_a_word_that_only_begins_like_a_placeholder_counts(value):
    assert secret_filter([f"secret_key = '{value}'"]) == (False, "secret")


@pytest.mark.parametrize("value", ["testhunter", "correct horse battery staple", "letmein2024", "MyVeryGoodPassword"])
def test_words_are_told_from_random_letters(value):
    assert reads_like_words(value)


def test_random_values_do_not_read_like_words():
    values = [token(12) for _ in range(500)]
    assert sum(map(reads_like_words, values)) <= 5
    assert not any(map(is_placeholder_text, values))


def test_documented_examples_are_kept_as_hashes_alone():
    data = json.loads(DATA.with_name("placeholders.json").read_text())
    assert all(re.fullmatch("[0-9a-f]{24}", value) for value in data["documented"])
    assert hashlib.sha256(b"vF9dft4qmT").hexdigest()[:24] in data["documented"]


def test_forms_are_made_up_as_they_are_read():
    rng = random.Random(1)
    assert re.fullmatch(
        "ab[0-9]{3}[xy]-[0-9a-f]{2}", made_up("ab{digit:3}[xy]-{hex:2-9}", {"digit": "0-9", "hex": "0-9a-f"}, rng)
    )
