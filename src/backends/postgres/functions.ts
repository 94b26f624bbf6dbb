/**
 * The functions of the schema. They could be plain statements, if the planner had no choice there: without statistics
 * of a queue (e.g. after its first large insert) it expects a handful of rows, and reads and sorts a million for each
 * lease of a hundred. In a function, settings apply to its statements alone, on any connection.
 */

const onlyByIndex = `
  SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_incremental_sort = off
  SET enable_hashjoin = off SET enable_mergejoin = off`

/**
 * Free messages of a queue, locked, in the order in which they became free. Rows locked by other transactions are
 * skipped. They are found once, in a CTE: in a join they might be searched for again, and more than `most` of them be
 * taken. The parameter `since`, in seconds since 1970, is the start of the search.
 */
const freeRows = `
  free AS MATERIALIZED (
    SELECT message.ctid, message.free_at FROM ptq.messages AS message
    WHERE message.queue = the_queue AND message.free_at <= statement_timestamp() AND message.free_at >= to_timestamp(since)
    ORDER BY message.queue, message.free_at LIMIT most FOR UPDATE SKIP LOCKED
  )`

/** The statements that make the functions. */
export const functions: readonly string[] = [
  `CREATE FUNCTION ptq.lease(queue_name text, since float8, most int, new_holder uuid, seconds float8)
   RETURNS TABLE (id uuid, body text, attempts int, deaths int, deaths_alone int, failures text[], was_free_at timestamptz)
   LANGUAGE plpgsql ${onlyByIndex} AS $$
   DECLARE the_queue int := (SELECT known.id FROM ptq.queues AS known WHERE known.name = queue_name);
   BEGIN
     RETURN QUERY WITH ${freeRows}
     UPDATE ptq.messages AS message SET
       holder = new_holder,
       free_at = statement_timestamp() + seconds * interval '1 second',
       attempts = message.attempts + 1,
       deaths = message.deaths + (message.holder IS NOT NULL)::int,
       deaths_alone = message.deaths_alone + message.runs_alone::int,
       runs_alone = false
     FROM free WHERE message.ctid = free.ctid
     RETURNING message.id, message.body, message.attempts, message.deaths, message.deaths_alone, message.failures, free.free_at;
   END $$`,
  // The numbers of moved messages and of their tasks, and when the last one had become free.
  `CREATE FUNCTION ptq.move(queue_name text, since float8, most int, target int, OUT moved bigint, OUT tasks bigint, OUT last timestamptz)
   LANGUAGE plpgsql ${onlyByIndex} AS $$
   DECLARE the_queue int := (SELECT known.id FROM ptq.queues AS known WHERE known.name = queue_name);
   BEGIN
     WITH ${freeRows},
     gone AS (
       DELETE FROM ptq.messages AS message USING free WHERE message.ctid = free.ctid
       RETURNING message.id, message.body, message.tasks, message.failures
     ),
     stored AS (
       INSERT INTO ptq.messages AS message (queue, id, body, tasks, failures, free_at)
       SELECT target, gone.id, gone.body, gone.tasks, gone.failures, clock_timestamp() FROM gone
       ON CONFLICT DO NOTHING RETURNING message.tasks
     ),
     counted AS (
       INSERT INTO ptq.tallies (queue, enqueued, messages)
       SELECT the_queue, -sum(gone.tasks), -count(*) FROM gone HAVING count(*) > 0
       UNION ALL SELECT target, sum(stored.tasks), count(*) FROM stored HAVING count(*) > 0
     )
     SELECT count(*), sum(gone.tasks), (SELECT max(free.free_at) FROM free) FROM gone INTO moved, tasks, last;
   END $$`,
  `CREATE FUNCTION ptq.ids_after(queue_name text, last uuid, most int) RETURNS SETOF uuid
   LANGUAGE plpgsql STABLE ${onlyByIndex} AS $$
   DECLARE the_queue int := (SELECT known.id FROM ptq.queues AS known WHERE known.name = queue_name);
   BEGIN
     RETURN QUERY SELECT message.id FROM ptq.messages AS message
     WHERE message.queue = the_queue AND message.id > last ORDER BY message.queue, message.id LIMIT most;
   END $$`,
  // The seconds until the next message becomes free by itself.
  `CREATE FUNCTION ptq.due(queue_name text) RETURNS float8
   LANGUAGE plpgsql STABLE ${onlyByIndex} AS $$
   DECLARE the_queue int := (SELECT known.id FROM ptq.queues AS known WHERE known.name = queue_name);
   BEGIN
     RETURN (
       SELECT extract(epoch FROM message.free_at - statement_timestamp()) FROM ptq.messages AS message
       WHERE message.queue = the_queue AND message.free_at > statement_timestamp()
       ORDER BY message.queue, message.free_at LIMIT 1
     );
   END $$`,
]

/**
 * The function that reads results, added later. Rows of a run behind a position: all of them, or those that are not visible in the
 * snapshot `seen`. Of transactions of the future, as a copy of another server brings them, only the first reading knows.
 */
export const resultFunctions: readonly string[] = [
  `CREATE FUNCTION ptq.results_after(queue_name text, run_name text, seen pg_snapshot, after xid8, after_n bigint, most int, most_bytes bigint)
   RETURNS TABLE (place tid, records text, bytes int, stored_by xid8, n bigint)
   LANGUAGE plpgsql STABLE ${onlyByIndex} AS $$
   DECLARE
     the_queue int := (SELECT known.id FROM ptq.queues AS known WHERE known.name = queue_name);
     first xid8 := greatest(after, pg_snapshot_xmin(seen));
     last xid8 := pg_snapshot_xmax(pg_current_snapshot());
     sum bigint := 0;
   BEGIN
     FOR place, records, bytes, stored_by, n IN
       SELECT row.ctid, row.records, row.bytes, row.stored_by, row.n FROM ptq.results AS row
       WHERE row.queue = the_queue AND row.run = run_name AND row.stored_by >= first AND (row.stored_by, row.n) > (after, after_n)
         AND (seen IS NULL OR (row.stored_by < last AND NOT pg_visible_in_snapshot(row.stored_by, seen)))
       ORDER BY row.queue, row.run, row.stored_by, row.n LIMIT most
     LOOP
       EXIT WHEN sum > 0 AND sum + bytes > most_bytes;
       sum := sum + bytes;
       RETURN NEXT;
     END LOOP;
   END $$`,
]
