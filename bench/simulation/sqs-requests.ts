/** Counts the requests of tasks on SQS: the real backend and the real client, against a server on this machine. */
import { SQSClient } from '@aws-sdk/client-sqs'
import { buildApp } from 'fauxqs'
import { partial, queueable, TaskQueue } from 'ptq'

/** US dollars for a million requests of a standard queue in us-east-1, the free ones not counted (AWS, 2026). */
const DOLLARS_A_MILLION = 0.4

const nothing = queueable(function nothing() {
  return undefined
})

const pause = queueable(function pause(milliseconds: number) {
  return new Promise<void>(resolve => setTimeout(resolve, milliseconds))
})

/** Longer than a worker leases ahead for. Milliseconds. */
const LONG_MS = 20

interface SqsCount {
  readonly what: string
  readonly tasks: number
  /** Requests for each task, by kind. */
  readonly requestsPerTask: Readonly<Record<string, number>>
  readonly dollarsPerMillionTasks: number
}

export async function countSqsRequests(tasks: number): Promise<SqsCount[]> {
  const app = buildApp({ logger: false })
  const endpoint = await app.listen({ port: 0, host: '127.0.0.1' })
  const counts = new Map<string, number>()
  const credentials = { accessKeyId: 'none', secretAccessKey: 'none' }
  const client = new SQSClient({ endpoint, region: 'us-east-1', credentials })
  client.middlewareStack.add(
    (next, { commandName = '' }) =>
      args => {
        counts.set(commandName, (counts.get(commandName) ?? 0) + 1)
        return next(args)
      },
    { step: 'build' },
  )
  const count = async (what: string, number: number, work: () => Promise<unknown>): Promise<SqsCount> => {
    counts.clear()
    await work()
    const requestsPerTask = Object.fromEntries([...counts].map(([name, requests]) => [name, requests / number]))
    const requests = [...counts.values()].reduce((sum, each) => sum + each, 0)
    return { what, tasks: number, requestsPerTask, dollarsPerMillionTasks: (requests / number) * DOLLARS_A_MILLION }
  }
  const found: SqsCount[] = []
  try {
    const options = { client, createIfMissing: true, progress: false, emptyWindowSeconds: 0 }
    await using tq = new TaskQueue('sqs://scale', options)
    const drain = (parallel: number) => tq.poll({ parallel, untilEmpty: true, maxBackoffSeconds: 1 })
    const few = Math.ceil(tasks / 10)
    await tq.insert(partial(nothing))
    await drain(0)
    found.push(await count('insert', tasks, () => tq.insert(Array.from({ length: tasks }, () => partial(nothing)))))
    found.push(await count('run tasks that do nothing', tasks, () => drain(0)))
    await tq.insert(Array.from({ length: few }, () => partial(pause, LONG_MS)))
    found.push(await count(`run tasks of ${LONG_MS} ms, one at a time`, few, () => drain(0)))
  } finally {
    client.destroy()
    await app.close()
  }
  return found
}

export function formatSqs(found: readonly SqsCount[]): string {
  return found
    .map(({ what, tasks, requestsPerTask, dollarsPerMillionTasks }) => {
      const kinds = Object.entries(requestsPerTask).map(([kind, each]) => `${each.toFixed(3)} ${kind}`)
      return `SQS, ${what} (${tasks}): ${kinds.join(', ')} a task; $${dollarsPerMillionTasks.toFixed(2)} a million tasks`
    })
    .join('\n')
}
