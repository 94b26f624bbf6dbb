/** The queues of the torture, and the options of each of its processes: one argument, JSON. */
import { TaskQueue, type TaskQueueOptions } from 'ptq'

export type Role =
  | 'inserter'
  | 'uploader'
  | 'worker'
  | 'mover'
  | 'retrier'
  | 'copier'
  | 'purged-uploader'
  | 'purger'
  | 'python-inserter'
  | 'python-worker'

/** URLs of queues. */
export interface Queues {
  /** The one that workers drain. */
  readonly main: string
  /** The one whose tasks movers lease, insert into the main one, and delete. */
  readonly intake: string
  /** The one whose tasks `ptq mv` moves into the depot. */
  readonly transit: string
  /** The one whose tasks `ptq mv` moves into the main one: on another filesystem if there is one; on SQS a FIFO queue. */
  readonly depot: string
  /** The folder of file queues into which the main one is copied while it is worked on. */
  readonly copies: string
  /** The one that is purged again and again while tasks are uploaded into it. */
  readonly purged: string
  /** The destination of `ptq cp` from the main queue. */
  readonly backup: string
  /** The dead-letter queue, if the main queue has none of its own. */
  readonly deadLetter?: string
  /** Tasks of a message, for a part of those that are inserted into the main queue. Default: one each */
  readonly pack?: number
  /** Endpoint of an SQS server. */
  readonly endpoint?: string
}

/** @param elsewhere a folder on another filesystem, if there is one */
export function fileQueuesIn(folder: string, elsewhere: string): Queues {
  const url = (name: string) => `fq://${folder}/${name}`
  return {
    main: url('queue'),
    intake: url('intake'),
    transit: url('transit'),
    backup: url('backup'),
    copies: url('copies'),
    purged: url('purged'),
    depot: `fq://${elsewhere}/depot`,
  }
}

/** A queue on an SQS server, to which tasks are moved from file queues. */
export function sqsQueues(folder: string, endpoint: string, fifo: boolean): Queues {
  return {
    ...fileQueuesIn(folder, folder),
    main: fifo ? 'sqs://torture.fifo' : 'sqs://torture',
    depot: 'sqs://torture-depot.fifo',
    deadLetter: `fq://${folder}/dead`,
    endpoint,
  }
}

/**
 * Queues on a server, PostgreSQL or Redis, which are as exact as file queues; copies of the main one go into a folder.
 *
 * @param url the URL of a queue
 */
export function serverQueues(folder: string, elsewhere: string, url: (queue: string) => string): Queues {
  const names = ['main', 'intake', 'transit', 'backup', 'purged', 'depot'] as const
  const urls = Object.fromEntries(names.map(name => [name, url(name)]))
  return { ...fileQueuesIn(folder, elsewhere), ...urls }
}

/** A queue with those of the options that its kind has. */
export function open(url: string, options: TaskQueueOptions): TaskQueue {
  const { progress = true } = options
  return url.startsWith('fq:') ? new TaskQueue(url, { progress }) : new TaskQueue(url, options)
}

export interface ProcessOptions {
  readonly role: Role
  /** The number of the process: no other that was ever started has it. */
  readonly processNumber: number
  readonly queues: Queues
  readonly options: TaskQueueOptions
  readonly ledger: string
  /** A file with the number of the upload that an uploader is to begin or to continue. */
  readonly uploadNumber: string
  /** End when there is nothing left to do, instead of going on for ever. */
  readonly untilEmpty: boolean
}
