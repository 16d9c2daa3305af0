"""Logs behind TLS, servers that pack, ranges that are not known: what honest servers may do is understood."""

from __future__ import annotations

import gzip
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from ledger_world import append, begin, world
from log_world import grow, node_of, served

from market.ledger.follow.remote import Remote, ServerError
from market.ledger.follow.server import CopyServer
from market.ledger.read.publish import publish_tiles
from market.ledger.store.store import Store

MADE = world(2, 400, seed=5)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    with begin(tmp_path / "run", MADE) as ledger:
        append(ledger, MADE, 0, 300)
    return tmp_path / "run"


def write_certificate(folder: Path) -> Path:
    """Self-signed certificate of 127.0.0.1 with its key, in one file."""
    key, name = Ed25519PrivateKey.generate(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, None)
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "tls.pem").write_bytes(private + made.public_bytes(Encoding.PEM))
    return folder / "tls.pem"


@contextmanager
def served_by_tls(directory: Path, certificate: Path) -> Iterator[str]:
    """URL of a ledger that is served on loopback with TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = CopyServer(directory, "127.0.0.1", 0, None)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with server:
        yield server.url.replace("http:", "https:")


def test_a_log_behind_tls_is_followed_if_its_certificate_is_trusted(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = write_certificate(tmp_path)
    with served_by_tls(directory, certificate) as url:
        with node_of(url, tmp_path / "copy") as node, pytest.raises(ServerError, match="certificate"):
            node.catch_up()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with node_of(url, tmp_path / "copy") as node:
            assert node.catch_up().size == 301
            grow(directory, MADE, 300, 310)
            assert node.catch_up().n_new == 10


class Packing(SimpleHTTPRequestHandler):
    """A static web server that packs everything, asked or not, and keeps connections."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        content = gzip.compress(path.read_bytes()) if path.is_file() else b""
        self.send_response(200 if content else 404)
        self.send_header("Content-Encoding", "gzip" if content else "identity")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *_: object) -> None:
        """Nothing."""


def test_a_server_that_packs_is_understood(directory: Path, tmp_path: Path) -> None:
    def publish() -> None:
        with Store.open_to_read(directory) as store:
            publish_tiles(store, tmp_path / "www")

    publish()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Packing, directory=str(tmp_path / "www"))) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        server.daemon_threads, server.block_on_close = True, False
        with node_of(f"http://127.0.0.1:{server.server_address[1]}", tmp_path / "copy") as node:
            assert node.catch_up().size == 301
            grow(directory, MADE, 300, 310)
            publish()
            assert node.catch_up().n_new == 10
        server.shutdown()


def test_a_connection_is_kept_and_made_anew_when_it_is_gone(directory: Path) -> None:
    with served(directory) as url:
        remote = Remote(url, 5.0)
        assert remote.read("checkpoint", 1000) is not None
        kept = remote._connection
        assert remote.read("tile/0/x999/000", 1000) is None
        assert remote.read("checkpoint", 1000) is not None
        assert remote._connection is kept
        assert kept is not None
        kept.sock.shutdown(2)
        assert remote.read("checkpoint", 1000) is not None
        assert remote._connection is not kept
        with pytest.raises(ServerError, match="expected at most 5 bytes, got more"):
            remote.read("checkpoint", 5)
        assert remote.read("checkpoint", 1000) is not None
        remote.close()


def test_only_what_is_new_of_a_bundle_is_asked_for(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    real = Remote.open

    def listen(self: Remote, path: str, most: int, skip: int = 0):  # type: ignore[no-untyped-def]
        asked.append((path, most - skip))
        return real(self, path, most, skip)

    with served(directory) as url, node_of(url, tmp_path / "copy") as node:
        node.catch_up()
        grow(directory, MADE, 300, 301)
        monkeypatch.setattr(Remote, "open", listen)
        node.catch_up()
    (records,) = [size for path, size in asked if path.startswith("tile/records")]
    with Store.open_to_read(directory) as store:
        assert records == 64 + 4 + len(store.block(301).records)
