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

    def server(self, host, *, until=NOW + DAY) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
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
