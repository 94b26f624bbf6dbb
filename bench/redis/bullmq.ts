/** BullMQ, where `npm run bench:rivals` has installed it. Its types are not: this is the part that is used. */
import { createRequire } from 'node:module'
import { rivalsFolder } from '../rivals.js'

interface Job {
  readonly name: string
  readonly data: unknown
  readonly opts?: { readonly removeOnComplete: boolean }
}

export interface BullQueue {
  addBulk(jobs: readonly Job[]): Promise<unknown>
  add(name: string, data: unknown, opts: Job['opts']): Promise<unknown>
  close(): Promise<void>
}

export interface BullWorker {
  on(event: 'completed', listener: () => void): unknown
  run(): Promise<void>
  waitUntilReady(): Promise<unknown>
  close(): Promise<void>
}

interface BullMq {
  readonly Queue: new (name: string, options: { connection: object }) => BullQueue
  readonly Worker: new (
    name: string,
    work: (job: Job) => Promise<void>,
    options: { connection: object; concurrency: number; autorun: boolean },
  ) => BullWorker
}

export function loadBullMq(): BullMq {
  return createRequire(rivalsFolder)('bullmq') as BullMq
}

/** Completed jobs go, as finished tasks do. */
export const jobOptions = { removeOnComplete: true } as const
