"""What is said in a room, and the rules for text. Pure: no I/O, no clock."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import msgspec

from chat.errors import TextRefused

#: bounds of a message, in characters after cleaning
MIN_TEXT, MAX_TEXT = 1, 300
#: NFKC may make one character eighteen: refuse what is absurd before the work
MAX_RAW_TEXT = 2000
#: marks stacked on one letter: no language needs more, and towers of them cover other people's messages
MAX_MARKS = 4


class Author(msgspec.Struct, frozen=True):
    """Who speaks: the token's subject, the public name, and what they are in this stream (host, moderator)."""

    id: str
    name: str
    roles: list[str] = []


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """The data of ``chat.message``."""

    id: str
    user: Author
    text: str
    reply_to: str | None = None
    #: ids of users the text speaks to, as the author's client named them
    mentions: list[str] = []


class Sent(msgspec.Struct, frozen=True):
    """What was said: the message's id and its place in the room's log."""

    id: str
    offset: int
    #: whether its key had said it before: this is no new message
    again: bool = False


class Moderation(msgspec.Struct, frozen=True):
    """The data of the private event ``moderation``: what was done to you (``ban``, ``grant`` or ``revoke`` of the
    moderator's role), and a ban's end (``None``: for good)."""

    action: str
    user_id: str
    until_ms: int | None = None


class Rules(msgspec.Struct, frozen=True):
    """How a room may talk, as everybody sees it: seconds between one user's messages, and whether it is frozen."""

    slow_s: int = 0
    frozen: bool = False


class RulesForStaff(msgspec.Struct, frozen=True):
    """The rules as hosts and moderators see them: with the blocked words."""

    slow_s: int
    frozen: bool
    words: list[str]


class Poll(msgspec.Struct, frozen=True):
    """A question to everybody: 2–5 answers, one vote a user."""

    id: str
    question: str
    answers: list[str]
    #: when it closes; of a closed one, when it closed
    closes_at_ms: int
    state: str
    counts: list[int]
    votes: int


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step of moderation in the journal: who did what to whom, or to which message."""

    action: str
    by: str
    user_id: str | None = None
    message_id: str | None = None
    detail: str | None = None
    id: str = ""
    at_ms: int = 0


class ChatState(msgspec.Struct, frozen=True):
    """What who joins has to know of a chat beside its messages."""

    rules: Rules
    pinned: Message | None
    #: the newest, open or closed
    poll: Poll | None
    #: open questions, oldest first; only hosts and moderators are shown them
    questions: list[Message]
    moderators: list[str]
    #: blocked words as they were given; these, too, are shown to hosts and moderators only
    words: list[str] = []


#: what joins emoji and shapes letters; every other format character (bidirectional overrides, zero-width spaces) can
#: only hide or disguise text
_SHAPING = frozenset("\u200c\u200d")
#: tag characters: the flags of England, Scotland and Wales are made of them
_TAGS = range(0xE0020, 0xE0080)


def clean_text(raw: str) -> str:
    """The text as it is shown: NFKC, no control characters, single spaces, 1–300 characters.

    Raises :class:`TextRefused` when nothing, or too much, is left.
    """
    if len(raw) > MAX_RAW_TEXT:
        raise TextRefused(f"A message has at most {MAX_TEXT} characters.")
    # Hot path (load_tests chat-storm): of printable ASCII everything is shown as it is.
    plain = raw.isascii() and raw.isprintable()
    text = " ".join((raw if plain else "".join(_shown(unicodedata.normalize("NFKC", raw)))).split())
    if len(text) > MAX_TEXT:
        raise TextRefused(f"A message has at most {MAX_TEXT} characters.")
    if not (text if plain else any(_visible(c) for c in text)):
        raise TextRefused("A message needs some text.")
    return text


def _shown(text: str) -> Iterable[str]:
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        if category in ("Mn", "Me"):
            marks += 1
            if marks > MAX_MARKS:
                continue
        else:
            marks = 0
        if category in ("Cc", "Zl", "Zp", "Zs"):
            yield " "
        elif category == "Cf":
            if character in _SHAPING or ord(character) in _TAGS:
                yield character
        elif category not in ("Cs", "Co", "Cn"):
            yield character


def _visible(character: str) -> bool:
    # Hangul fillers and the blank Braille pattern are "letters" and "symbols" that show nothing.
    return unicodedata.category(character)[0] not in "ZCM" and character not in "\u115f\u1160\u3164\uffa0\u2800"


#: letters and digits that look like a Latin letter: the common ones of Unicode TR39's confusables, and "leet"
_LOOKALIKES = str.maketrans(
    "аеорсухіјѕԁһкмтвнαοενιρτυχκ0134578@$|",
    "aeopcyxijsdhkmtbhaoeviptuxkoieastbasl",
)


#: the same for ASCII, in one step: small letters, no look-alikes, and nothing else
_ASCII_FOLDS = bytes(range(128)).decode().lower().translate(_LOOKALIKES).encode() + bytes(range(128, 256))
_ASCII_SIGNS = bytes(c for c in range(128) if not chr(_ASCII_FOLDS[c]).isalnum())
_ASCII_SIGNS_IN_WORDS = bytes(c for c in _ASCII_SIGNS if not chr(c).isspace())


def fold(text: str) -> str:
    """A text without what disguises a word: case, accents, look-alikes, and everything between letters."""
    if text.isascii():
        return text.encode().translate(_ASCII_FOLDS, _ASCII_SIGNS).decode()
    plain = unicodedata.normalize("NFKD", text).casefold().translate(_LOOKALIKES)
    return "".join(c for c in plain if c.isalnum())


def is_blocked(text: str, words: Iterable[str]) -> bool:
    """Whether a text has one of the words in it, however disguised (single words only, ASCII or not)."""
    blocked = {fold(word) for word in words} - {""}
    if not blocked:
        return False
    # Word by word first; then the whole text, for a word spelt out with spaces ("b a d"): only for long words, since
    # short ones appear by chance across a word boundary.
    folded_words = {fold(word) for word in text.split()}
    whole = fold(text)
    return any(word in folded_words or (len(word) >= 5 and word in whole) for word in blocked)


#: blocked words of one stream, and characters of each
MOST_WORDS, MAX_WORD = 200, 40


def folded_text(text: str) -> list[str]:
    """What is compared with blocked words: the whole text, then its words, each once."""
    if text.isascii():
        words = text.encode().translate(_ASCII_FOLDS, _ASCII_SIGNS_IN_WORDS).decode().split()
        return list(dict.fromkeys(["".join(words), *words]))
    return list(dict.fromkeys([fold(text), *(fold(word) for word in text.split())]))


def folded_words(words: Iterable[str]) -> list[str]:
    """Blocked words as ``send.lua`` looks for them; raises :class:`TextRefused` for a list that is none."""
    given = list(words)
    if len(given) > MOST_WORDS or any(len(word) > MAX_WORD for word in given):
        raise TextRefused(f"At most {MOST_WORDS} words of at most {MAX_WORD} characters can be blocked.")
    plain = {fold(word) for word in given} - {""}
    # Short ones appear inside harmless words by chance.
    return sorted(plain | {f"*{word}" for word in plain if len(word) >= 5})
