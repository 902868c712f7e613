"""What the page says, in each language it knows. A text that is missing in one is a failing test, not a gap."""

from __future__ import annotations

from typing import Literal

Language = Literal["en", "de"]

TEXTS: dict[str, tuple[str, str]] = {
    "title": ("Line Inspector", "Line Inspector"),
    "name": ("Name", "Name"),
    "password": ("Password", "Passwort"),
    "log in": ("Log in", "Anmelden"),
    "log out": ("Log out", "Abmelden"),
    "wrong": ("Name or password is wrong.", "Name oder Passwort ist falsch."),
    "wait": ("Too many attempts. Wait {seconds} s.", "Zu viele Versuche. Warten Sie {seconds} s."),
    "line": ("Line", "Linie"),
    "history": ("History", "Verlauf"),
    "trends": ("Trends", "Trends"),
    "what-if": ("What if", "Was wäre wenn"),
    "stopped": ("LINE STOPPED", "LINIE STEHT"),
    "no parts": ("NO PARTS YET", "NOCH KEINE TEILE"),
    "part": ("part {number}, {age} s ago", "Teil {number}, vor {age} s"),
    "today": ("Today", "Heute"),
    "parts": ("parts", "Teile"),
    "balanced": ("the books balance", "die Bücher gehen auf"),
    "not balanced": ("THE BOOKS DON'T BALANCE", "DIE BÜCHER GEHEN NICHT AUF"),
    "not known": ("not known", "nicht bekannt"),
    "rate": ("parts per minute", "Teile pro Minute"),
    "margin": (
        "smallest margin before the deadline, last 100 parts",
        "kleinste Reserve vor der Frist, letzte 100 Teile",
    ),
    "product": ("Product", "Produkt"),
    "recipe": ("Recipe", "Rezept"),
    "engine": ("Engine", "Engine"),
    "any": ("any", "alle"),
    "verdict": ("Verdict", "Urteil"),
    "reason": ("Reason", "Grund"),
    "score": ("Score", "Wert"),
    "time": ("Time (UTC)", "Zeit (UTC)"),
    "since": ("From (UTC)", "Von (UTC)"),
    "until": ("Until (UTC)", "Bis (UTC)"),
    "min score": ("Score from", "Wert ab"),
    "max score": ("Score to", "Wert bis"),
    "show": ("Show", "Zeigen"),
    "number": ("Part", "Teil"),
    "newest": (
        "The newest {count} that fit; touch one to see all of it.",
        "Die neuesten {count}; zum Ansehen antippen.",
    ),
    "really good": ("It is really good", "Es ist wirklich gut"),
    "really bad": ("It is really bad", "Es ist wirklich schlecht"),
    "note": ("Note for the engineer", "Notiz für den Ingenieur"),
    "marked": ("Marked. It waits for an engineer.", "Markiert. Es wartet auf einen Ingenieur."),
    "close": ("Close", "Schließen"),
    "review limit": ("Proposed review limit", "Vorgeschlagene Prüfgrenze"),
    "judge again": ("Judge again", "Neu beurteilen"),
    "was": ("was", "war"),
    "becomes": ("becomes", "wird"),
    "why": ("why", "warum"),
    "in force": ("In force: review {review}, reject {reject}.", "In Kraft: Prüfen {review}, Ausschuss {reject}."),
    "sentence": (
        "{parts} parts: {before} -> {after} rejects; {changes} change. {left_out} left out.",
        "{parts} Teile: {before} -> {after} Ausschuss; {changes} ändern sich. {left_out} ausgelassen.",
    ),
    "oldest only": (
        "Only the first {count} parts of the period were looked at.",
        "Nur die ersten {count} Teile des Zeitraums wurden angesehen.",
    ),
    "hour": ("by hour", "pro Stunde"),
    "day": ("by day", "pro Tag"),
    "yield": ("Yield", "Ausbeute"),
    "rejects": ("rejects per 1,000", "Ausschuss je 1.000"),
    "centre": ("centre", "Mitte"),
    "lower": ("lower limit", "untere Grenze"),
    "upper": ("upper limit", "obere Grenze"),
    "nothing": ("No part fits.", "Kein Teil passt."),
    "not allowed": ("Your role may not do this.", "Ihre Rolle darf das nicht."),
}


def text(key: str, language: Language, **values: object) -> str:
    """A text, with its values put in."""
    return TEXTS[key][language == "de"].format(**values)


def preferred(accepted: str) -> Language:
    """The language that a browser asks for first of those known: its Accept-Language header."""
    names = (item.split(";")[0].strip().lower()[:2] for item in accepted.split(","))
    return next(("de" if name == "de" else "en" for name in names if name in ("de", "en")), "en")
