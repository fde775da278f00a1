"""The certificates in use, as their files change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bezant_server import config
from bezant_server.certificates import CertificateError, CertificateStore, TlsFiles
from tests.support.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def files(authority: Authority) -> TlsFiles:
    return TlsFiles(*authority.issue("server"), authority.ca_file)


def test_it_holds_what_the_files_say_and_shows_no_key(files: TlsFiles) -> None:
    store = CertificateStore(files)
    assert store.current.certificate == files.certificate.read_bytes()
    assert store.current.key == files.key.read_bytes()
    assert files.client_ca is not None
    assert store.current.client_ca == files.client_ca.read_bytes()
    assert CertificateStore(TlsFiles(files.certificate, files.key, None)).current.client_ca is None
    assert "PRIVATE" not in repr(store.current)


def test_files_that_did_not_change_are_not_read_again(files: TlsFiles) -> None:
    store = CertificateStore(files)
    held = store.current
    assert store.renew() is False
    files.certificate.touch()
    assert store.renew() is False
    assert store.current is held


def test_a_new_pair_takes_the_place_of_the_earlier(files: TlsFiles, authority: Authority) -> None:
    store = CertificateStore(files)
    authority.issue("server")
    assert store.renew() is True
    assert (store.current.certificate, store.current.key) == (files.certificate.read_bytes(), files.key.read_bytes())
    assert store.renew() is False


def test_half_a_new_pair_is_complained_of_once_and_changes_nothing(files: TlsFiles, authority: Authority) -> None:
    store = CertificateStore(files)
    held = store.current
    certificate, key = authority.issue("other")
    certificate.replace(files.certificate)
    with pytest.raises(CertificateError, match="BEZANT_TLS_CERT, BEZANT_TLS_KEY: "):
        store.renew()
    assert store.renew() is False
    assert store.current is held
    key.replace(files.key)
    assert store.renew() is True
    assert store.current.key == files.key.read_bytes()


@pytest.mark.parametrize(("member", "variable"), [("certificate", "CERT"), ("key", "KEY"), ("client_ca", "CLIENT_CA")])
def test_a_file_that_is_gone_or_cut_short_changes_nothing_until_it_is_back(
    member: str, variable: str, files: TlsFiles
) -> None:
    store = CertificateStore(files)
    held = store.current
    path: Path = getattr(files, member)
    whole = path.read_bytes()

    path.write_bytes(whole[:40])
    with pytest.raises(CertificateError, match=f"BEZANT_TLS_{variable}"):
        store.renew()
    path.unlink()
    with pytest.raises(CertificateError, match=f"BEZANT_TLS_{variable}: cannot read {path}"):
        store.renew()
    assert store.renew() is False
    assert store.current is held

    path.write_bytes(whole)
    assert store.renew() is False
    assert store.current is held


@pytest.mark.parametrize(
    ("names", "variable"),
    [
        ("CERT", "KEY"),
        ("KEY", "CERT"),
        ("CLIENT_CA", "CLIENT_CA"),
        ("CERT KEY=/nowhere", "KEY"),
        ("CERT=/nowhere KEY", "CERT"),
        ("CERT KEY=another.key", "CERT, BEZANT_TLS_KEY"),
        ("CERT KEY=encrypted", "CERT, BEZANT_TLS_KEY"),
        ("CERT=encrypted KEY", "CERT, BEZANT_TLS_KEY"),
        ("CERT KEY CLIENT_CA=empty", "CLIENT_CA"),
        ("CERT KEY CLIENT_CA=.", "CLIENT_CA"),
    ],
)
def test_what_cannot_be_is_refused_with_the_variable(
    names: str, variable: str, files: TlsFiles, authority: Authority, tmp_path: Path
) -> None:
    authority.issue("another")
    (tmp_path / "empty").touch()
    (tmp_path / "encrypted").write_bytes(_with_password())
    own = {"CERT": files.certificate, "KEY": files.key, "CLIENT_CA": files.client_ca}
    given = {
        f"BEZANT_TLS_{name}": str(tmp_path / file if file else own[name])
        for name, _, file in (each.partition("=") for each in names.split())
    }
    with pytest.raises((config.ConfigError, CertificateError), match=f"^BEZANT_TLS_{variable}: "):
        _store(config.load(given))


def _store(settings: config.Settings) -> CertificateStore:
    found = config.tls_files(settings)
    assert found is not None
    return CertificateStore(found)


def _with_password() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )


@pytest.mark.parametrize(("member", "variable"), [("certificate", "CERT"), ("key", "KEY"), ("client_ca", "CLIENT_CA")])
def test_a_named_pipe_holds_nobody_up(member: str, variable: str, files: TlsFiles) -> None:
    store = CertificateStore(files)
    held = store.current
    path: Path = getattr(files, member)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CertificateError, match=f"BEZANT_TLS_{variable}: {path} is no regular file"):
        store.renew()
    assert store.current is held


def test_a_file_is_read_up_to_a_limit(files: TlsFiles) -> None:
    with files.certificate.open("ab") as file:
        file.truncate(2 * 1024 * 1024)
    with pytest.raises(CertificateError, match=r"BEZANT_TLS_CERT: .* is larger than 1048576 bytes"):
        CertificateStore(files)
