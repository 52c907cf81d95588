# ruff: noqa: E501  (a pattern is read as one line)
"""Answers that decline instead of answering, in five languages.

A refusal is a sentence near the beginning that declines to help *at all* ("I'm sorry, but I can't assist with that")
in an answer that then helps no further.  A reply that declines a favour and goes on ("I'm sorry, but I can't refund it;
you can return it until Friday") is an answer, and so is every apology.
"""

from __future__ import annotations

import re2  # loaded by the workers whose releases declare this check

from roadworthy.fallback.checks.model import Context, Finding, TextCheck
from roadworthy.fallback.checks.patterns import Patterns
from roadworthy.workflow.check_options import option
from roadworthy.workflow.model import CheckSpec

OPENING = 400
"""Characters in which a refusal begins."""
LONGEST = 1_500
"""An answer beyond this says something, whatever it declines."""

_END = r"(?:\s*(?:[.!?,;:\n…]|$|\bas\b|\bbecause\b|\bdue\b|\bsince\b|\bat this\b|\bright now\b|\bfor you\b|\band\b))"

_EN_CANNOT = (
    r"\b(?:I|we)(?: am|'m| are|'re)? (?:can't|can not|cannot|could not|couldn't|won't|will not|must decline to"
    r"|(?:have|need) to decline to|decline to|refuse to|(?:not |un)(?:able|willing) to|not (?:allowed|permitted|programmed|designed) to"
    r"|not comfortable|won't be able to|will not be able to|can't and won't)"
)
_EN_THING = (
    r"(?: you)?(?: with| on| about| in| to)?(?: (?:that|this|it|your|these|those|such(?: an?)?|any|the))?"
    r"(?: (?:kind|type|sort|particular|specific|harmful|illegal|inappropriate|offensive|explicit)s?)*(?: of)?"
    r"(?: (?:request|question|topic|content|information|info|matter|task|prompt|conversation|subject|query|instruction|material)s?)?"
)
_EN_VERB = (
    r"(?: ?(?:help(?:ing)?|assist(?:ing)?|comply(?:ing)?|answer(?:ing)?|respond(?:ing)?|engag(?:e|ing)|continu(?:e|ing)|discuss(?:ing)?"
    r"|fulfil(?:l|ling)?|support(?:ing)?|provid(?:e|ing)|do(?:ing)?|shar(?:e|ing)|participat(?:e|ing)|generat(?:e|ing)|creat(?:e|ing)"
    r"|writ(?:e|ing)|produc(?:e|ing)|say|talk(?:ing)?|proceed(?:ing)?|process|complete))"
)

