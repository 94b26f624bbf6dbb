/** Reads records of runs for the tests of backends. */
import assert from 'node:assert/strict'
import type { Backend } from '#ptq/backend/backend.js'
import type { ResultSink } from '#ptq/backend/result-sink.js'

/** The results of a backend that keeps some. */
export function sinkOf({ results }: Backend): ResultSink {
  assert.ok(results !== undefined)
  return results
}

/** Reads until a page is empty; also tells how long the longest page was, in characters. */
export async function readUntilEmpty(
  sink: ResultSink,
  run: string,
  from?: unknown,
): Promise<{ records: string[]; cursor: unknown; longestPage: number }> {
  const records: string[] = []
  let longestPage = 0
  for (let cursor = from; ; ) {
    const page = await sink.read(run, cursor)
    cursor = page.cursor
    if (page.records.length === 0) return { records, cursor, longestPage }
    longestPage = Math.max(longestPage, page.records.join('').length)
    for (const record of page.records) records.push(record)
  }
}
