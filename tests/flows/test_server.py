"""Addresses of Prefect's API."""

import pytest

from flows.address import DEFAULT, answers
from flows.serve import configured_address, running_server
from flows.server import free_port
from schema.errors import ConfigError


def test_nobody_answers_at_a_free_port():
    assert not answers(f"http://127.0.0.1:{free_port()}/api", 0.5)
    assert not answers("nonsense")


def test_the_address_comes_from_the_environment_then_prefect_toml_then_the_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert configured_address() == DEFAULT
    (tmp_path / "prefect.toml").write_text('[api]\nurl = "http://127.0.0.1:4999/api"\n')
    assert configured_address() == "http://127.0.0.1:4999/api"
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:5000/api")
    assert configured_address() == "http://127.0.0.1:5000/api"


def test_a_far_server_that_is_down_is_not_started_here(monkeypatch):
    monkeypatch.setattr("flows.address.answers", lambda url: False)
    with pytest.raises(ConfigError, match="start it there"), running_server("http://192.0.2.1:4200/api"):
        pass
