-- Kinds of events that a recording reaches into, a bit each (`index/quiet.rs`). The
-- lowest bit: somebody told of one without a kind, or nobody was there to tell of
-- any; so it stands in what an older program writes.
ALTER TABLE recordings ADD COLUMN kinds INTEGER NOT NULL DEFAULT 1;
ALTER TABLE events ADD COLUMN kinds INTEGER NOT NULL DEFAULT 1;

-- 1: of these kinds none counts, so it may go earlier than others.
ALTER TABLE recordings ADD COLUMN quiet INTEGER NOT NULL DEFAULT 0;
CREATE INDEX recordings_quiet_to_spare ON recordings (state, locked, started_at, id) WHERE quiet = 1;
CREATE INDEX recordings_quiet ON recordings (locked, started_at, id) WHERE quiet = 1;

-- One row: kinds that count for nothing, as site.json says.
CREATE TABLE uncounted (
    kinds       INTEGER NOT NULL,
    judged      INTEGER NOT NULL              -- 1: every recording was judged by them
) STRICT;
