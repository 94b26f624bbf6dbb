// Inserting and draining where each call to the filesystem takes 2 ms, with `concurrency` of them in flight.
import { setTimeout as delay } from 'node:timers/promises'
import { TaskQueue } from 'ptq'
import type { FileCalls } from '#ptq/backends/fq/file-system.js'
import { nodeFileSystem } from '#ptq/backends/fq/node-files.js'
import { numberOf, runCase } from '../case.js'
import { drain, fill } from './drain.js'

const CALL_MS = 2

// Ten calls in a row for each of 40 lanes: what is done once a batch (the tally) takes a call's time as well.
const BATCH = 400

/** The same calls, each later by CALL_MS. */
function slow(calls: FileCalls): FileCalls {
  const later =
    <A extends unknown[], R>(call: (...args: A) => R | Promise<R>) =>
    async (...args: A): Promise<R> => {
      await delay(CALL_MS)
      return call(...args)
    }
  return {
    rename: later(calls.rename),
    unlink: later(calls.unlink),
    read: later(calls.read),
    write: later(calls.write),
    stat: later(calls.stat),
    makeFolder: later(calls.makeFolder),
    openFolder: later(calls.openFolder),
    removeFolder: later(calls.removeFolder),
    clockMs: later(calls.clockMs),
  }
}

const fileSystem = { ...nodeFileSystem, blocking: slow(nodeFileSystem.pooled), pooled: slow(nodeFileSystem.pooled) }

await runCase(
  ({ dir, settings }) => {
    const concurrency = numberOf({ n: 0, dir, settings }, 'concurrency')
    const tq = new TaskQueue(`fq://${dir}/queue`, { progress: false, concurrency, fileSystem })
    return {
      async run(n) {
        await fill(tq, n)
        await drain(tq, n, BATCH)
      },
      close: () => tq.close(),
    }
  },
  { warmUp: 20 },
)
