"""What is wrong with settings: every kind of mistake with its place, its path and what would be right."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.config import Loaded, Rejected, parse
from notifier.config.fields import task_id
from notifier.config.problem import Substituted, did_you_mean, shown, write_path
from notifier.config.tree import MOST_READINGS
from tests.thoroughness import examples

A_DURATION = "is not a duration (write 250ms, 30s, 5m, 2h, 7d or a plain number of seconds)"

TENANT = "intake: {tokens: [{name: x, token: a, callback_prefixes:"
PREFIX = "intake.tokens[0].callback_prefixes[0]: is no prefix of callback URLs:"

# What follows the shortest right file, whose last line is the fourth.
ADDED = [
    # durations, rates and numbers
    ("store: {retention: 10:30}", f"5:20: store.retention: '10:30' {A_DURATION}"),
    ("store: {retention: 010}", f"5:20: store.retention: '010' {A_DURATION}"),
    ("store: {retention: on}", f"5:20: store.retention: 'on' {A_DURATION}"),
    ("store: {retention: true}", f"5:20: store.retention: true {A_DURATION}"),
    ("store: {retention: [1]}", f"5:20: store.retention: a list {A_DURATION}"),
    ("store: {retention: {}}", f"5:20: store.retention: a mapping {A_DURATION}"),
    ("store:\n  retention:", f"6:13: store.retention: an empty value {A_DURATION}"),
    ("store: {retention: 9ms}", "5:20: store.retention: '9ms' is too short (at least 10ms)"),
    ("store: {retention: 1e9}", None),
    ("store: {retention: 1e300}", "5:20: store.retention: 1e+300 is too long (at most 36500d)"),
    ("  retry: [5s, soon]", f"5:15: webhooks.retry[1]: 'soon' {A_DURATION}"),
    ("  retry: 5s", "5:10: webhooks.retry: '5s' is not a list (write [first, second], or [] for none)"),
    ("  retry: [" + "1s," * 1001 + "]", "5:10: webhooks.retry: has 1001 items (at most 1000)"),
    ("  retry: [" + "1s," * 1000 + "]", None),
    ("  retry: []", None),
    ("  refresh_after: 0", None),
    ("  refresh_after: ${ZERO}", None),
    ("  refresh_after: false", f"5:18: webhooks.refresh_after: false {A_DURATION}"),
    ("  refresh_after: never", f"5:18: webhooks.refresh_after: 'never' {A_DURATION}"),
    ("  refresh_after: 9ms", "5:18: webhooks.refresh_after: '9ms' is too short (at least 10ms)"),
    ("  per_host: 0", "5:13: webhooks.per_host: 0 is not a whole number in range (write 1 to 1000)"),
    ("  per_host: 1001", "5:13: webhooks.per_host: 1001 is not a whole number in range (write 1 to 1000)"),
    ("  per_host: eight", "5:13: webhooks.per_host: 'eight' is not a whole number in range (write 1 to 1000)"),
    ("  per_host: 1", None),
    ("  per_host: 1000", None),
    ("  per_host: 8.0", "5:13: webhooks.per_host: 8.0 is not a whole number in range (write 1 to 1000)"),
    ("  per_host: true", "5:13: webhooks.per_host: true is not a whole number in range (write 1 to 1000)"),
    ("  per_host: '8'", "5:13: webhooks.per_host: '8' is not a whole number in range (write it without quotes)"),
    ("  per_host: ${EIGHT}", None),
    ("  per_host: ${WORD}", "5:13: webhooks.per_host: the value of '${WORD}' is not a whole number in range (writ"),
    ("  timeout: ${WORD}", f"5:12: webhooks.timeout: the value of '${{WORD}}' {A_DURATION}"),
    ("  timeout: ${NO}", "5:12: webhooks.timeout: the environment variable NO is not set (set it, or"),
    ("  timeout: ${", "5:12: webhooks.timeout: has a ${ without a variable's name"),
    # structure
    ("  tmeout: 5s", "5:3: webhooks.tmeout: unknown key (did you mean 'timeout'?)"),
    ("  secret_fil: x", "5:3: webhooks.secret_fil: unknown key (did you mean 'secret_file'?)"),
    ("Store: {}", "5:1: Store: unknown key (did you mean 'store'?)"),
    ("quux: 1", "5:1: quux: unknown key (known here: store, intake, providers, webhooks, archive, endpoints"),
    ("store: []", "5:8: store: a list is not a mapping (write the settings below it, or remove the line)"),
    ("store:", "5:7: store: an empty value is not a mapping (write the settings below it, or remove the line)"),
    ("watches: {}", "5:10: watches: a mapping is not a list (write [first, second], or [] for none)"),
    ("watches:\n  - x", "6:5: watches[0]: 'x' is not a mapping (write the settings below it, or remove the line)"),
    ("log: {}\nlog: {}", "6:1: log: is given twice (first in line 5; keep one)"),
    # store, log, node
    ("store: {url: 5}", "5:14: store.url: 5 is not text (put it in quotes)"),
    ("store: {url: notifier.db}", "5:14: store.url: is not the URL of a store (write sqlite:///notifier.db; an ab"),
    ("store: {url: 'postgresql://u:p%40@h:5432,i/d?sslmode=require'}", None),
    ("store: {url: 'postgres:///d?host=/run/postgresql'}", None),
    ("store: {url: 'postgresql+psycopg://h/d'}", "5:14: store.url: names a driver, which is not yours to choose"),
    ("store: {url: 'postgresql://u:p@h'}", "5:14: store.url: is not postgresql://user:password@host/database; in"),
    ("store: {url: 'postgresql://u:p@h/'}", "5:14: store.url: is not postgresql://user:password@host/database; in"),
    ("store: {url: 'postgresql://u:p@q@h/d'}", "5:14: store.url: is not postgresql://user:password@host/database;"),
    ("store: {url: 'postgresql://u:p#q@h/d'}", "5:14: store.url: is not postgresql://user:password@host/database;"),
    ("store: {url: 'postgresql://u:p/q@h/d'}", "5:14: store.url: is not postgresql://user:password@host/database;"),
    ("store: {url: 'postgresql://u:100%@h/d'}", "5:14: store.url: is not postgresql://user:password@host/database"),
    ("store: {url: 'postgresql://u:p q@h/d'}", "5:14: store.url: is not postgresql://user:password@host/database;"),
    ("store: {url: 'sqlite://'}", "5:14: store.url: names no file, and a store in memory would forget every watch"),
    ("store: {url: 'sqlite:///'}", "5:14: store.url: names no file"),
    ("store: {url: 'sqlite:///:memory:'}", "5:14: store.url: names no file"),
    ("store: {url: 'sqlite:///file:x?mode=memory'}", "5:14: store.url: names no file"),
    ("store: {url: 'sqlite:///x?y=1'}", "5:14: store.url: is not sqlite:/// and a path, without parameters"),
    ("store: {url: 'sqlite:///x#y'}", "5:14: store.url: is not sqlite:/// and a path, without parameters"),
    ('store: {url: "sqlite:///x\\ny"}', "5:14: store.url: is not sqlite:/// and a path, without parameters"),
    ("store: {url: 'sqlite://host/x'}", "5:14: store.url: is not sqlite:/// and a path, without parameters"),
    ("store: {url: 'sqlite:////var/lib/notifier/notifier.db'}", None),
    ("log: {level: warn}", "5:14: log.level: 'warn' is not one of debug, info, warning, error (did you mean 'warn"),
    ("log: {level: INFO}", "5:14: log.level: 'INFO' is not one of debug, info, warning, error (did you mean 'info"),
    ("log: {format: 5}", "5:15: log.format: 5 is not one of auto, console, journald, json (known here: auto, cons"),
    ("node: {name: ''}", "5:14: node.name: '' is not a name (write 1 to 200 printable characters)"),
    ('node: {name: "a\\nb"}', "5:14: node.name: 'a\\nb' is not a name"),
    ("node: {name: " + "x" * 201 + "}", "5:14: node.name: '" + "x" * 60 + "'… is not a name"),
    ("node: {name: " + "x" * 200 + "}", None),
    ("node: {name: 5}", "5:14: node.name: 5 is not text (put it in quotes)"),
    ("node: {name: null}", "5:14: node.name: an empty value is not text"),
    # intake
    ("intake: {listen: 8470}", "5:18: intake.listen: 8470 is no place to listen (write 127.0.0.1:8470, [::1]:8470"),
    ("intake: {listen: ':8470'}", "5:18: intake.listen: ':8470' has no host (write 0.0.0.0 or [::] for all addres"),
    ("intake: {listen: '*:8470'}", "5:18: intake.listen: '*:8470' has no host"),
    ("intake: {listen: 'localhost'}", "5:18: intake.listen: 'localhost' is no place to listen"),
    ("intake: {listen: 'localhost:http'}", "5:18: intake.listen: the port of 'localhost:http' is not a number fro"),
    ("intake: {listen: 'localhost:65536'}", "5:18: intake.listen: the port of 'localhost:65536' is not a number"),
    ("intake: {listen: '::1:8470'}", "5:18: intake.listen: '::1:8470' is no host:port (an IPv6 address goes into"),
    ("intake: {listen: '[::x]:1'}", "5:18: intake.listen: the host of '[::x]:1' is not an address"),
    ("intake: {listen: '127.0.1:1'}", "5:18: intake.listen: the host of '127.0.1:1' is not an address"),
    ("intake: {listen: 'http://x:1'}", "5:18: intake.listen: 'http://x:1' is no host:port"),
    ("intake: {listen: 'a b:1'}", "5:18: intake.listen: the host of 'a b:1' is neither a name nor an address"),
    ("intake: {listen: 'unix:'}", "5:18: intake.listen: unix: is not followed by a path"),
    (f"intake: {{listen: 'unix:/{'x' * 107}'}}", "5:18: intake.listen: the path is too long for a unix socket (at"),
    ("intake: {listen: '0.0.0.0:1'}", "5:9: intake.tokens: is needed when listening beyond this machine (give at"),
    ("intake:\n  listen: '[::]:1'\n  tokens: []", "7:11: intake.tokens: is needed when listening beyond this mach"),
    ("intake:\n  listen: example.com:1", "6:3: intake.tokens: is needed when listening beyond this machine"),
    ("intake: {tokens: [{token: x}]}", "5:19: intake.tokens[0].name: is missing (say whose token it is)"),
    ("intake: {tokens: [{name: x}]}", "5:19: intake.tokens[0].token: is missing (take it from the environment"),
    ("intake: {hosts: [proxy.example.com, LOCAL]}", None),
    ("intake: {hosts: [proxy.example.com:80]}", "5:18: intake.hosts[0]: 'proxy.example.com:80' is not the name of a"),
    ("intake: {hosts: ['*.example.com']}", "5:18: intake.hosts[0]: '*.example.com' is not the name of a host (write"),
    ("intake: {hosts: ['a..b']}", "5:18: intake.hosts[0]: 'a..b' is not the name of a host"),
    ("intake: {hosts: proxy}", "5:17: intake.hosts: 'proxy' is not a list"),
    ("intake: {hosts: [5]}", "5:18: intake.hosts[0]: 5 is not text (put it in quotes)"),
    (f"{TENANT} ['https://a.example/x/', 'http://10.0.0.1:8080']}}]}}", None),
    (f"{TENANT} []}}]}}", None),
    (f"{TENANT} 'https://a.example'}}]}}", "5:58: intake.tokens[0].callback_prefixes: 'https://a.example' is not a"),
    (f"{TENANT} [a.example]}}]}}", f"5:59: {PREFIX} this is not a whole URL; write it as https://host/path"),
    (f"{TENANT} ['https://a.example/?x']}}]}}", f"5:59: {PREFIX} has a query or a fragment (write the URL up to th"),
    (f"{TENANT} ['https://a.example/b/..']}}]}}", f"5:59: {PREFIX} has a dot segment in its path (write the path"),
    (f"{TENANT} ['https://u:p@a.example']}}]}}", f"5:59: {PREFIX} the URL has user information (user:password@)"),
    (
        "intake: {tokens: [{name: x, token: a}, {name: x, token: b}]}",
        "5:47: intake.tokens[1].name: is the same as in tokens[0] (keep one of them)",
    ),
    (
        "intake: {tokens: [{name: x, token: a}, {name: y, token: a}]}",
        "5:57: intake.tokens[1].token: is the same as that of tokens[0] (give each caller a token of its own)",
    ),
    # webhooks
    ("  allow_networks: [10.0.0.0/8, fd00::/8, 192.0.2.1]", None),
    ("  allow_networks: x\nendpoints: [{url: 'https://10.0.0.1/'}]", "5:19: webhooks.allow_networks: 'x' is not"),
    ("  allow_networks: [10.1.2.3/8]", "5:20: webhooks.allow_networks[0]: '10.1.2.3/8' names an address inside a"),
    ("  allow_networks: [intern]", "5:20: webhooks.allow_networks[0]: 'intern' is not a network (write 10.0.0.0/8"),
    ("  allow_networks: [10]", "5:20: webhooks.allow_networks[0]: 10 is not a network"),
    # endpoints
    ("endpoints: [{events: [task.failed]}]", "5:13: endpoints[0].url: is missing (write the callback URL that these"),
    ("endpoints: [{url: 'https://a.example/', events: []}]", "5:49: endpoints[0].events: is empty (give at least"),
    (
        "endpoints: [{url: 'https://a.example/', events: [task.complete]}]",
        "5:50: endpoints[0].events[0]: 'task.complete' is not one of task.completed, task.failed, task.abandoned",
    ),
    ("endpoints: [{url: 'ftp://a.example/'}]", "5:19: endpoints[0].url: ftp:// is not called"),
    ("endpoints: [{url: 'https://127.0.0.1/'}]", "5:19: endpoints[0].url: 127.0.0.1 is"),
    (
        "endpoints: [{url: 'https://a.example/'}, {url: 'https://a.example/'}]",
        "5:48: endpoints[1].url: is the same as in endpoints[0] (keep one of them)",
    ),
]

PROVIDERS = [
    ("{}", "1:12: providers: is empty (give at least one, or"),
    ("[]", "1:12: providers: a list is not a mapping"),
    ("{videos: null}", "1:21: providers.videos: an empty value is not a mapping"),
    ("{videos: {}}", "1:21: providers.videos.api_key: is missing (take it from the environment with ${NAME}, or g"),
    ("{'a b': {preset: videos, api_key: k}}", '1:13: providers["a b"]: is not a name for a provider (write up to 64'),
    ("{mine: {api_key: k}}", "1:19: providers.mine.preset: is missing (the provider's name is not that of a prese"),
    ("{mine: {preset: video, api_key: k}}", "1:28: providers.mine.preset: 'video' is not a preset (did you mean"),
    ("{mine: {preset: videos, api_key: k}}", None),
    ("{videos: {api_key: k, rate: 10}}", "1:40: providers.videos.rate: 10 is not a rate (write 10/s, 600/m or 360"),
    ("{videos: {api_key: k, rate: 100001/s}}", "1:40: providers.videos.rate: '100001/s' is too high (at most 1000"),
    ("{videos: {api_key: k, base_url: 'http://10.0.0.1:99/x/'}}", None),
    ("{videos: {api_key: k, base_url: x}}", "1:44: providers.videos.base_url: is not a URL to call (write https:/"),
    ("{videos: {api_key: k, base_url: 'https://'}}", "1:44: providers.videos.base_url: is not a URL to call"),
    ("{videos: {api_key: k, base_url: 'https://a/?x'}}", "1:44: providers.videos.base_url: has a query or a fragm"),
    ("{videos: {api_key: k, base_url: 'https://a/#x'}}", "1:44: providers.videos.base_url: has a query or a fragm"),
    ("{videos: {api_key: k, base_url: 'https://u:p@a/'}}", "1:44: providers.videos.base_url: has user information"),
    ("{videos: {api_key: k, base_url: 'https://u@a/'}}", "1:44: providers.videos.base_url: has user information"),
    ("{videos: {api_key: k, base_url: 'https://:p@a/'}}", "1:44: providers.videos.base_url: has user information"),
    ("{videos: {api_key: k, base_url: 'ftp://a/'}}", "1:44: providers.videos.base_url: is not a URL to call"),
    ('{videos: {api_key: k, base_url: "https://a/\\t"}}', "1:44: providers.videos.base_url: has white space or a"),
    ("{videos: {api_key: k, base_url: 'https://a:0/'}}", "1:44: providers.videos.base_url: has no valid host and port"),
    ("{videos: {api_key: k, base_url: 'https://a:x/'}}", "1:44: providers.videos.base_url: has no valid host and"),
    ("{videos: {api_key: k, base_url: 'https://[::x]/'}}", "1:44: providers.videos.base_url: has no valid host an"),
    ("{videos: {api_key: k, base_url: 'https://a b/'}}", "1:44: providers.videos.base_url: has white space or a c"),
    ("{videos: {api_key: k, interval: 100ms}}", None),
    ("{videos: {api_key: k, interval: auto}}", None),
    ("{videos: {api_key: k, interval: auto 1m30s}}", None),
    ("{videos: {api_key: k, interval: automatic}}", "1:44: providers.videos.interval: 'automatic' is not an interval"),
    ("{videos: {api_key: k, interval: AUTO}}", "1:44: providers.videos.interval: 'AUTO' is not an interval (write 30s"),
    ("{videos: {api_key: k, interval: auto 2x}}", f"1:44: providers.videos.interval: '2x' {A_DURATION}"),
    ("{videos: {api_key: k, min_interval: auto}}", f"1:48: providers.videos.min_interval: 'auto' {A_DURATION}"),
    ("{videos: {api_key: k, min_interval: 31s}}", None),
    ("{videos: {api_key: k, interval: x}}", f"1:44: providers.videos.interval: 'x' {A_DURATION}"),
    ("{videos: {api_key: k, min_interval: x}}", f"1:48: providers.videos.min_interval: 'x' {A_DURATION}"),
]

WATCHES = [
    ("{callback_url: 'https://a.example/'}", "5:11: watches[0].task_id: is missing (write the provider's id of th"),
    ("{task_id: a}", "5:11: watches[0].callback_url: is missing (write who is told how the task ended)"),
    ("{task_id: 123, CALL}", "5:21: watches[0].task_id: 123 is not text (put it in quotes)"),
    ("{task_id: 1e3, CALL}", "5:21: watches[0].task_id: 1000.0 is not text (put it in quotes)"),
    ("{task_id: 0777, CALL}", None),
    ("{task_id: '', CALL}", "5:21: watches[0].task_id: '' must have 1 to 512 characters (write the id that"),
    ("{task_id: " + "x" * 513 + ", CALL}", "5:21: watches[0].task_id: '" + "x" * 60 + "'… must have 1 to 512"),
    ("{task_id: " + "x" * 512 + ", CALL}", None),
    ("{task_id: .., CALL}", "5:21: watches[0].task_id: '..' must not be a path segment that means another path"),
    ('{task_id: "a\\tb", CALL}', "5:21: watches[0].task_id: 'a\\tb' must not hold control characters"),
    ("{task_id: a, CALL, provider: video}", "5:70: watches[0].provider: 'video' is not a provider of this file (d"),
    ("{task_id: a, CALL, provider: 5}", "5:70: watches[0].provider: 5 is not text (put it in quotes)"),
    ("{task_id: a, CALL, interval: 4s}", "5:70: watches[0].interval: 4s is below the provider's min_interval, 5s"),
    ("{task_id: a, CALL, interval: 5s}", None),
    ("{task_id: a, CALL, interval: auto}", f"5:70: watches[0].interval: 'auto' {A_DURATION}"),
    ("{task_id: a, CALL, interval: null}", f"5:70: watches[0].interval: an empty value {A_DURATION}"),
    ("{task_id: a, CALL, deadline: 1}", None),
    ("{task_id: a, CALL, metadata: [1]}", "5:70: watches[0].metadata: a list is not a mapping (write {name: value})"),
    ("{task_id: a, CALL, metadata: {k: " + "x" * 4088 + "}}", None),
    ("{task_id: a, CALL, metadata: {k: " + "x" * 4089 + "}}", "5:70: watches[0].metadata: takes 4097 bytes as JSO"),
    ("{task_id: a, CALL, metadata: {k: " + "ü" * 2045 + "}}", "5:70: watches[0].metadata: takes 4098 bytes as JSON"),
    ("{task_id: a, callback_url: 'http://a.example/'}", "5:38: watches[0].callback_url: plain http:// is only for"),
    ("{task_id: a, callback_url: 'https://u:p@a.example/'}", "5:38: watches[0].callback_url: the URL has user inf"),
    ("{task_id: a, callback_url: 'https://169.254.169.254/'}", "5:38: watches[0].callback_url: 169.254.169.254 is"),
    (
        "{task_id: a, CALL}, {task_id: a, CALL, provider: videos}",
        "5:61: watches[1]: is the same task and callback_url as watches[0] (keep one of them)",
    ),
    ("{task_id: a, CALL}, {task_id: b, CALL}", None),
    ("{task_id: a, CALL, vars: [a]}", "5:66: watches[0].vars: a list is not a mapping (write the settings"),
    ("{task_id: a, CALL, vars: {1a: b}}", "5:67: watches[0].vars.1a: is not the name of a variable (write "),
    ("{task_id: a, CALL, vars: {a: 1.50}}", "5:70: watches[0].vars.a: 1.5 is not text (put it in quotes)"),
    ("{task_id: a, CALL, vars: {a: true}}", "5:70: watches[0].vars.a: true is not text (put it in quotes)"),
    ("{task_id: a, CALL, vars: {a: [b]}}", "5:70: watches[0].vars.a: a list is not text"),
    ("{task_id: a, CALL, vars: {a: " + "x" * 513 + "}}", "5:70: watches[0].vars.a: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ("{task_id: a, CALL, vars: {region: eu}}", "5:67: watches[0].vars.region: is no variable of this provider (k"),
]


def expect(found, problem):
    if problem is None:
        assert found == []
    else:
        assert len(found) == 1, found
        assert found[0].startswith(problem)


@pytest.mark.parametrize(("added", "problem"), ADDED)
def test_a_wrong_setting_is_one_problem_at_its_place(problems_in, least, added, problem):
    """Each mistake is told once: the value's place, the key's for unknown and duplicate ones, else what is round it."""
    expect(problems_in(least + added + "\n", {"EIGHT": "8", "ZERO": "0", "WORD": "a-secret-word"}), problem)


@pytest.mark.parametrize(("providers", "problem"), PROVIDERS)
def test_a_wrong_provider_is_one_problem_at_its_place(problems_in, secret, providers, problem):
    """The same for what is under `providers`."""
    expect(problems_in(f"providers: {providers}\nwebhooks: {{secret: {secret}}}\n"), problem)


@pytest.mark.parametrize(("watches", "problem"), WATCHES)
def test_a_wrong_watch_is_one_problem_at_its_place(problems_in, least, watches, problem):
    """The same for what is under `watches`."""
    call = "callback_url: 'https://a.example/'"
    expect(problems_in(f"{least}watches: [{watches.replace('CALL', call)}]\n"), problem)


HEADERS = {
    "is set by Notifier itself": [
        *("webhook-id", "Webhook-X", "content-type", "Content-Anything"),
        *("Host", "User-Agent", "Accept-Encoding"),
    ],
    "belongs to the connection": [
        *("Connection", "keep-alive", "Proxy-Authorization", "TE", "Trailer"),
        *("Transfer-Encoding", "upgrade", "Expect"),
    ],
    "is not the name of a header": ["", "X Y", "X:", "Ü", '"X"'],
}


@pytest.mark.parametrize(("message", "name"), [(message, name) for message, names in HEADERS.items() for name in names])
def test_headers_that_are_not_the_endpoints_are_refused(problems_in, least, message, name):
    """What belongs to the delivery, to the connection or to no HTTP at all; the place is that of the header's name."""
    (found,) = problems_in(f"{least}endpoints: [{{url: 'https://a.example/', headers: {{'{name}': x}}}}]\n")
    assert found.startswith("5:51: endpoints[0].headers")
    assert f": {message}" in found


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("5", "is not text (put it in quotes)"),
        ("null", "is not text"),
        ('"a\\r\\nb"', "is not a header's value"),
        ('"a\\0"', "is not a header's value"),
        ("' a'", "is not a header's value"),
        ("ä", "is not a header's value"),
    ],
)
def test_values_that_no_header_can_have_are_refused(problems_in, least, value, message):
    """Line ends, NUL, other than ASCII and types other than text; the value itself is not shown."""
    (found,) = problems_in(f"{least}endpoints: [{{url: 'https://a.example/', headers: {{X-A: {value}}}}}]\n")
    assert found.startswith(f"5:56: endpoints[0].headers.X-A: {message}")