_RULES = (
    ("en", _EN_CANNOT + _EN_VERB + _EN_THING + _END),
    ("en", r"\bI(?:'m| am) (?:sorry|afraid),?(?: but)? (?:that )?I (?:can't|cannot|can not|won't|am unable to|'m unable to|am not able to)"
           r" (?:assist|comply|engage|fulfil?l?|participate|discuss|generate|create|write|help (?:you )?with (?:creating|making|writing|that|this|anything))\b"),
    ("en", _EN_CANNOT + r" (?:help|assist)(?: you)? (?:with|in) (?:creating|making|writing|producing|generating|planning|obtaining)\b"),
    ("en", r"\b(?:against|violates?|in violation of|not (?:in line|consistent) with|goes beyond) (?:my|our|the|openai'?s?) (?:\w+ )?"
           r"(?:guidelines|programming|content polic(?:y|ies)|usage polic(?:y|ies)|safety polic(?:y|ies)|ethical guidelines|principles)"),
    ("en", r"\bas an? (?:ai|artificial intelligence|language model|ai assistant|ai language model|assistant)[^.!?\n]{0,40},? I"
           r"(?: am|'m)? ?(?:can't|cannot|can not|don't|do not|won't|(?:not |un)able to|not (?:allowed|permitted|programmed) to)"
           r" (?:help|assist|comply|answer|provide|engage|discuss|fulfil?l?|generate|create|have (?:access|personal|opinions|feelings)|share|do)"),
    ("de", r"\b(?:ich|wir) (?:kann|können|darf|dürfen|werde|möchte) (?:Ihnen|dir|euch)?\s*(?:dabei|damit|hierbei|hiermit|bei (?:dieser|diesem|deiner|Ihrer|so einer)"
           r" (?:Anfrage|Bitte|Frage|Thema|Anliegen)|diese (?:Anfrage|Frage|Bitte)|auf diese (?:Anfrage|Frage)|das|dazu|darüber|diese Informationen?)"
           r"\s*(?:leider )?(?:nicht|keine)\b[^.!?\n]{0,30}(?:helfen|unterstützen|weiterhelfen|behilflich|beantworten|erfüllen|nachkommen|antworten|tun|bereitstellen"
           r"|machen|sprechen|sagen|geben|Auskunft|Angaben)"),
    ("de", r"\b(?:kann|können|darf|dürfen) ich (?:Ihnen|dir|euch)?\s*(?:leider )?(?:dabei|damit|hierbei|dazu|das|diese (?:Anfrage|Frage|Bitte)|bei (?:dieser|diesem) \w+)?\s*(?:leider )?"
           r"(?:nicht|keine (?:Auskunft|Angaben|Hilfe))\s*(?:weiter)?(?:helfen|unterstützen|behilflich sein|beantworten|erfüllen|nachkommen|antworten|geben|leisten)"),
    ("de", r"\bdas (?:kann|darf|werde|möchte) ich (?:Ihnen |dir )?(?:leider )?nicht (?:tun|machen|beantworten|sagen|verraten)"),
    ("de", r"\b(?:verstößt|verstoßen|widerspricht) (?:gegen )?(?:meine[nr]?|die|unsere[nr]?) (?:\w+)?(?:richtlinien|programmierung|grundsätze)"),
    ("fr", r"\bje (?:ne |n')(?:peux|suis|serai|pourrai|puis)(?: malheureusement)?(?: pas)?(?: en mesure de| autorisée? à| capable de| pas)?\s*(?:de )?"
           r"(?:vous |t'|te |y )?(?:aider|assister|répondre|fournir|satisfaire|accéder|donner suite|continuer|discuter|traiter|partager|faire)"
           r"(?:\s*(?:à|avec|sur|dans|de|pour))?(?: (?:cela|ça|ce|cette|ces|votre|ta|ce type de|ce genre de|cette sorte de))?(?: (?:demande|question|sujet|requête|information|informations|contenu|type|genre|cas)s?)?\s*(?:[.!?,;:\n…]|$)"),
    ("fr", r"\b(?:contraire|contrevient|va à l'encontre|viole) (?:à |de )?(?:mes|nos|aux|la|les|ma) (?:\w+ )?(?:directives|politique|règles|principes|programmation)"),
    ("es", r"\bno (?:puedo|podemos|podré|me es posible|soy capaz de|estoy autorizad[oa] a|estoy en condiciones de)\s*(?:ayudar(?:te|le|los|les)?|asistir(?:te|le)?|responder|proporcionar|cumplir"
           r"|atender|continuar|hablar|compartir|hacer|ofrecer|participar)(?:lo)?(?:\s*(?:con|en|a|de|sobre))?(?: (?:eso|esto|esa|ese|esta|este|su|tu|ese tipo de|este tipo de))?"
           r"(?: (?:solicitud|petición|pregunta|tema|información|contenido|asunto)(?:es|s)?)?\s*(?:[.!?,;:\n…]|$)"),
    ("es", r"\b(?:va en contra de|viola|infringe|incumple) (?:mis|nuestras|las|la|mi) (?:\w+ )?(?:directrices|políticas?|normas|principios|programación)"),
    ("it", r"\bnon (?:posso|possiamo|potrò|sono in grado di|sono autorizzat[oa] a|mi è possibile)\s*(?:aiutar(?:ti|la|vi|e)|assister(?:ti|la|e)|risponder(?:e|ti|le)|fornir(?:e|ti|le)|soddisfare"
           r"|continuare|discutere|parlare|condividere|far(?:e|lo)|procedere)(?:\s*(?:con|in|a|di|su|per))?(?: (?:questo|questa|quello|ciò|tale|la tua|la sua|questo tipo di|questo genere di))?"
           r"(?: (?:richiesta|domanda|argomento|informazione|informazioni|contenuto|tema)s?)?\s*(?:[.!?,;:\n…]|$)"),
    ("it", r"\b(?:viola|va contro|contrario a|in contrasto con) (?:le mie|le nostre|le|la|i miei) (?:\w+ )?(?:linee guida|politiche?|regole|princìpi|principi|programmazione)"),
)  # fmt: skip

