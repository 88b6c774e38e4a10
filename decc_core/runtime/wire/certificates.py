"""Certificates of workers: read from PEM and told in words, and an authority that makes some for a few hosts."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from decc_core.errors import UnreadableFile, WorkerFailed
from decc_core.text import listed, shown

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
AUTHORITY_DAYS = 3650
"""Of whoever signs; no certificate is good for longer than its authority."""
BEFORE = timedelta(days=1)
"""Certificates are good since yesterday: the clock of a board may be behind."""
SOON = timedelta(days=30)
LONGEST_HOST, LONGEST_COMMON_NAME = 253, 64
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
UNREADABLE = (
    ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.ExtensionNotFound, x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)  # fmt: skip
"""How the library says that a certificate, or a part of it, is none."""
_MAKE_ONE = "make one with `decc certificates HOST`"


def read_certificates(pem: bytes, file: Path) -> list[x509.Certificate]:
    """All certificates of a file, the owner's first."""
    try:
        found = x509.load_pem_x509_certificates(pem)
        _require_readable(found[0])
    except UNREADABLE:
        raise UnreadableFile(f"{file} holds no certificate that can be read; copy it anew, or {_MAKE_ONE}.") from None
    return found


def read_shown(der: bytes) -> x509.Certificate:
    """What a worker shows in a handshake, which may be anything at all."""
    try:
        found = x509.load_der_x509_certificate(der)
        _require_readable(found)
    except UNREADABLE:
        raise UnreadableFile("The certificate that was shown cannot be read.") from None
    return found


def _require_readable(certificate: x509.Certificate) -> None:
    """Parts are read when they are asked for; those that are asked for later are asked for now."""
    hosts_of(certificate)
    called(certificate.subject)
    called(certificate.issuer)
    certificate.public_key()
    untimely(certificate, datetime.now(UTC))


