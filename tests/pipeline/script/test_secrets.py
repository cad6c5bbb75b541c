"""Secrets: every detector's finding passes the fast pattern, placeholders do not count, nothing is told."""

import random
import string

import pytest

from pipeline.script.secrets import _detect, _detectors, _suspects, secret_filter

RNG = random.Random(7)


def token(length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(RNG.choices(alphabet, k=length))


HEX = "0123456789abcdef"
LOWER = string.ascii_lowercase + string.digits
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
    "base64": f"x = '{token(40)}'",
    "hex": f"x = '{token(40, HEX)}'",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_found(kind):
    assert secret_filter([b"harmless", f"    {SECRETS[kind]}".encode()]) == (False, "secret")


@pytest.mark.parametrize("kind", SECRETS)
def test_the_fast_pattern_lets_every_detectors_finding_pass(kind):
    line = SECRETS[kind]
    detectors = _detectors()
    found = [p for p in (*detectors.pattern, *detectors.entropy, detectors.keyword) if [*p.analyze_string(line)]]
    assert found
    assert _suspects(["before", line, "after"]) == [line]


@pytest.mark.parametrize(
    "line",
    [
        "password = 'password'", 'secret_key = "secret-key"', "app_secret = 'YOUR_APP_SECRET'",
        "http://user:pass%20pass@host/", "password = os.environ['PASSWORD']", "password = '${PASSWORD}'",
        "x = '123e4567-e89b-12d3-a456-426614174000'", f"etag = '{token(32, HEX)}'", "import secrets",
        "x = 'abcdefghijklmnopqrstuvwxyz'", "version 1.2.3.4", "", "app.secret_key = 'testkey'", "SECRET_KEY = 'dev'",
    ],
)  # fmt: skip
def test_what_is_no_secret(line):
    assert secret_filter([line]) == (True, "")


def test_configuration_files_need_no_quotes():
    line = [b"password: hunter2xq"]
    assert secret_filter(line) == (True, "")
    assert secret_filter(line, b"conf/app.yml") == (False, "secret")


def test_a_remark_does_not_excuse_a_secret():
    assert not secret_filter([SECRETS["stripe"] + "  # pragma: allowlist secret"])[0]


def test_a_secret_deep_in_a_long_line_is_found():
    assert not secret_filter(["x " * 30_000 + SECRETS["github"] + " y" * 30_000])[0]
    assert secret_filter(["x " * 100_000])[0]


def test_a_found_line_is_not_remembered_as_clean():
    line = [SECRETS["aws"]]
    assert secret_filter(line) == secret_filter(line) == (False, "secret")


def test_nothing_is_verified_over_the_network(monkeypatch):
    import socket

    def refuse(*arguments: object) -> None:
        raise AssertionError("network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert all(_detect(line, False) for line in SECRETS.values())


def test_the_right_lines_are_suspects_whatever_stands_before_them():
    lines = ["\u0130\u0130\u0130 \u00df", "", SECRETS["aws"], "two\nlines", SECRETS["slack"], "end"]
    assert _suspects(lines) == [SECRETS["aws"], SECRETS["slack"]]


@pytest.mark.parametrize("value", ["testhunter", "devq7", "keykeykey7x"])
def test_a_word_that_only_begins_like_a_placeholder_counts(value):
    assert secret_filter([f"secret_key = '{value}'"]) == (False, "secret")