_OFFERS = (
    r"(?i)[^.!?\n]{0,80}(?:\b(?:any|some)thing else\b|\bother (?:questions?|topics?|requests?|tasks?)\b|\bfeel free\b|\blet me know\b|\bhappy to (?:help|assist)\b"
    r"|\bsonst noch\b|\betwas anderem\b|\bandere(?:n|s|r)? (?:Fragen?|Themen|Anliegen)\b|\bweitere Fragen\b|\bautre chose\b|\bautres? (?:questions?|sujets?|demandes?)\b|\bn'hésitez pas\b"
    r"|\balgo más\b|\botra (?:cosa|pregunta)\b|\botros? temas?\b|\botras preguntas\b|\bqualcos'altro\b|\baltr[aeio] (?:domand[ae]|argoment[io]|richiest[ae])\b)[^.!?\n]{0,200}[.!?\n]?"
)
"""Politeness that helps nobody; it is left out before help is looked for."""

_HELP = (
    r"(?i)\b(?:you|we|I|our (?:\w+ ){1,3}?(?:team|staff|agents?)|they)(?:'ll| will)? (?:can|could|may|might|will|'ll|have|are able to) \w+"
    r"|\b(?:please|kindly|simply|just) (?:contact|call|visit|reach|use|log|go|see|check|try|send|reply|ask|open|click|follow|provide|share|give|select|consult|refer)\b"
    r"|\b(?:instead|alternatively|meanwhile|in the meantime)\b|\bhere(?:'s| is| are)\b|\n\s*(?:[-*•]|\d+[.)])\s"
    r"|\b(?:Sie|du|wir|Ihr) (?:können|kannst|könnt|haben|werden|erreichen)\b|\b(?:können|kannst|erreichen) (?:Sie|du)\b|\bbitte (?:wenden|kontaktieren|rufen|besuchen|senden|nutzen|melden|geben|loggen|schreiben)\b|\b(?:stattdessen|alternativ)\b"
    r"|\b(?:vous|nous) (?:pouvez|pourrez|avez|pouvons|allons)\b|\bveuillez\b|\b(?:contactez|consultez|appelez|connectez)\b"
    r"|\b(?:puede|puedes|podemos|hemos)\b[^.!?\n]{0,20}\w+r\b|\bpor favor,? (?:contact|llam|visit|envi|us|consult)|\ben su lugar\b"
    r"|\b(?:può|puoi|possiamo|abbiamo)\b|\b(?:la preghiamo|si prega|contatti|contatta|invece)\b"
)


class Refusal:
    def __init__(self, own: Patterns) -> None:
        self._rules = Patterns([(language, "(?i)" + rule) for language, rule in _RULES])
        self._own = own
        self._help = re2.compile(_HELP)
        self._offers = re2.compile(_OFFERS)

    def __call__(self, text: str, context: Context) -> Finding | None:
        opening = text[:OPENING].replace("’", "'").replace("ʼ", "'")
        declared = self._own.first(text)
        if declared is not None:
            return Finding("declines, as a pattern of this workflow says", span=declared[1])
        if len(text) > LONGEST:
            return None
        found = self._rules.first(opening)
        if found is None:
            return None
        _, (begin, end) = found
        rest = self._offers.sub(" ", text[end:].replace("’", "'"))
        if self._help.search(rest) is not None:
            return None
        return Finding("declines to answer", 0.9 if len(rest) > 300 else 1.0, (begin, end))


def build(spec: CheckSpec) -> TextCheck:
    patterns = option(spec, "patterns")
    return Refusal(Patterns([("declared", pattern) for pattern in patterns]))