def read_key(pem: bytes, file: Path) -> Key:
    """A private key that needs no passphrase, of a kind that gRPC takes."""
    try:
        key = load_pem_private_key(pem, None)
    except TypeError:
        raise UnreadableFile(
            f"{file} is locked with a passphrase, which no worker can ask for; write it without one: "
            f"openssl pkey -in {file} -out open.key"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise UnreadableFile(f"{file} holds no key that can be read; copy it anew, or {_MAKE_ONE}.") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise UnreadableFile(f"{file} is neither an EC nor an RSA key, and no other is taken; {_MAKE_ONE}.")
    return key


def require_pair(certificate: x509.Certificate, key: Key, certificate_file: Path, key_file: Path) -> None:
    """Refuse a key that is another certificate's."""
    of_both = (
        one.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for one in (certificate.public_key(), key.public_key())
    )
    if len(set(of_both)) > 1:
        raise UnreadableFile(
            f"The key {key_file} does not fit the certificate {certificate_file}; name the two that were made together."
        )


def hosts_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Addresses and names that a certificate is for, by its subjectAltName; nothing else counts."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
        return (*addresses, *names.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        return ()


def is_for(certificate: x509.Certificate, host: str) -> bool:
    """Whether callers who know the worker as `host` may take the certificate."""
    try:
        wanted = str(ipaddress.ip_address(host))
    except ValueError:
        wanted = host.lower()
    return any(
        wanted == name.lower() or (name.startswith("*.") and wanted.partition(".")[2] == name[2:].lower())
        for name in hosts_of(certificate)
    )


def called(name: x509.Name) -> str:
    """What the owner or the maker of a certificate is called there, in quotes."""
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return shown(str(common[0].value) if common else name.rfc4514_string())


def misnamed(certificate: x509.Certificate, host: str) -> str:
    """What a certificate is for instead of this host; the end of a sentence."""
    hosts = hosts_of(certificate)
    remedy = f"make one with `decc certificates {host}`"
    if hosts:
        return f"is for {listed(hosts)}, not for {host}; {remedy}, or call the worker as it is called there"
    return (
        f"names no host (it has no subjectAltName, and that it is called {called(certificate.subject)} does not "
        f"count), so it is not for {host}; {remedy}"
    )


def untimely(certificate: x509.Certificate, now: datetime) -> str | None:
    """That a certificate is not good any more, or not yet; the end of a sentence."""
    if now > certificate.not_valid_after_utc:
        return f"expired on {_day(certificate.not_valid_after_utc)}; make a new one with `decc certificates`"
    if now < certificate.not_valid_before_utc:
        return (
            f"is not valid before {_day(certificate.not_valid_before_utc)}, and here it is {_day(now)}; "
            "set the clocks of both machines"
        )
    return None


def doubts(certificate: x509.Certificate, host: str) -> list[str]:
    """What callers will not like in the certificate of a worker that listens on `host`, in sentences."""
    now, found = datetime.now(UTC), []
    if trouble := untimely(certificate, now):
        found.append(f"The certificate {trouble}.")
    elif certificate.not_valid_after_utc - now < SOON:
        found.append(f"The certificate expires on {_day(certificate.not_valid_after_utc)}.")
    if not _is_any(host) and not is_for(certificate, host):
        found.append(f"The certificate {misnamed(certificate, host)}.")
    return found


def require_host(text: str) -> str:
    """An address or a name of a host, as a certificate may carry it."""
    host = text.strip()
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        address = None
    if address is not None:
        if address.is_unspecified:
            raise WorkerFailed(f"{address} stands for all addresses of a host; name those by which others reach it.")
        return str(address)
    if _HOST.fullmatch(host) and len(host) <= LONGEST_HOST and not host.rpartition(".")[2].isdecimal():
        return host.lower()
    if re.fullmatch(r"[^:]+:\d*|\[.*\]:\d*", host):
        raise WorkerFailed(f"{shown(host)} has a port; name the host alone: a certificate is for all of its ports.")
    raise WorkerFailed(
        f"{shown(host)} is neither an address nor the name of a host; write it as in 192.0.2.1 or board.example.org, "
        "in ASCII, and several names of one host as 192.0.2.1,board.example.org."
    )


@dataclass(frozen=True)
class Made:
    """A certificate and its key, in PEM."""

    certificate: bytes
    key: bytes
    until: datetime


@dataclass(frozen=True)
class Authority:
    """Who signs the certificates of workers, so that callers need to trust one certificate alone."""

    certificate: x509.Certificate
    key: Key

    @classmethod
    def new(cls) -> Authority:
        now, key = datetime.now(UTC), ec.generate_private_key(ec.SECP256R1())
        # Two that were made on one day are told apart by the number.
        name = _name(f"DECC authority {_day(now)} {x509.random_serial_number() % 10**6:06d}")
        usage = _usage(key_cert_sign=True, crl_sign=True)
        builder = _builder(name, name, key.public_key(), now, now + timedelta(days=AUTHORITY_DAYS))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return cls(builder.add_extension(usage, critical=True).sign(key, hashes.SHA256()), key)

    @classmethod
    def read(cls, certificate: bytes, key: bytes, certificate_file: Path, key_file: Path) -> Authority:
        """From what was written before; refuses what cannot sign."""
        found = cls(read_certificates(certificate, certificate_file)[0], read_key(key, key_file))
        require_pair(found.certificate, found.key, certificate_file, key_file)
        try:
            signs = found.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except UNREADABLE:
            signs = False
        if not signs:
            raise UnreadableFile(f"{certificate_file} is no authority's certificate, and cannot sign others.")
        if trouble := untimely(found.certificate, datetime.now(UTC)):
            raise UnreadableFile(f"The authority {certificate_file} {trouble} (--output names another folder).")
        return found

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return _key_pem(self.key)

    def sign(self, hosts: Sequence[str], days: int, since: datetime | None = None) -> Made:
        """A new key, and a certificate for a worker that is reached by these names; `since` is now unless said."""
        since, key = since or datetime.now(UTC), ec.generate_private_key(ec.SECP256R1())
        until = min(since + timedelta(days=days), self.certificate.not_valid_after_utc)
        builder = _builder(_name(hosts[0]), self.certificate.subject, key.public_key(), since, until)
        for extension, critical in (
            (x509.SubjectAlternativeName([_general(host) for host in hosts]), False),
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(digital_signature=True), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False),
        ):
            builder = builder.add_extension(extension, critical=critical)
        made = builder.sign(self.key, hashes.SHA256())
        return Made(made.public_bytes(Encoding.PEM), _key_pem(key), until)


def _builder(
    name: x509.Name, signed_by: x509.Name, key: ec.EllipticCurvePublicKey, since: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(signed_by)
        .subject_name(name)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since - BEFORE)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(**allowed: bool) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in names})


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:LONGEST_COMMON_NAME])])


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_pem(key: Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _is_any(host: str) -> bool:
    """Whether a worker that listens there does so on all addresses of its host."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")
