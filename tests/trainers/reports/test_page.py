"""Nothing that comes from data can become a part of the page's code."""

import json
import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from trainers.reports import page

NASTY = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"


class Elements(HTMLParser):
    """Collects elements with their attributes, and text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_text_is_escaped_wherever_it_is_put():
    text = page.render(
        NASTY,
        [
            page.paragraph(NASTY),
            page.section(NASTY, "one", NASTY),
            page.table([NASTY, "b"], [[NASTY, NASTY]], NASTY),
            page.element("span", NASTY, title=NASTY),
            page.figure(page.Markup("<svg></svg>"), NASTY),
        ],
    )
    parsed = Elements(text)
    assert "img" not in {tag for tag, _ in parsed.elements}
    assert "script" not in {tag for tag, _ in parsed.elements}
    assert [attrs["title"] for tag, attrs in parsed.elements if tag == "span"] == [NASTY]
    assert parsed.text.count(NASTY) == 11  # each but the attribute


@given(st.text())
def test_any_text_comes_back_from_an_element_as_it_was(text):
    text = text.replace("\r", "").replace("\0", "")
    parsed = Elements(page.element("p", text, title=text))
    assert parsed.elements == [("p", {"title": text})]
    assert parsed.text == text


@given(st.dictionaries(st.text(), st.text() | st.floats(allow_nan=False, allow_infinity=False)))
def test_data_come_back_and_hold_no_sign_of_html(values):
    text = page.data_element("d", values)
    content = re.fullmatch(r'<script type="application/json" id="d">(.*)</script>', text, re.S)[1]
    assert json.loads(content) == values
    assert not set("<>&") & set(content)


def test_the_page_allows_its_own_script_alone_and_nothing_from_elsewhere():
    text = page.render("A page", [page.paragraph("text")], "let a = 1;")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    # printf 'let a = 1;' | openssl dgst -sha256 -binary | base64
    assert "script-src 'sha256-xY6QKfH9PRsQnLz56nj6MBwiK5oHg+im1Jkpdp1x/Ck='" in policy
    assert "default-src 'none'" in policy
    assert "script-src 'none'" in page.render("A page", [])


def test_a_table_names_its_columns_and_rows():
    text = page.table(["kind", "a"], [["first", 1], ["second", 2]], "What it shows")
    assert text.count('scope="col"') == 2
    assert text.count('scope="row"') == 2
    assert "<caption>What it shows</caption>" in text
