"""Whose certificates are believed."""

import os
import ssl
from pathlib import Path

import certifi


def trust() -> ssl.SSLContext:
    """The machine's trust roots, or certifi's where the machine has none (slim containers).

    OpenSSL's own `SSL_CERT_FILE` and `SSL_CERT_DIR` decide alone when they are set: whoever sets them means to narrow
    the trust, so nothing is added then.
    """
    context = ssl.create_default_context()
    if not _chosen_by_environment() and not _machine_has_roots(context):
        context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _chosen_by_environment() -> bool:
    paths = ssl.get_default_verify_paths()
    return any(os.environ.get(name) for name in (paths.openssl_cafile_env, paths.openssl_capath_env))


def _machine_has_roots(context: ssl.SSLContext) -> bool:
    """Roots from a file are loaded by now; those in a folder are read only when a chain asks for them."""
    if context.cert_store_stats()["x509_ca"]:
        return True
    folder = ssl.get_default_verify_paths().capath
    return folder is not None and any(Path(folder).iterdir())