def test_the_same_header_twice_is_refused(problems_in, least):
    """Names that differ by case only are one header."""
    (found,) = problems_in(f"{least}endpoints: [{{url: 'https://a.example/', headers: {{X-A: a, x-a: b}}}}]\n")
    assert found == "5:50: endpoints[0].headers: 'x-a' and 'X-A' are the same header (keep one)"


def test_missing_sections_are_problems_of_the_whole_file(problems_in):
    """What must be given is named at the place where the file begins."""
    assert problems_in("\nlog: {}\n") == [
        "2:1: providers: is missing (name at least one, as in videos: {api_key: ${VIDEOS_API_KEY}})",
        "2:1: webhooks: is missing (events must be signed; begin with secret: ${WEBHOOK_SECRET})",
    ]


def test_several_providers_must_be_named_by_each_watch(problems_in, secret):
    """With one provider it is the default; with several there is none."""
    text = f"""\
        providers: {{videos: {{api_key: k}}, other: {{preset: videos, api_key: k, min_interval: 20s}}}}
        webhooks: {{secret: {secret}}}
        watches:
          - {{task_id: a, callback_url: "https://a.example/"}}
          - {{task_id: a, callback_url: "https://a.example/", provider: videos, interval: 6s}}
          - {{task_id: a, callback_url: "https://a.example/", provider: other, interval: 6s}}
        """
    assert [line.split(" (write")[0] for line in problems_in(text)] == [
        "4:5: watches[0].provider: is missing (there are several; name the one that runs the task)",
        "6:81: watches[2].interval: 6s is below the provider's min_interval, 20s",
    ]


