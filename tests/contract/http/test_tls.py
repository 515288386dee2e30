import asyncio
import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from notifier.adapters.http import Fault, Http, Reply, trust
from notifier.adapters.http import tls as tls_module

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@dataclass
class Authority:
    """A certificate authority of the test's own, written to `file`."""

    file: Path

    def __post_init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
        builder = self._builder(self.name, self.key, NOW + DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(
            x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True
        )
        self.file.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _builder(self, name, key, until):
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 2 * DAY)
            .not_valid_after(until)
            .add_extension(identifier, critical=False)
            .add_extension(issuer, critical=False)
        )

    def server(self, host, *, until=NOW + DAY, key=None) -> ssl.SSLContext:
        key = key or ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(x509.Name([]), key, until)
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        builder = builder.add_extension(names, critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        pem = builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        pem += key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = self.file.with_name("server.pem")
        file.write_bytes(pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


@pytest.fixture
def authority(tmp_path, monkeypatch):
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    return Authority(tmp_path / "ca.pem")


@pytest.fixture
def ask(closing):
    async def ask(url):
        http = closing(Http(guard=None, keepalive=5, resolve=lambda _: ["127.0.0.1"]))
        return await http.get(url, headers={}, timeout=2.0, cap=1000)

    return ask


async def test_a_certificate_of_the_chosen_authority_is_trusted(serve, ask, authority, monkeypatch):
    """SSL_CERT_FILE names whom to trust, as for every program that uses OpenSSL."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    server = await serve(OK, tls=authority.server("receiver.example"))
    reply = await ask(f"https://receiver.example:{server.port}/")
    assert isinstance(reply, Reply)
    assert reply.body == b"hi"


async def test_a_certificate_of_nobody_we_know_is_refused(serve, ask, authority):
    """Without that setting the same server is not believed, and sees no request."""
    server = await serve(OK, tls=authority.server("receiver.example"))
    fault = await ask(f"https://receiver.example:{server.port}/planted")
    assert isinstance(fault, Fault)
    assert fault.kind == "tls"
    assert "certificate" in fault.message
    assert "planted" not in fault.message
    assert server.heads == []


@pytest.mark.parametrize(
    ("certified", "until", "says"),
    [("other.example", NOW + DAY, "receiver.example"), ("receiver.example", NOW - DAY, "expired")],
)
async def test_a_certificate_that_does_not_fit_is_refused(serve, ask, authority, monkeypatch, certified, until, says):
    """The name is checked against the URL's host, the time against the clock; the message says which was wrong."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    server = await serve(OK, tls=authority.server(certified, until=until))
    fault = await ask(f"https://receiver.example:{server.port}/")
    assert isinstance(fault, Fault)
    assert fault.kind == "tls"
    assert says in fault.message
    assert server.heads == []


async def test_a_certificate_that_signs_itself_is_refused(serve, ask, tmp_path):
    """What anybody can make for any name proves nothing; and the message says what is wrong with it."""
    nobody = Authority(tmp_path / "nobody.pem")
    nobody.name = x509.Name([])  # so its subject, which is empty, is its issuer
    server = await serve(OK, tls=nobody.server("receiver.example", key=nobody.key))
    fault = await ask(f"https://receiver.example:{server.port}/planted?planted")
    assert isinstance(fault, Fault)
    assert fault.kind == "tls"
    assert fault.message.startswith(f"receiver.example:{server.port}: the certificate is not trusted: self-signed")
    assert "planted" not in fault.message
    assert server.heads == []


OLD_HELLO = b"\x02\x00\x00\x26\x03\x02" + bytes(32) + b"\x00\xc0\x13\x00"
"""A ServerHello that chooses TLS 1.1."""


@pytest.mark.parametrize(
    "answer",
    [b"\x15\x03\x01\x00\x02\x02\x46", b"\x16\x03\x02\x00\x2a" + OLD_HELLO],
    ids=["has nothing newer", "chooses an old one"],
)
async def test_an_old_version_of_tls_is_refused(serve, ask, answer):
    """TLS 1.1 and older are deprecated (RFC 8996); a receiver that has nothing newer gets no event, and is told why."""
    server = await serve(answer, read=False)
    fault = await ask(f"https://receiver.example:{server.port}/")
    assert isinstance(fault, Fault)
    assert fault.kind == "tls"
    assert "VERSION" in fault.message or "PROTOCOL" in fault.message


@pytest.mark.parametrize("address", ["127.0.0.1", "receiver.example.", "RECEIVER.example"])
async def test_the_name_that_is_verified_is_the_urls(serve, ask, authority, monkeypatch, address):
    """Case and a final dot are no other name; an address is one, and this certificate does not hold it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    server = await serve(OK, tls=authority.server("receiver.example"))
    answer = await ask(f"https://{address}:{server.port}/")
    assert isinstance(answer, Fault if address == "127.0.0.1" else Reply)


async def test_an_answer_that_ends_without_a_farewell_counts(serve, closing, authority, monkeypatch):
    """Many servers close TLS without saying so (close_notify). The status was in, and it stands; the connection is
    closed at once, whether or not the other side takes part in that."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    server = await serve(b"HTTP/1.1 200 OK\r\n\r\nhi", tls=authority.server("receiver.example"))
    http = closing(Http(guard=None, keepalive=5, resolve=lambda _: ["127.0.0.1"]))
    url = f"https://receiver.example:{server.port}/"
    reply = await http.post(url, headers={}, body=b"{}", timeout=2.0, cap=1000, grace=0.5)
    assert isinstance(reply, Reply)
    assert reply.status == 200


async def test_a_server_that_goes_on_talking_is_left(serve, closing, authority, monkeypatch):
    """At the deadline the connection is gone, though the other side says no farewell and sends on and on."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))

    async def talk(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 1000)
            await writer.drain()
            await asyncio.sleep(0.01)

    server = await serve(talk, tls=authority.server("receiver.example"))
    http = closing(Http(guard=None, keepalive=5, resolve=lambda _: ["127.0.0.1"]))
    url = f"https://receiver.example:{server.port}/"
    reply = await http.post(url, headers={}, body=b"{}", timeout=2.0, cap=1 << 20, grace=0.1)
    assert isinstance(reply, Reply)
    async with asyncio.timeout(2):
        while server.open:
            await asyncio.sleep(0.005)


async def test_a_port_that_speaks_plain_http_is_a_tls_fault(serve, ask):
    """Scheme and port that do not go together are the most common mistake in a URL."""
    server = await serve(b"HTTP/1.1 400 Bad Request\r\n\r\n", read=False)
    fault = await ask(f"https://receiver.example:{server.port}/")
    assert isinstance(fault, Fault)
    assert fault.kind == "tls"


class Paths:
    openssl_cafile_env, openssl_capath_env = "SSL_CERT_FILE", "SSL_CERT_DIR"

    def __init__(self, capath):
        self.capath = capath


@pytest.mark.parametrize(
    ("machine", "added"), [("no folder", True), ("empty folder", True), ("full folder", False), ("chosen", False)]
)
def test_bundled_roots_are_for_machines_without_any(tmp_path, authority, monkeypatch, machine, added):
    """certifi steps in only where neither the machine nor the operator has named anybody."""
    monkeypatch.setattr(tls_module.ssl, "create_default_context", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    folder = tmp_path / "certs"
    folder.mkdir()
    if machine == "full folder":
        (folder / "0a1b2c3d.0").write_bytes(authority.file.read_bytes())
    if machine == "chosen":
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    capath = None if machine == "no folder" else str(folder)
    monkeypatch.setattr(tls_module.ssl, "get_default_verify_paths", lambda: Paths(capath))
    assert (trust().cert_store_stats()["x509_ca"] > 100) == added
