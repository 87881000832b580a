// The tables, as the steps that lead to them. A step that has been released is
// never changed: what is new is a step of its own.
import { generate } from "../Provider.ts"
import type { Database } from "./database.ts"

const FIRST = `
create table providers (
  provider_id text primary key,
  number integer not null unique,
  npi text not null unique,
  name text not null,
  credential text not null,
  specialty text not null,
  state text not null,
  status text not null default 'not_credentialed',
  credentialed_at integer,
  document text not null
) strict;
create index providers_specialty on providers (specialty, number);
create index providers_state on providers (state, number);
create index providers_status on providers (status, number);

create table batches (
  batch_id text primary key,
  number integer not null unique,
  idempotency_key text unique,
  fingerprint text not null,
  status text not null,
  total integer not null,
  requested_by text not null,
  created_at integer not null,
  finished_at integer,
  resumed integer not null default 0,
  owner text not null,
  lease_until integer not null
) strict;
create index batches_open on batches (lease_until) where status = 'running';

create table results (
  number integer primary key autoincrement,
  result_id text not null unique,
  idempotency_key text unique,
  provider_id text not null references providers (provider_id),
  decision text not null,
  risk_score real not null,
  findings text not null,
  batch_id text references batches (batch_id),
  requested_by text not null,
  started_at integer not null,
  finished_at integer not null
) strict;
create index results_provider on results (provider_id, number);
create index results_decision on results (decision, number);

create table batch_items (
  batch_id text not null references batches (batch_id),
  position integer not null,
  provider_id text not null,
  status text not null,
  seq integer,
  result_id text references results (result_id),
  detail text,
  primary key (batch_id, position),
  unique (batch_id, provider_id),
  unique (batch_id, seq)
) strict, without rowid;

create table audit_log (
  id integer primary key autoincrement,
  at integer not null,
  action text not null,
  actor text not null,
  provider_id text,
  batch_id text,
  result_id text,
  detail text not null
) strict;
create index audit_provider on audit_log (provider_id, id);
create index audit_batch on audit_log (batch_id, id);
`

const MIGRATIONS: ReadonlyArray<string> = [FIRST]

/** Brings the database to what this version needs. Several processes may do so at once: one does, the others wait. */
export const migrate = (database: Database): void => {
  database.transaction(() => {
    const version = database.number("pragma user_version")
    for (const step of MIGRATIONS.slice(version)) database.script(step)
    if (version < MIGRATIONS.length) database.script(`pragma user_version = ${MIGRATIONS.length}`)
  })
}

/** Generates the providers that are not there yet. Those that are stay as they are. */
export const seedProviders = (database: Database, count: number, seed: number): void => {
  database.transaction(() => {
    const there = database.number("select coalesce(max(number), 0) from providers")
    for (let number = there + 1; number <= count; number++) {
      const provider = generate(number, seed)
      database.run(
        `insert into providers (provider_id, number, npi, name, credential, specialty, state, document)
         values (?, ?, ?, ?, ?, ?, ?, ?)`,
        provider.provider_id,
        number,
        provider.npi,
        provider.name,
        provider.credential,
        provider.specialty,
        provider.state,
        JSON.stringify(provider)
      )
    }
  })
}
