/** The queues of the torture, and what each of its processes is told: one argument, JSON. */
import type { TaskQueueOptions } from 'ptq'

export type Role = 'inserter' | 'uploader' | 'worker' | 'mover' | 'retrier'

/** URLs of queues. */
export interface Queues {
  /** The one that workers drain. */
  readonly main: string
  /** The one whose tasks movers lease, insert into the main one, and delete. */
  readonly intake: string
  /** The one whose tasks `ptq mv` moves into the main one. */
  readonly transit: string
  /** Where `ptq cp` copies the main one to. */
  readonly backup: string
  /** Where dead letters go, where the main one has no place of its own for them. */
  readonly deadLetter?: string
  /** Of an SQS server. */
  readonly endpoint?: string
}

export function fileQueuesIn(folder: string): Queues {
  const url = (name: string) => `fq://${folder}/${name}`
  return { main: url('queue'), intake: url('intake'), transit: url('transit'), backup: url('backup') }
}

/** A queue on an SQS server, to which tasks are moved from file queues. */
export function sqsQueues(folder: string, endpoint: string): Queues {
  return { ...fileQueuesIn(folder), main: 'sqs://torture', deadLetter: `fq://${folder}/dead`, endpoint }
}

export interface Part {
  readonly role: Role
  /** The number of the process: no other that was ever started has it. */
  readonly player: number
  readonly queues: Queues
  readonly options: TaskQueueOptions
  readonly ledger: string
  /** A file with the number of the upload that an uploader is to begin or to continue. */
  readonly uploadNumber: string
  /** End when there is nothing left to do, instead of going on for ever. */
  readonly untilEmpty: boolean
}
