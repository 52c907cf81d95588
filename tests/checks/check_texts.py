# ruff: noqa: E501  (texts are read as one line)
"""Replies of a customer service in several languages: none of them should trouble any check."""

from __future__ import annotations

from typing import Any

from roadworthy.fallback.checks.model import Context, Finding, TextCheck
from roadworthy.fallback.checks.registry import build
from roadworthy.workflow.check_options import CHECK_KINDS
from roadworthy.workflow.model import CheckSpec

REPLIES = {
    "en": [
        "Hi Ann,\n\nI'm sorry to hear that your parcel is late. I have asked the carrier, who will deliver it tomorrow "
        "between 9 and 12. If it does not come, reply to this message and we will send a new one.\n\nBest wishes",
        "I'm sorry, but I can't refund an order that has shipped. You can return it within 14 days, and we pay you back "
        "as soon as it arrives:\n\n1. Print the label.\n2. Pack the goods.\n3. Bring the parcel to a shop.",
        "Your order 4711-2390 of 2025-03-14 over 129.90 EUR left our warehouse; track it with 00340434161094022115.",
        "If you can't log in, reset your password under Settings > Security. We cannot see your password ourselves.",
        "| Plan | Price |\n| --- | --- |\n| Basic | 10 |\n| Pro | 20 |\n| Team | 30 |\n\nAll plans can be cancelled "
        "at any time.\n\n----------------------------------------\n\nAnything else? Let us know!",
        "No, no, no need to worry! Your card is safe; you only blocked it. Tap 'Unblock' in the app to use it again.",
        "In the app, a price < 5 and a quantity > 3 give you free delivery. <Your name> goes on the first line.",
        "We can't help it if the bank is slow, but we can show you the receipt. The payment was made at 10:42:17.",
    ],
    "de": [
        "Guten Tag Frau Müller,\n\nes tut mir leid, dass Ihr Paket zu spät kommt. Ich habe beim Zusteller nachgefragt: "
        "Es wird morgen geliefert. Sollte es nicht ankommen, schicken wir Ihnen ein neues.\n\nFreundliche Grüße",
        "Leider kann ich die Bestellung nicht mehr stornieren, sie ist bereits unterwegs. Sie können sie aber innerhalb "
        "von 14 Tagen zurücksenden; das Etikett liegt dem Paket bei.",
    ],
    "fr": [
        "Bonjour Madame,\n\nje suis désolé pour ce retard. J'ai contacté le transporteur : votre colis sera livré demain "
        "avant midi. S'il n'arrive pas, répondez à ce message et nous vous en enverrons un autre.\n\nCordialement",
        "Je ne peux pas annuler la commande, car elle est déjà partie. Vous pouvez la retourner sous 14 jours, et nous "
        "vous rembourserons dès sa réception.",
    ],
    "es": [
        "Buenos días:\n\nlamento que su paquete llegue tarde. He preguntado al transportista y se lo entregará mañana. "
        "Si no llega, responda a este mensaje y le enviaremos otro.\n\nUn saludo",
        "No puedo cancelar el pedido porque ya ha salido. Puede devolverlo en 14 días y le reembolsaremos el importe en "
        "cuanto lo recibamos.",
    ],
    "it": [
        "Buongiorno,\n\nmi dispiace che il pacco sia in ritardo. Ho chiesto al corriere: sarà consegnato domani mattina. "
        "Se non arriva, risponda a questo messaggio e gliene invieremo un altro.\n\nCordiali saluti",
        "Non posso annullare l'ordine perché è già partito, ma può restituirlo entro 14 giorni e la rimborseremo.",
    ],
    "nl": [
        "Goedendag, het spijt me dat uw pakket te laat is. Ik heb de bezorger gevraagd: het komt morgen voor twaalf uur."
    ],
    "pl": ["Dzień dobry, przepraszam za opóźnienie paczki. Zapytałem przewoźnika i zostanie dostarczona jutro rano."],
    "ja": [
        "お問い合わせありがとうございます。お荷物の到着が遅れており申し訳ございません。明日の午前中に配達される予定です。"
    ],
    "zh": ["您好，很抱歉您的包裹延误了。我们已经联系了快递公司，包裹将于明天上午送达。如果没有收到，请回复此消息。"],
    "ar": ["مرحبا، نأسف لتأخر الطرد الخاص بك. لقد اتصلنا بشركة التوصيل وسيتم تسليمه غدا صباحا قبل الظهر إن شاء الله."],
    "ru": ["Здравствуйте! Приносим извинения за задержку посылки. Мы связались с курьером, её доставят завтра утром."],
}
EVERY = [reply for replies in REPLIES.values() for reply in replies]

NEEDED: dict[str, dict[str, Any]] = {
    "language": {"allowed": list(REPLIES)},
    "forbidden": {"phrases": ["we guarantee a full refund"], "patterns": [r"(?i)\bfree forever\b"]},
    "length": {"max_chars": 20_000},
}
"""Options without which a kind says nothing."""


def check(kind: str, **options: Any) -> TextCheck:
    return build(CheckSpec(kind, CHECK_KINDS[kind].failure, options={**NEEDED.get(kind, {}), **options}))  # type: ignore[arg-type,index]


def found(
    kind: str, text: str, /, sent: str = "", prompt: str = "", canary: str = "", **options: Any
) -> Finding | None:
    return check(kind, **options)(text, Context(lambda: sent, prompt=prompt, canary=canary))