def test_all_problems_are_told_in_one_run_in_the_order_of_the_file(problems_in):
    """No mistake hides another: not a neighbour, not what settings must agree on, not another section."""
    text = """\
        store: {url: 5, retention: x}
        webhooks: {secret: no, allow_networks: [x], tmeout: 1}
        providers:
          videos: {rate: x, interval: 2x, min_interval: 3s}
        intake: {listen: "0.0.0.0:1", tokens: [], x: 1}
        endpoints:
          - {url: "ftp://a.example/", events: [x], headers: {Host: x}}
          - {url: "ftp://b.example/", secrets: []}
        watches:
          - {task_id: 1, callback_url: "https://127.0.0.1/", interval: 2s}
          - {task_id: a, callback_url: "https://a.example/", deadline: x}
          - {task_id: a, callback_url: "https://a.example/", metadata: x, provider: y, provider: z}
          - {task_id: a, callback_url: "https://a.example/"}
        5: x
        log: {level: x}
        """
    assert [" ".join(line.split(": ")[:2]) for line in problems_in(text)] == [
        "1:14 store.url",
        "1:28 store.retention",
        "2:20 webhooks.secret",
        "2:41 webhooks.allow_networks[0]",
        "2:45 webhooks.tmeout",
        "4:11 providers.videos.api_key",
        "4:18 providers.videos.rate",
        "4:31 providers.videos.interval",
        "5:39 intake.tokens",
        "5:43 intake.x",
        "7:11 endpoints[0].url",
        "7:40 endpoints[0].events[0]",
        "7:54 endpoints[0].headers.Host",
        "8:11 endpoints[1].url",
        "8:40 endpoints[1].secrets",
        "10:15 watches[0].task_id",
        "10:64 watches[0].interval",
        "11:64 watches[1].deadline",
        "12:64 watches[2].metadata",
        "12:77 watches[2].provider",
        "12:80 watches[2].provider",
        "12:90 watches[2].provider",
        "13:5 watches[3]",
        "14:1 the key 5 is not text (put it in quotes)",
        "15:14 log.level",
    ]


