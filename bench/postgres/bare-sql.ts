/** The rival of the rows in PostgreSQL: a table and three prepared statements in a loop, as one would write them by hand. */
import { randomUUID } from 'node:crypto'
import pg from 'pg'

/** Tasks of one statement. */
export const BATCH = 100

export interface BareQueue {
  insert(bodies: readonly string[]): Promise<void>
  /** Leases up to a batch, calls `run` for each body, and deletes them. @returns how many there were */
  work(run: (body: string) => void): Promise<number>
  close(): Promise<void>
}

export async function openBareQueue(connectionString: string): Promise<BareQueue> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  await client.query(
    'CREATE TABLE bare (id uuid PRIMARY KEY, body text NOT NULL, free_at timestamptz NOT NULL, holder uuid)',
  )
  await client.query('CREATE INDEX ON bare (free_at)')
  // Its plans are as good as those of a table that has been used for long.
  await client.query("INSERT INTO bare SELECT gen_random_uuid(), '', now() FROM generate_series(1, 10000)")
  await client.query('ANALYZE bare')
  await client.query('DELETE FROM bare')
  return {
    async insert(bodies) {
      await client.query({
        name: 'insert',
        text: 'INSERT INTO bare (id, body, free_at) SELECT id, body, now() FROM unnest($1::uuid[], $2::text[]) AS new (id, body)',
        values: [bodies.map(() => randomUUID()), bodies],
      })
    },
    async work(run) {
      const holder = randomUUID()
      const { rows } = await client.query<{ id: string; body: string }>({
        name: 'lease',
        text: `UPDATE bare SET holder = $1, free_at = now() + interval '60 s' WHERE id IN (
                 SELECT id FROM bare WHERE free_at <= now() ORDER BY free_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED
               ) RETURNING id, body`,
        values: [holder],
      })
      if (rows.length === 0) return 0
      for (const { body } of rows) run(body)
      const ids = rows.map(({ id }) => id)
      await client.query({
        name: 'delete',
        text: 'DELETE FROM bare WHERE id = ANY($1::uuid[]) AND holder = $2',
        values: [ids, holder],
      })
      return rows.length
    },
    close: () => client.end(),
  }
}
