"""Where results are saved: what may be written, and what is said of what may not."""

import pytest

from notifier.config import archive


def of(settings_of, least, text):
    return settings_of(f"{least}archive: {text}\n").archive


def test_without_the_section_nothing_is_saved(settings_of, least):
    """Also when it says so."""
    assert settings_of(least).archive is None
    assert of(settings_of, least, "null") is None


def test_a_folder_is_enough(settings_of, least):
    """Everything else has its default."""
    found = of(settings_of, least, "{url: file:///var/lib/notifier/results/}")
    assert found.url == "file:///var/lib/notifier/results"
    assert (found.max_size, found.timeout, found.concurrency, found.retention) == (2 * 1024**3, 1800.0, 4, None)
    assert (found.notify, found.wait, found.deadline, found.spool) == ("after", 600.0, 86_400.0, None)
    assert found.link_ttl == 7 * 86_400.0


def test_every_setting_can_be_given(settings_of, least):
    """And null where the default is none."""
    text = "{url: 's3://bucket/a/b', max_size: 10MiB, retention: 90d, notify: at_once, spool: /tmp/x, wait: 5}"
    found = of(settings_of, least, text)
    assert (found.url, found.max_size, found.retention) == ("s3://bucket/a/b", 10 * 1024**2, 90 * 86_400.0)
    assert (found.notify, found.spool, found.wait) == ("at_once", "/tmp/x", 5.0)
    found = of(settings_of, least, "{url: 'gs://bucket', retention: null, spool: null}")
    assert (found.retention, found.spool) == (None, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "5:10: archive.url: is missing (say where, as in file:///var/lib/notifier/results)"),
        ("{url: results}", "5:16: archive.url: 'results' is no place for files (write file:///var/lib"),
        ("{url: 'ftp://host/x'}", "5:16: archive.url: 'ftp://host/x' is no place for files"),
        ("{url: 'file://results'}", "5:16: archive.url: 'file://results' is not file:// and an absolute path"),
        ("{url: 'file:///'}", "5:16: archive.url: 'file:///' is not file:// and an absolute path"),
        ("{url: 'file:///a/../b'}", "5:16: archive.url: 'file:///a/../b' is not file:// and an absolute path"),
        ("{url: 'file:///a/%2e%2e/b'}", "5:16: archive.url: 'file:///a/%2e%2e/b' is not file:// and"),
        ("{url: 'file:///a?b'}", "5:16: archive.url: 'file:///a?b' is no place for files"),
        ("{url: 's3://'}", "5:16: archive.url: does not name a bucket (write file:///"),
        ("{url: 's3://key:secret@bucket'}", "5:16: archive.url: does not name a bucket"),
        ("{url: 'file:///a', max_size: 2GB}", "5:39: archive.max_size: '2GB' is not a size (write 64KiB"),
        ("{url: 'file:///a', notify: never}", "5:37: archive.notify: 'never' is not one of after, at_once"),
        ("{url: 'file:///a', spool: ''}", "5:36: archive.spool: is not the path of a folder"),
        ("{url: 'file:///a', wait: 0}", "5:35: archive.wait: 0 is too short"),
        ("yes", "5:10: archive: "),
    ],
)
def test_what_is_wrong_is_said_at_its_place(problems_in, least, text, problem):
    """One problem each, with what would be right."""
    (found,) = problems_in(f"{least}archive: {text}\n")
    assert found.startswith(problem), found


def test_a_bucket_without_its_extra_names_the_command(problems_in, least, monkeypatch):
    """`check` and `run` say so before anything is saved."""
    monkeypatch.setattr(archive, "find_spec", lambda name: None)
    (found,) = problems_in(f"{least}archive: {{url: 's3://bucket'}}\n")
    assert "pip install 'webhook-notifier[archive]'" in found


def test_receivers_may_reach_the_intake_somewhere(settings_of, least):
    """Without the slash at the end; none by default."""
    assert settings_of(least).intake.public_url is None
    found = settings_of(f"{least}intake: {{public_url: 'https://notifier.example.com/'}}\n")
    assert found.intake.public_url == "https://notifier.example.com"
