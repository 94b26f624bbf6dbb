// From the insert of one task to its start, or to its removal as the inserter sees it; one idle worker with one thread.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { partial, TaskQueue } from 'ptq'
import { monotonicMs } from '#ptq/time/monotonic.js'
import { runCase, textOf, type Work } from '../case.js'
import { counted, countMany } from '../counter.js'
import { noteStart } from './tasks.js'
import { measureWaits } from './waits.js'
import { poll } from './worker.js'

await runCase(
  async (parameters): Promise<Work> => {
    const protocol = textOf(parameters, 'protocol')
    const until = textOf(parameters, 'until')
    const url = protocol === 'mem' ? 'mem://latency' : `fq://${join(parameters.dir, 'queue')}`
    const note = join(parameters.dir, 'started')
    const queue = new TaskQueue(url, { progress: false })
    const worker = protocol === 'mem' ? workHere(url) : workElsewhere(url)
    return {
      async run(n) {
        const countedBefore = counted()
        const measured = await measureWaits(n, async () => {
          const insertedMs = monotonicMs()
          await queue.insert(partial(noteStart, note))
          while (!(await queue.isEmpty())) await turn()
          return (until === 'start' ? Number(readFileSync(note, 'utf8')) : monotonicMs()) - insertedMs
        })
        // A worker in another process counted there; that a task was started and removed was seen each time.
        countMany(n - (counted() - countedBefore))
        return measured
      },
      async close() {
        await worker.stop()
        await queue.close()
      },
    }
  },
  { warmUp: 50 },
)

/** A queue in memory is one of this process only. */
function workHere(url: string): { stop(): Promise<void> } {
  const stop = new AbortController()
  const working = poll(url, stop.signal)
  return {
    async stop() {
      stop.abort()
      await working
    },
  }
}

function workElsewhere(url: string): { stop(): Promise<void> } {
  const worker: ChildProcess = fork(join(import.meta.dirname, 'worker-process.js'), [url])
  return {
    async stop() {
      const ended = once(worker, 'exit')
      worker.disconnect()
      await ended
    },
  }
}