def test_what_stands_below_a_repeated_key_is_judged_too(problems_in, secret):
    """Each value of it as if it were the only one, also in one another; and nothing outside is held against a later
    one, as the watch's provider is here, which only the first has."""
    text = f"""\
        providers: {{videos: {{api_key: k}}, other: {{preset: videos, api_key: k}}}}
        webhooks: {{secret: {secret}}}
        watches: [{{task_id: a, callback_url: "https://a.example/", provider: other}}]
        providers:
          videos: {{api_key: k, intervall: 3}}
          videos: {{rate: x, rate: y, rate: "${{NO}}"}}
        log: {{level: info, level: info, level: x}}
        log: {{level: info, level: y}}
        """
    assert [line.split(" (")[0] for line in problems_in(text)] == [
        "4:1: providers: is given twice",
        "5:24: providers.videos.intervall: unknown key",
        "6:3: providers.videos: is given twice",
        "6:11: providers.videos.api_key: is missing",
        "6:18: providers.videos.rate: 'x' is not a rate",
        "6:21: providers.videos.rate: is given twice",
        "6:27: providers.videos.rate: 'y' is not a rate",
        "6:30: providers.videos.rate: is given twice",
        "6:36: providers.videos.rate: the environment variable NO is not set",
        "7:20: log.level: is given twice",
        "7:33: log.level: is given twice",
        "7:40: log.level: 'x' is not one of debug, info, warning, error",
        "8:1: log: is given twice",
        "8:20: log.level: is given twice",
        "8:27: log.level: 'y' is not one of debug, info, warning, error",
    ]


