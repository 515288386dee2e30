"""Notifier watches jobs behind polling-only APIs and POSTs a signed webhook when each one ends.

    notifier/
    ├── __main__.py       the command's entry
    ├── cli/              flags in, exit code out; one file per family of commands
    ├── demo/             simulator, receiver and the story that `notifier demo` tells
    ├── installation/     a systemd service of this machine: what `notifier install` and `uninstall` do
    ├── app/              composition root: settings → parts.py, put together → daemon.py: start, reload, orderly stop
    ├── config/           YAML → frozen Settings; says what is wrong and where
    ├── logs/             structlog set-up, secrets out; lines for people and collectors, entries for journald
    ├── domain/           PURE: no I/O, no clock, no randomness, no async, no logging
    │   ├── quantity.py   durations, sizes and rates as people write them
    │   ├── task.py       Task and advance(): what one answer makes of a task
    │   ├── watch.py      Watch and its states (variables.py: what it gives beside its task id)
    │   ├── event.py      announce(): an ended task becomes the message it owes
    │   ├── result_file.py  what a completed task made, saved before its URL expires
    │   ├── link.py       signed links to saved files
    │   ├── saving.py     which files are saved, and what each try makes of one
    │   ├── delivery.py   Delivery, Attempt, RetrySchedule, settle()
    │   ├── signature.py  sign(), verify(): Standard Webhooks, several secrets, both algorithms
    │   ├── answer.py     what a provider's answer can mean; reading.py finds out which
    │   │                (http_answer.py: what HTTP says), explanation.py says why
    │   ├── description.py   a provider, described (expression.py: JMESPath, template.py: requests with places to fill
    │   │                    in, extract.py: what expressions find in an answer,
    │   │                    masking.py: no secret in what we repeat of it)
    │   ├── receiver.py   whose secrets sign for which URL, and which events it wants
    │   ├── endpoint.py   a registered callback URL and what changes make of it (headers.py: what it may send along)
    │   ├── prefix.py     which callback URLs a limited token may name
    │   ├── address.py    which addresses and URLs may be called (address_blocks.py: the registries behind it)
    │   ├── deadlines.py  who must be looked at by when
    │   ├── jump.py       a wall clock that was set: when that counts for what cannot be undone
    │   ├── lifetimes.py  how long tasks take, learned from the brackets in which they ended
    │   ├── rhythm.py     when to ask next by that: the best moment for a poll, and its limits
    │   ├── pace.py       who may go next: first come first served, within concurrency, rate and pause
    │   ├── share.py      what each node may take of a provider's rate (report.py: what nodes tell each other)
    │   ├── lanes.py      whose turn it is to be sent: lanes of callback URLs, their hosts, all together
    │   │                 (sleepers.py: who waits until when; trust.py: hosts that answer go before those that hang)
    │   ├── freshness.py  when result URLs are too old to be sent, and what asking again makes of their event
    │   ├── circuit.py    when a callback URL that keeps failing is left alone but for a probe
    │   ├── content.py    what a file is, told by its first bytes
    │   ├── tempo.py      how often something happens, over the last minute
    │   ├── lease.py      many nodes: which shards (shard.py) are whose, and who may act for how long
    │   └── moment.py, retry_after.py   how times and waits are written
    ├── ports/            what the services need from the world (Protocols): world, store, deliveries,
    │                     catalog, meter, archive, cluster
    ├── services/         the verbs: ask a port, apply the domain, tell a port
    │   ├── registrar.py  accept a watch once, reject a bad one, reconcile the file's watches
    │   ├── poller.py     one poll: fetch, advance, save – or end the task (adoption.py: which tasks are polled here)
    │   ├── ends.py       ends, by an answer or a deadline: saved with the deliveries they owe, and told once
    │   ├── channel.py    one provider: whose turn it is, and the pause when it will not talk to us
    │   ├── membership.py many nodes: this one joins, beats, claims its shards, hands over and leaves
    │   ├── budget.py     many nodes: this one's shares of the providers' rates
    │   ├── news.py       many nodes: what others did to this one's tasks
    │   ├── rhythms.py    what each provider's tasks taught, and whose next poll goes by it
    │   ├── dispatcher.py deliveries: whose turn it is (trials.py: test events)
    │   ├── turns.py      one turn of a delivery: an attempt, or fresh URLs before it
    │   ├── custody.py    which deliveries this node attempts (claims.py: those that are nobody's)
    │   ├── attempts.py   what each attempt makes of its delivery, and says of its receiver
    │   ├── refresher.py  fresh result URLs for late deliveries (inquiries.py: asking about ended tasks)
    │   ├── courier.py    one HTTP try: sign, post, report
    │   ├── tray.py       deliveries until their turn comes
    │   ├── ledger.py     attempts that are to be saved, until the store has taken them
    │   ├── archivist.py  results: what is saved when, and who is told (holds, storehouse, sweeper)
    │   ├── endpoints.py  register, change and forget endpoints; the file's come first
    │   └── circuits.py, wakeup.py     what holds lanes up, and what wakes them
    └── adapters/         the only importers of httpx, apscheduler, fastapi, sqlalchemy …
        ├── api/          the intake: routes, problems, tokens
        ├── scheduler.py  APScheduler: an interval job per watched task, date jobs for retries, housekeeping
        │                 (jobs.py: kept in a heap, called inline)
        ├── http/         guarded requests: pool, deadline, size cap, address check at connect time
        ├── webhook.py    an attempt as an HTTP request; its answer as a receipt
        ├── providers/    asking what a description says; how a provider is told who asks
        ├── archive/      saved files: downloads that are resumed and verified, kept in a folder or a bucket
        ├── stores/       SQL stores behind one contract: group commit, migrations
        ├── systemd.py    what systemd and its service say to each other: readiness, watchdog, passed sockets
        ├── serving.py (uvicorn), listener.py, connections.py (what one client may take of it), intake_client.py
        └── crew.py (who owns coroutines), metrics.py, clock.py

             cli ──▶ app ◀── config                       wiring: may import everything
                      │ builds
     api ───────┐     ▼                  ┌── providers, http
     scheduler ─┴▶ services ──▶ ports ◀──┼── stores, clock, metrics
                      └──▶ domain ◀──────┘

Imports run one way: `__main__ → cli → demo, installation → app → adapters → services → ports → domain`, and CI holds
it.

How data flows: YAML or intake → registrar → store → scheduler (a job per task) → poller → provider → `advance()` →
store (end of task + deliveries owed, one transaction) → dispatcher → `sign()` → receiver → `settle()` → store.
The store is the truth; APScheduler's jobs are derived from its rows and rebuilt at start. A poll that changes nothing
writes nothing; ends and attempts that fall together share one commit.
"""

__version__ = "0.1.0"
