/** Nodes on their way back, what keeps nodes out of the rotation, and the one number that orders all decisions on both. */
export const migration0002 = `
-- Every plan is made from what was read at a number, and carried out only while it stands: of any number of instances
-- that plan at once exactly one acts, and limits over the whole fleet hold.
create table failover.recovery_plan (
  id int4 primary key check (id = 1),
  seq int8 not null
) with (fillfactor = 10);
insert into failover.recovery_plan (id, seq) values (1, 0);

-- Where the recovery of each node stands.
create table failover.recoveries (
  node_id text primary key,
  seq int8 not null,
  state text not null,
  incarnation int8 not null,
  -- The verdict that was last taken note of: a failure is counted once, whoever sees it.
  verdict_seq int8 not null,
  attempt int4 not null,
  planned boolean not null,
  why text not null,
  by text not null,
  began_at timestamptz(3) not null,
  due_at timestamptz(3) not null,
  -- The flap score, as it was at that moment.
  flaps float8 not null,
  flaps_at timestamptz(3) not null
) with (fillfactor = 50);

-- What was judged before there was any recovery is nobody's failure now.
insert into failover.recoveries (node_id, seq, state, incarnation, verdict_seq, attempt, planned, why, by, began_at, due_at, flaps, flaps_at)
  select node_id, 0, 'healthy', incarnation, seq, 0, false, 'level', '', at, at, 0, at from failover.verdicts;

-- Every step of every recovery, for people.
create table failover.recovery_steps (
  node_id text not null,
  seq int8 not null,
  state text not null,
  incarnation int8 not null,
  attempt int4 not null,
  planned boolean not null,
  why text not null,
  by text not null,
  at timestamptz(3) not null,
  primary key (node_id, seq)
);
create index recovery_steps_at on failover.recovery_steps (at);

create table failover.holds (
  node_id text primary key,
  seq int8 not null,
  drained boolean not null,
  quarantined_until timestamptz(3),
  quarantines int4 not null,
  by text not null,
  why text not null,
  at timestamptz(3) not null
);
`;