def test_a_key_is_judged_only_so_often(problems_in, least):
    """Every repetition is told, but only the first values are judged: a long file cannot keep a check busy."""
    found = problems_in(least + "node: {x: 1}\n" * 300)
    assert [line.split(": ", 1)[1][:21] for line in found].count("node: is given twice ") == 299
    assert sum("unknown key" in line for line in found) == MOST_READINGS


def test_what_is_wrong_by_itself_is_not_compared(problems_in, secret):
    """Each is told once, for what it is; two wrong ones are not the same, and no limit is held against a wrong one."""
    text = f"""\
        providers: {{videos: {{api_key: k, interval: 20s, min_interval: x}}}}
        webhooks: {{secret: {secret}}}
        intake: {{tokens: [{{token: a}}, {{token: b}}]}}
        endpoints: [{{url: 5}}, {{url: 5}}, {{url: "${{NO}}"}}, {{url: "${{NO}}"}}]
        watches:
          - {{callback_url: "https://a.example/", interval: 1s}}
          - {{callback_url: "https://a.example/", interval: 1s}}
        """
    assert [line.split(": ")[1] for line in problems_in(text)] == [
        "providers.videos.min_interval",
        *("intake.tokens[0].name", "intake.tokens[1].name"),
        *(f"endpoints[{index}].url" for index in range(4)),
        *("watches[0].task_id", "watches[1].task_id"),
    ]


