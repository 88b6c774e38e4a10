"""Certificates in words: for whom they are, until when, and what callers will not like in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from decc_core.errors import UnreadableFile
from decc_core.runtime.wire.certificates import Authority, doubts, is_for, read_certificates, read_key, read_shown

FILE = Path("worker.pem")


@pytest.fixture(scope="module")
def authority():
    return Authority.new()


def signed(authority, *hosts, days=365, since=None):
    return read_certificates(authority.sign(hosts, days, since).certificate, FILE)[0]


def test_a_certificate_is_for_its_hosts_however_they_are_written(authority):
    one = signed(authority, "192.0.2.1", "2001:db8::1", "board.example.org")
    for host in ("192.0.2.1", "2001:DB8:0::1", "Board.example.org"):
        assert is_for(one, host)
        assert doubts(one, host) == []
    for host in ("192.0.2.2", "example.org", "other.board.example.org"):
        assert not is_for(one, host)


def test_a_worker_that_listens_on_all_addresses_may_have_any_certificate(authority):
    one = signed(authority, "192.0.2.1")
    assert doubts(one, "0.0.0.0") == doubts(one, "::") == []
    (doubt,) = doubts(one, "192.0.2.2")
    assert doubt.startswith("The certificate is for '192.0.2.1', not for 192.0.2.2; make one with")


def test_the_last_month_of_a_certificate_and_what_comes_after_it_are_told(authority):
    (soon,) = doubts(signed(authority, "192.0.2.1", days=10), "192.0.2.1")
    assert soon.startswith("The certificate expires on ")
    past = datetime.now(UTC) - timedelta(days=20)
    (over,) = doubts(signed(authority, "192.0.2.1", days=10, since=past), "192.0.2.1")
    assert over.startswith("The certificate expired on ")


def test_no_certificate_outlives_its_authority(authority):
    one = signed(authority, "192.0.2.1", days=100_000)
    assert one.not_valid_after_utc == authority.certificate.not_valid_after_utc


def test_two_authorities_are_told_apart_by_their_names(authority):
    assert Authority.new().certificate.subject != authority.certificate.subject


def test_what_is_none_is_refused_in_a_sentence(authority):
    with pytest.raises(UnreadableFile, match=r"worker\.pem holds no certificate that can be read; copy it anew"):
        read_certificates(b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", FILE)
    with pytest.raises(UnreadableFile, match=r"worker\.pem holds no key that can be read"):
        read_key(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", FILE)
    with pytest.raises(UnreadableFile, match="cannot be read"):
        read_shown(b"\x30\x82\x01\x00" + bytes(256))
