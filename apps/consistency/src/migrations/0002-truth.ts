/** The last comparison of all nodes with the state in the database: one row. */
export const migration0002 = `
create table consistency.truth (
  id int primary key check (id = 1),
  compared jsonb not null,
  at timestamptz(3) not null
) with (fillfactor = 50);
`;