def test_a_wrong_list_of_networks_lifts_no_refusal_that_none_could(problems_in, least):
    """While `allow_networks` is wrong, private addresses are not judged; other schemes and metadata still are."""
    text = f"""{least}  allow_networks: [x]
endpoints: [{{url: "https://10.0.0.1/"}}, {{url: "ftp://x/"}}, {{url: "https://169.254.169.254/"}}]
"""
    assert [line.split(": ")[1] for line in problems_in(text)] == [
        "webhooks.allow_networks[0]",
        "endpoints[1].url",
        "endpoints[2].url",
    ]


def test_allowed_networks_open_the_file_s_own_urls(problems_in, least):
    """The guard judges with the networks of the same file."""
    watch = "watches: [{task_id: a, callback_url: 'http://10.0.0.1/'}]\n"
    assert problems_in(f"{least}  allow_networks: [10.0.0.0/8]\n{watch}") == []
    assert len(problems_in(f"{least}  allow_networks: [11.0.0.0/8]\n{watch}")) == 1


def test_an_alias_is_told_at_its_own_place(problems_in, least):
    """The second of two equal watches is where the alias stands."""
    watch = "{task_id: a, callback_url: 'https://a.example/'}"
    (found,) = problems_in(f"{least}watches:\n  - &a {watch}\n  - *a\n")
    assert found.startswith("7:5: watches[1]: is the same task")


