/**
 * The essentials of local runs and file queues, in one function for all environments of the package: test runners,
 * other realms, worker threads, bundles.
 */
import { join } from 'node:path'
import { LocalTaskQueue, partial, range, TaskError, type TaskInput, TaskQueue } from 'ptq'
import { add, exit, fail, give, Shout, Shouts, wait } from './tasks.js'

/** @param folder an empty one, for file queues */
export async function runProgram(folder: string) {
  const adding = Array.from({ length: 20 }, (_, n) => partial(add, n, 1))
  const lines: string[] = []
  const local = (options: object) =>
    new LocalTaskQueue({ progress: false, onLog: line => void lines.push(line), ...options })
  const [before, during] = [new AbortController(), new AbortController()]
  before.abort()
  return {
    onThreads: await local({ parallel: 2 }).insertAll(adding),
    inThisThread: await local({ parallel: 0 }).insertAll(adding),
    lines: lines.length,
    ends: await ends({ parallel: 2 }, [
      partial(add, 1, 2),
      partial(fail),
      partial(exit),
      new Shout({ word: 'loud' }),
      [partial(give), [new Map<unknown, unknown>([['list', new Set([new Date(0), /x/, new Uint8Array([7])])]])]],
    ]),
    endsInThisThread: await ends({ parallel: 0 }, [partial(add, 1, 2), partial(fail), new Shout({ word: 'loud' })]),
    timeout: await nameOfEnd(local({ timeoutSeconds: 0.2 }).insertAll([partial(wait)])),
    abortBefore: await nameOfEnd(local({ signal: before.signal }).insertAll([partial(wait)])),
    abortOfTask: await nameOfEnd(local({ onLog: () => during.abort() }).run(partial(wait), { signal: during.signal })),
    queue: await throughQueue(join(folder, 'queue')),
  }

  async function ends(options: object, tasks: readonly TaskInput[]): Promise<string[]> {
    const found: string[] = []
    for await (const result of local(options).results(tasks, { ordered: true })) {
      found.push(result.ok ? describe(result.value) : describe(result.error))
    }
    return found
  }
}

async function throughQueue(path: string) {
  const tq = new TaskQueue(path)
  const values: string[] = []
  tq.events.on('succeeded', ({ value }) => values.push(describe(value)))
  const steps: Record<string, number> = {}
  // Returns a promise: the worker waits for it.
  const counting = (step: string) => async () => {
    await new Promise(resolve => setImmediate(resolve))
    steps[step] = (steps[step] ?? 0) + 1
  }
  const options = { untilEmpty: true, maxAttempts: 1, beforeFn: counting('before'), afterFn: counting('after') }
  const inserted = [
    await tq.insert([partial(give, 3), partial(fail)]),
    await tq.insert(range(give, 0, 40), { parallel: 2 }),
    await tq.insert(new Shouts(['a', 'b', 'c', 'd']), { parallel: 2 }),
  ]
  const executed = [await tq.poll({ ...options, parallel: 2 })]
  await tq.insert([partial(give, 7), partial(fail)])
  executed.push(await tq.poll({ ...options, parallel: 0 }))
  const failures: string[] = []
  for await (const task of tq.failures()) failures.push(task.failures.map(({ reason }) => reason).join())
  const { enqueued, leased } = await tq.status()
  await tq.close()
  return { inserted, executed, values: [...new Set(values)].sort().slice(-6), steps, failures, enqueued, leased }
}

function describe(value: unknown): string {
  if (value instanceof TaskError) return `TaskError of ${describe(value.cause)}`
  if (Object.prototype.toString.call(value) === '[object Error]') {
    const { name, message, code, cause } = value as Error & { code?: string }
    return `${name}: ${message} ${code ?? ''} ${cause === undefined ? '' : describe(cause)}`.trim()
  }
  const tag = Object.prototype.toString.call(value).slice(8, -1)
  if (tag === 'Map' || tag === 'Set') return `${tag}(${[...(value as Set<unknown>)].map(describe).join()})`
  if (tag === 'Date') return (value as Date).toISOString()
  return Array.isArray(value) ? `[${value.map(describe).join()}]` : `${tag} ${value}`
}

async function nameOfEnd(promise: Promise<unknown>): Promise<string> {
  try {
    return `resolved with ${await promise}`
  } catch (error) {
    const { name, cause } = error as Error
    return cause === undefined ? name : `${name} of ${(cause as Error).name}`
  }
}
