/** Cases that are the same for each server: only how it is started differs. */
import { partial, TaskQueue } from 'ptq'
import { numberOf, runCase } from './case.js'
import { countMany } from './counter.js'
import { noop } from './local/tasks.js'

/** A started server with a queue. */
export interface CaseServer {
  readonly url: string
  close(): Promise<void> | void
}

const BATCH = 100

/** Leases and deletes while `queued` tasks are in the queue. */
export function runBacklogCase(start: (dir: string) => Promise<CaseServer>): Promise<void> {
  return runCase(
    async parameters => {
      const server = await start(parameters.dir)
      const tq = new TaskQueue(server.url, { progress: false })
      function* tasks(count: number) {
        for (let index = 0; index < count; index++) yield partial(noop, index)
      }
      return {
        async fill(n) {
          const missing = numberOf(parameters, 'queued') - (await tq.enqueued())
          await tq.insert(tasks(Math.max(missing, n)))
        },
        async run(n) {
          for (let left = n; left > 0; ) {
            const leased = await tq.lease({ numTasks: Math.min(BATCH, left) })
            await tq.delete(leased)
            countMany(leased.length)
            left -= leased.length
          }
        },
        async close() {
          await tq.close()
          await server.close()
        },
      }
    },
    { warmUp: 500 },
  )
}

/** One worker leases no-op tasks, runs and deletes them. */
export function runDrainCase(
  start: (dir: string) => Promise<CaseServer>,
  options: { readonly warmUp: number },
): Promise<void> {
  return runCase(async parameters => {
    const parallel = numberOf(parameters, 'parallel')
    const server = await start(parameters.dir)
    const tq = new TaskQueue(server.url, { progress: false })
    return {
      async fill(n) {
        await tq.insert(Array.from({ length: n }, (_, index) => partial(noop, index)))
      },
      async run(n) {
        const executed = await tq.poll({ parallel, untilEmpty: true })
        if (executed !== n) throw new Error(`Expected ${n} tasks to be deleted, ${executed} were`)
      },
      async close() {
        await tq.close()
        await server.close()
      },
    }
  }, options)
}