def test_a_secret_in_the_wrong_place_is_not_shown(problems_in, least, secret):
    """Messages quote values, but nothing that looks like a signing secret or came from the environment."""
    found = problems_in(f"{least}log: {{level: {secret}, format: '${{V}}'}}\n", {"V": "json-secret"})
    assert [line.split(": ", 2)[2][:34] for line in found] == [
        "a signing secret is not one of deb",
        "the value of '${V}' is not one of ",
    ]


@pytest.mark.parametrize("character", ["\0", "\x1f", "\x7f", "\x80", "\x9f", "\udfff"])
def test_a_task_id_has_no_control_character_and_no_half_character(character):
    """C0, DEL, C1 and lone surrogates; their neighbours are legal."""
    with pytest.raises(ValueError, match="must not hold control characters"):
        task_id(f"a{character}b")
    for legal in " ~\xa0\ud7ff\ue000😀":
        assert task_id(f"a{legal}b") == f"a{legal}b"


def test_paths_are_written_so_that_they_stay_one_line():
    """Keys that are no names are quoted, and long ones cut."""
    assert write_path(("watches", 1, "interval")) == "watches[1].interval"
    assert write_path(("endpoints", 0, "headers", "X Y\n")) == 'endpoints[0].headers["X Y\\n"]'
    assert len(write_path(("x y" * 100,))) < 70


