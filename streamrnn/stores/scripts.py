"""What a Valkey store changes, it changes in one of these Lua scripts: whole, with nothing else in between.

A session is a hash `<prefix>session:<id>` of epoch, next_seq, floor_seq and snapshot; a sorted set `<prefix>saved`
holds every id by the time of its last save or claim. Lua keeps numbers as doubles, which are exact only up to 2^53, so
counts stay the decimal strings that they are in the hash. A script that fails goes back on nothing: each reads and
judges everything before it writes, and writes the sorted set first, for that may be refused: for its type, for a time
that is no number, for want of memory.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from streamrnn.engine.snapshot import MAX_COUNT


@dataclass(frozen=True, slots=True)
class Script:
    """The text of a script, and the name by which a server knows it once it is loaded.

    Attributes:
        text: Lua.
        sha: of the text, in hexadecimal.
    """

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.text.encode(), usedforsecurity=False)
        object.__setattr__(self, "sha", digest.hexdigest())


BAD_ROW = re.compile(r"ROW (\d+)")
"""A script's refusal: which of its keys, from 0, holds nothing that a store has written."""
_COMMON = f"""
local LAST = '{MAX_COUNT}'

local function less(a, b)
  return #a < #b or (#a == #b and a < b)
end

local function is_count(text)
  return text == '0' or (text and text:match('^[1-9]%d*$') and not less(LAST, text))
end

-- The hash's epoch and floor_seq, or nil where there is none; is_bad where it is nothing that we have written.
local function owner_of(key)
  local row = redis.pcall('HMGET', key, 'epoch', 'next_seq', 'floor_seq')
  if not row.err and not row[1] and not row[2] and not row[3] then
    return nil, false
  end
  local is_bad = row.err or not (is_count(row[1]) and is_count(row[2]) and is_count(row[3]))
  return {{epoch = row[1], floor_seq = row[3]}}, is_bad
end

local function bad_row(n)
  return redis.error_reply('ROW ' .. n - 1)
end
"""

SAVE = Script(
    _COMMON
    + """
-- KEYS: sorted set, a hash for each record. ARGV: saved_s, then id, epoch, next_seq, snapshot of each record.
-- Returns the numbers, from 0, of the records that were fenced.
local latest, fenced, written = {}, {}, {}
for n = 2, #KEYS do
  local key, epoch, next_seq = KEYS[n], ARGV[4 * n - 5], ARGV[4 * n - 4]
  local old, is_bad = latest[key], false
  if not old then
    old, is_bad = owner_of(key)
  end
  if is_bad then
    return bad_row(n)
  elseif old and (less(epoch, old.epoch) or (epoch == old.epoch and less(next_seq, old.floor_seq))) then
    fenced[#fenced + 1] = n - 2
  else
    latest[key] = {epoch = epoch, floor_seq = next_seq}
    written[#written + 1] = n
  end
end
for _, n in ipairs(written) do
  local id, epoch, next_seq, snapshot = ARGV[4 * n - 6], ARGV[4 * n - 5], ARGV[4 * n - 4], ARGV[4 * n - 3]
  redis.call('ZADD', KEYS[1], ARGV[1], id)
  redis.call('HSET', KEYS[n], 'epoch', epoch, 'next_seq', next_seq, 'floor_seq', next_seq, 'snapshot', snapshot)
end
return fenced
"""
)

INSERT = Script(
    _COMMON
    + """
-- KEYS: sorted set, hash. ARGV: saved_s, id, epoch, next_seq, snapshot. Returns whether there was no record.
local old, is_bad = owner_of(KEYS[2])
if is_bad then
  return bad_row(2)
elseif old then
  return 0
end
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], 'epoch', ARGV[3], 'next_seq', ARGV[4], 'floor_seq', ARGV[4], 'snapshot', ARGV[5])
return 1
"""
)

CLAIM = Script(
    _COMMON
    + """
-- KEYS: sorted set, hash. ARGV: claimed_s, id, held_epoch or '', least epoch to be claimed.
-- Returns epoch, next_seq, snapshot of before the claim, or false; the last epoch is not raised.
local old, is_bad = owner_of(KEYS[2])
if is_bad then
  return bad_row(2)
elseif not old or (ARGV[3] ~= '' and ARGV[3] ~= old.epoch) then
  return false
end
local row = redis.call('HMGET', KEYS[2], 'epoch', 'next_seq', 'snapshot')
if not row[3] then
  return bad_row(2)
elseif old.epoch ~= LAST then
  redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
  redis.call('HSET', KEYS[2], 'floor_seq', '0')
  redis.call('HINCRBY', KEYS[2], 'epoch', 1)
  if less(redis.call('HGET', KEYS[2], 'epoch'), ARGV[4]) then
    redis.call('HSET', KEYS[2], 'epoch', ARGV[4])
  end
end
return row
"""
)

DELETE = Script(
    _COMMON
    + """
-- KEYS: sorted set, a hash for each owner. ARGV: id and epoch of each owner.
local doomed = {}
for n = 2, #KEYS do
  local old, is_bad = owner_of(KEYS[n])
  if is_bad then
    return bad_row(n)
  elseif old and not less(ARGV[2 * n - 2], old.epoch) then
    doomed[#doomed + 1] = n
  end
end
for _, n in ipairs(doomed) do
  redis.call('ZREM', KEYS[1], ARGV[2 * n - 3])
  redis.call('UNLINK', KEYS[n])
end
"""
)

EXPIRE = Script(
    """
-- KEYS: sorted set. ARGV: name of a hash without its id, older_than_s. Returns how many were forgotten.
local doomed = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[2])
for _, id in ipairs(doomed) do
  redis.call('UNLINK', ARGV[1] .. id)
end
return #doomed
"""
)
