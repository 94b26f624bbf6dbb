/** What each process of the torture is told: one argument, JSON. */
import type { TaskQueueOptions } from 'ptq'

export type Role = 'inserter' | 'uploader' | 'worker' | 'mover' | 'retrier'

export interface Part {
  readonly role: Role
  /** Tells it from every other process of its role that was ever started: a part of its tasks' keys. */
  readonly name: string
  /** The queue that workers drain. */
  readonly queue: string
  /** The queue that movers empty into it; `undefined`: there are no movers. */
  readonly intake: string | undefined
  readonly options: TaskQueueOptions
  readonly ledger: string
  /** A file with the number of the upload that an uploader is to begin or to continue. */
  readonly uploadNumber: string
  /** End when there is nothing left to do, instead of going on for ever. */
  readonly untilEmpty: boolean
}