def test_values_are_shown_short():
    """Long text is cut, and kinds stand for what is not a single value."""
    assert shown("x" * 61) == repr("x" * 60) + "…"
    expected = ["1.5", "an empty value", "true", "a list", "a mapping"]
    assert [shown(value) for value in (1.5, None, True, [1], {})] == expected
    assert shown(Substituted("s3cret", "${V}")) == "the value of '${V}'"


def test_near_misses_are_found_whatever_the_case():
    """A guess is made only when it is near; else the known words are listed."""
    assert did_you_mean("Intervall", ["interval", "rate"]) == " (did you mean 'interval'?)"
    assert did_you_mean("quux", ["interval", "rate"]) == " (known here: interval, rate)"


words = st.sampled_from(
    [
        *("providers", "videos", "api_key", "webhooks", "secret", "secrets", "retry", "30s", "allow_networks"),
        *("watches", "task_id", "interval", "metadata", "intake", "tokens", "listen"),
        *("endpoints", "url", "events", "headers", "${A}", "${", "x"),
    ]
)
values = st.recursive(
    words | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=examples(25))
@given(st.dictionaries(words, values, min_size=1, max_size=5))
def test_any_structure_is_loaded_or_rejected(data):
    """Whatever a file holds, the outcome is settings or problems; nothing is ever raised."""
    outcome = parse(repr(data).replace("None", "null"), "FILE", {"A": "1"}, secrets="optional")
    assert isinstance(outcome, Loaded | Rejected)


REGIONAL = """\
providers:
  acme:
    base_url: https://api.acme.example
    auth: null
    vars: {path: required, region: us}
    poll: {path: "/{+vars.path}/{vars.region}/{task_id}"}
    status: state
    completed: [done]
webhooks:
  secret: SECRET
watches:
"""


@pytest.mark.parametrize(
    ("watches", "problem"),
    [
        (["vars: {path: a/b}"], None),
        (["vars: {path: 7, region: eu}"], None),
        ([""], "12:5: watches[0].vars.path: is missing, and this provider cannot be asked without it"),
        (["vars: {region: eu}"], "12:60: watches[0].vars.path: is missing, and this provider"),
        (["vars: {path: a, regoin: eu}"], "12:70: watches[0].vars.regoin: is no variable of this provider (known"),
        (["vars: {path: a//b}"], "12:67: watches[0].vars.path: has an empty segment, or one of dots, that would lead"),
        (["vars: {path: ['a']}"], "12:67: watches[0].vars.path: a list is not text"),
        (["vars: {path: a}", "vars: {path: a, region: eu}"], None),
        (["vars: {path: a}", "vars: {path: a, region: us}"], None),
        (["vars: {path: 7}", "vars: {path: '7'}"], "13:5: watches[1]: is the same task and callback_url"),
    ],
)
def test_variables_of_a_watch_are_those_of_its_provider(problems_in, secret, watches, problem):
    """A missing one is told at the innermost mapping, an unknown one at its name, one that its place in the request
    does not take at its value. Watches with other variables are others, also where one writes a default out."""
    lines = [f"  - {{task_id: a, callback_url: 'https://a.example/', {one}}}\n" for one in watches]
    expect(problems_in(REGIONAL.replace("SECRET", secret) + "".join(lines)), problem)


@pytest.mark.parametrize(
    ("usual", "problem"),
    [
        ("a//b", "5:36: providers.acme.vars.region: 'a//b' has an empty segment, or one of dots, that would lead"),
        ("..", "5:36: providers.acme.vars.region: '..' has an empty segment, or one of dots, that would lead"),
        ("a" * 513, "5:36: providers.acme.vars.region: 'aaaaa"),
        ("eu/west", None),
    ],
)
def test_a_default_that_no_request_can_carry_is_told(problems_in, secret, usual, problem):
    """Once, at its value, and not again at each watch that goes by it or gives another."""
    text = REGIONAL.replace("SECRET", secret).replace("region: us", f"region: {usual}")
    watches = "".join(f"  - {{task_id: a, callback_url: 'https://a.example/', vars: {{path: a{more}}}}}\n"
                      for more in ("", ", region: eu"))
    expect(problems_in(text.replace("{vars.region}", "{+vars.region}") + watches), problem)


def test_a_task_id_that_no_request_can_carry_is_told(problems_in, secret):
    """At its value; where the whole of it is percent-encoded, any will do."""
    watch = "  - {task_id: a/../b, callback_url: 'https://a.example/', vars: {path: a}}\n"
    text = REGIONAL.replace("SECRET", secret) + watch
    expect(problems_in(text), None)
    wrong = "12:15: watches[0].task_id: has an empty segment, or one of dots, that would lead"
    expect(problems_in(text.replace("/{task_id}", "/{+task_id}")), wrong)
