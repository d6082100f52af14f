-- How often something was asked for lately, by an account or from a net: a row for each limit of each that has used some
-- of it. Unlogged, so that nobody waits for a disk; after a crash of the server all begin anew.
create unlogged table rate_limits (
    -- The SHA-256 of the limit and of whom it is counted for.
    key bytea primary key,
    taken_at timestamptz not null,
    -- What became of the last that was asked for.
    is_allowed boolean not null,
    n_taken integer not null,
    -- Of a bucket: when it is full again. Of doubling waits: when the next is allowed.
    busy_until timestamptz not null,
    -- From then on the row says nothing, and is swept.
    forgotten_at timestamptz not null
) with (fillfactor = 50);
