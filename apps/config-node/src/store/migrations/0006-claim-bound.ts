/**
 * `config.claim` refuses a highest term that is more than 1,000 beyond the head's: terms are heard from other processes,
 * and one absurd term in the head row would end every later election. Replaces the function; its grants stay.
 */
export const migration0006 = `
create or replace function config.claim(
  p_seen_term int8, p_suspect text, p_winner text, p_incarnation int8, p_highest_term int8
) returns table (term int8, version int8, chain text, cluster_id uuid, elected_at timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  if p_highest_term > p_seen_term + 1000 then
    raise exception 'the highest term % is more than 1000 beyond the term % of the head', p_highest_term, p_seen_term
      using errcode = 'numeric_value_out_of_range';
  end if;
  return query
  update config.head as h
     set term = greatest(h.term, p_highest_term) + 1, leader_id = p_winner, incarnation = p_incarnation, attempt = 0,
         elected_at = clock_timestamp()
   where h.id = 1 and h.term = p_seen_term and h.leader_id is not distinct from p_suspect
  returning h.term, h.version, encode(h.chain, 'hex'), h.cluster_id, h.elected_at;
end $$;
`;
