"""`notifier check` of a store's URL: PostgreSQL's own library judges the parameters, without a connection."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from notifier.cli.root import app

REST = "providers: {videos: {api_key: '${UNSET}'}}\nwebhooks: {secret: '${UNSET}'}\n"


@pytest.mark.parametrize(
    ("parameters", "code", "says"),
    [
        ("?sslmode=verify-full&connect_timeout=3", 0, ""),
        ("?sslmod=verify-full", 78, "has a parameter that PostgreSQL does not know: sslmod; correct it"),
        ("?planted-name=1", 78, "is no URL that PostgreSQL understands"),
    ],
)
def test_a_parameter_that_does_not_exist_is_told(tmp_path: Path, parameters: str, code: int, says: str) -> None:
    """A run would fail with it; the password stays out of the text, and so does what may be a part of one."""
    config = tmp_path / "config.yaml"
    config.write_text(f"store: {{url: 'postgresql://notifier:planted@127.0.0.1:1/jobs{parameters}'}}\n{REST}")
    result = CliRunner().invoke(app, ["check", "--config", str(config)])
    assert (result.exit_code, result.stdout) == (code, "" if code else "OK\n")
    assert says in result.stderr
    assert "planted" not in result.stderr
