"""Names in Markdown."""

from __future__ import annotations

from app.text import code, plain


def test_addresses_in_names_are_no_links():
    # In a browser, a word joiner behind its beginning is what keeps an address from being a link; a backslash is not.
    assert plain("https://x.y, WWW.x.y and a@x.y") == "https\\://\u2060x.y, WWW\u2060.x.y and a@\u2060x.y"
    assert plain("wwwx :// @") == "wwwx \\://\u2060 @\u2060"


def test_hostile_names_are_shown_as_they_are():
    assert plain("a*b* <i>:red[x]") == r"a\*b\* \<i\>\:red\[x\]"
    assert code("a`b\nc") == "`` a`b c ``"
