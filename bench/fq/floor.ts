/**
 * The floor of the file queue: loops of the minimum of system calls for a task, and nothing else, in the forms that are
 * fastest in Node.
 */
import { randomUUID } from 'node:crypto'
import { appendFileSync, mkdirSync, readdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { noop } from '../local/tasks.js'

const AS_TEXT = { encoding: 'utf8' } as const

/** The number of completions that a ptq worker counts in one write. */
const TALLY = 1000

/** Fills a queue with no-op tasks: ids and envelopes are made, files staged and renamed. */
export function insertBare(root: string, n: number): void {
  for (const folder of ['queue', 'movement', 'staging']) mkdirSync(`${root}/${folder}`, { recursive: true })
  for (let index = 0; index < n; index++) {
    const id = randomUUID()
    const payload = JSON.stringify([['tasks', 'noop'], [index], {}, -1])
    const body = `{"payload": ${payload}, "queueName": "${root}", "id": "${id}"}`
    writeFileSync(`${root}/staging/${id}`, body, AS_TEXT)
    renameSync(`${root}/staging/${id}`, `${root}/queue/0--${id}.json`)
  }
}

/** Empties a queue: the file of each task is renamed, read and removed, and something is run; nothing is parsed. */
export function drainBare(root: string, names: readonly string[] = readdirSync(`${root}/queue`)): void {
  const until = Math.floor(Date.now() / 1000) + 600
  names.forEach((name, index) => {
    const held = `${root}/queue/${until}${name.slice(1)}`
    renameSync(`${root}/queue/${name}`, held)
    noop(readFileSync(held, AS_TEXT).length)
    unlinkSync(held)
    if (index % TALLY === TALLY - 1) appendFileSync(`${root}/completions`, '\0'.repeat(TALLY))
  })
  appendFileSync(`${root}/completions`, '\0'.repeat(names.length % TALLY))
}
