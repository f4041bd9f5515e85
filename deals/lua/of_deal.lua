-- of_deal.lua: comes first in every script of a deal; scripts.py puts the tables DEAL_STEP, ORDER_STEP, REFUSED before.
-- All of them take these KEYS (deals/keys.py) and answer {0, result…} or {REFUSED.<code>, why}.
local ROOM, LOG, DEAL, DUE, LEDGER, CLAIMS, HOLDS, PAID, SETTLE, JOURNAL, QUEUE, QUEUED, RULES, USES, PRICES = unpack(KEYS)
